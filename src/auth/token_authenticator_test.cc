#include "auth/token_authenticator.h"

#include <gtest/gtest.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "auth/base64url.h"
#include "auth/test_keys.h"

namespace colloquy::auth {
namespace {

namespace json = boost::json;
using testing::ec_key;
using testing::ed_key;
using testing::encode_part;
using testing::error_of;
using testing::make_hmac_token;
using testing::make_key_set;
using testing::make_token;
using testing::rsa_key;
using testing::SigningKey;

constexpr std::int64_t kNow = 1'800'000'000;
constexpr const char* kIssuer = "https://issuer.example";
const std::string kSecret(32, 's');

json::object header(const char* algorithm, const char* key_id) {
  return {{"alg", algorithm}, {"kid", key_id}};
}

json::object claims() {
  return {{"iss", kIssuer}, {"sub", "alice"}, {"exp", kNow + 3600}, {"iat", kNow}};
}

json::object with(json::object object, const char* name, json::value value) {
  object[name] = std::move(value);
  return object;
}

json::value text(const std::string& value) { return json::string(value.data(), value.size()); }

json::object without(json::object object, const char* name) {
  object.erase(name);
  return object;
}

// What the provider publishes; the test may change it.
Task<std::string> published(const std::string* text) { co_return *text; }

class TokenAuthenticatorTest : public ::testing::Test {
 protected:
  TokenOptions options() {
    TokenOptions options;
    options.key_set = std::make_shared<FetchedKeySet>([this] { return published(&keys_); }, clock_);
    options.issuer = kIssuer;
    return options;
  }
  TokenOptions hs256_options() {
    TokenOptions options;
    options.hs256_key = kSecret;
    options.issuer = kIssuer;
    return options;
  }
  Identity ask(Authenticator& authenticator, const std::string& token) {
    return run_task(authenticator.authenticate(token));
  }
  std::string user_of(TokenOptions options, const std::string& token) {
    TokenAuthenticator authenticator(std::move(options), clock_);
    return ask(authenticator, token).user_id.value();
  }
  void expect_refused(TokenOptions options, const std::string& token, const char* why = "") {
    EXPECT_EQ(error_of([&] { user_of(std::move(options), token); }), ErrorCode::kUnauthenticated)
        << why;
  }
  std::string token(const json::object& with_claims = claims()) {
    return make_token(ec_key(), header("ES256", "e"), with_claims);
  }

  ManualClock clock_{kNow * 1000};
  std::string keys_ = make_key_set({rsa_key().jwk("r"), ec_key().jwk("e"), ed_key().jwk("d")});
};

TEST_F(TokenAuthenticatorTest, TakesGoodTokensOfEveryAlgorithm) {
  EXPECT_EQ(user_of(options(), make_token(rsa_key(), header("RS256", "r"), claims())), "alice");
  EXPECT_EQ(user_of(options(), make_token(rsa_key(), header("PS256", "r"), claims())), "alice");
  EXPECT_EQ(user_of(options(), make_token(ec_key(), header("ES256", "e"), claims())), "alice");
  EXPECT_EQ(user_of(options(), make_token(ed_key(), header("EdDSA", "d"), claims())), "alice");
  EXPECT_EQ(user_of(hs256_options(), make_hmac_token(kSecret, {{"alg", "HS256"}}, claims())),
            "alice");
}

TEST_F(TokenAuthenticatorTest, TakesATokenWithoutAKeyIdWhereAKeyFits) {
  EXPECT_EQ(user_of(options(), make_token(ec_key(), {{"alg", "ES256"}}, claims())), "alice");
}

TEST_F(TokenAuthenticatorTest, SaysWhenTheTokenExpires) {
  TokenAuthenticator authenticator(options(), clock_);
  EXPECT_EQ(ask(authenticator, token()).expires_at_s, kNow + 3600);
}

TEST_F(TokenAuthenticatorTest, TakesWhatMintTokenMakes) {
  TokenOptions embedded;
  embedded.hs256_key = kSecret;
  EXPECT_EQ(user_of(std::move(embedded), mint_token(kSecret, "bob", 60, kNow)), "bob");
}

TEST_F(TokenAuthenticatorTest, RefusesTokensThatAreNotSigned) {
  for (const auto* name : {"none", "None", "NONE", "nOnE", ""}) {
    const std::string text = encode_part({{"alg", name}}) + "." + encode_part(claims()) + ".";
    expect_refused(options(), text, name);
    expect_refused(hs256_options(), text, name);
  }
  const std::string unsigned_token =
      encode_part(header("ES256", "e")) + "." + encode_part(claims()) + ".";
  expect_refused(options(), unsigned_token);
}

TEST_F(TokenAuthenticatorTest, RefusesHs256SignedWithThePublicKey) {
  const std::string pem = rsa_key().public_pem();
  const auto n = rsa_key().jwk("r").at("n").as_string();
  for (const std::string& secret : {pem, pem.substr(0, pem.size() - 1), std::string(n),
                                    *base64url_decode({n.data(), n.size()})}) {
    const std::string confused = make_hmac_token(secret, header("HS256", "r"), claims());
    expect_refused(options(), confused);
    auto both = options();
    both.hs256_key = kSecret;
    both.algorithms = {Algorithm::kHs256, Algorithm::kRs256};
    expect_refused(std::move(both), confused);
  }
}

TEST_F(TokenAuthenticatorTest, WithAKeySetHs256IsRefusedUnlessListed) {
  const std::string hs256 = make_hmac_token(kSecret, {{"alg", "HS256"}}, claims());
  auto unlisted = options();
  unlisted.hs256_key = kSecret;
  expect_refused(std::move(unlisted), hs256);
  auto listed = options();
  listed.hs256_key = kSecret;
  listed.algorithms = {Algorithm::kHs256, Algorithm::kEs256};
  EXPECT_EQ(user_of(std::move(listed), hs256), "alice");
}

TEST_F(TokenAuthenticatorTest, RefusesAlgorithmsThatAreNotListed) {
  auto only_rs256 = [&] {
    auto result = options();
    result.algorithms = {Algorithm::kRs256};
    return result;
  };
  expect_refused(only_rs256(), token());
  expect_refused(only_rs256(), make_token(rsa_key(), header("PS256", "r"), claims()));
  expect_refused(only_rs256(), make_hmac_token(kSecret, {{"alg", "HS256"}}, claims()));
  expect_refused(hs256_options(), token());
  EXPECT_EQ(user_of(only_rs256(), make_token(rsa_key(), header("RS256", "r"), claims())), "alice");
}

TEST_F(TokenAuthenticatorTest, RefusesAKeyOfTheWrongTypeAndAnotherPartysKey) {
  expect_refused(options(), make_token(ec_key(), header("ES256", "r"), claims()),
                 "an RSA key's id");
  expect_refused(options(), make_token(ec_key(), header("ES256", "nobody"), claims()),
                 "no such id");
  expect_refused(options(), make_token(SigningKey::ec(), header("ES256", "e"), claims()),
                 "their key");
  auto embedded = header("ES256", "e");
  const SigningKey theirs = SigningKey::ec();
  embedded["jwk"] = theirs.jwk("e");
  embedded["jku"] = "https://attacker.example/keys";
  expect_refused(options(), make_token(theirs, embedded, claims()), "a key that comes along");
  expect_refused(hs256_options(),
                 make_hmac_token(std::string(32, 't'), {{"alg", "HS256"}}, claims()));
}

TEST_F(TokenAuthenticatorTest, RefusesATokenWithAnyPartChanged) {
  const std::string good = token();
  const auto first = good.find('.');
  const auto second = good.rfind('.');
  const std::string other_header = encode_part(with(header("ES256", "e"), "typ", "JWT"));
  const std::string other_claims = encode_part(with(claims(), "sub", "bob"));
  expect_refused(options(), other_header + good.substr(first));
  expect_refused(options(), good.substr(0, first + 1) + other_claims + good.substr(second));
  for (std::size_t at : {second + 1, second + 40, good.size() - 2}) {
    std::string changed = good;
    changed[at] = changed[at] == 'A' ? 'B' : 'A';
    expect_refused(options(), changed);
  }
  expect_refused(options(), good.substr(0, good.size() - 4), "a shorter signature");
  expect_refused(options(), good + "AAAA", "a longer signature");
}

TEST_F(TokenAuthenticatorTest, RefusesTheDerFormOfAnEs256Signature) {
  const std::string text = encode_part(header("ES256", "e")) + "." + encode_part(claims());
  expect_refused(options(), text + "." + base64url_encode(ec_key().sign_der(text)));
}

TEST_F(TokenAuthenticatorTest, RefusesGarbageAndWhatIsTooLong) {
  for (const std::string& garbage :
       {std::string(), std::string("garbage"), std::string(".."), std::string("\0\xff..", 4),
        std::string(17 * 1024, 'A'), std::string(1024 * 1024, '.')}) {
    expect_refused(options(), garbage);
  }
}

TEST_F(TokenAuthenticatorTest, ExpiryAllowsForAMinuteOfSkew) {
  EXPECT_EQ(user_of(options(), token(with(claims(), "exp", kNow - 59))), "alice");
  expect_refused(options(), token(with(claims(), "exp", kNow - 60)));
  expect_refused(options(), token(with(claims(), "exp", kNow - 61)));
  EXPECT_EQ(user_of(options(), token(with(claims(), "exp", static_cast<double>(kNow) + 0.5))),
            "alice");
  expect_refused(options(), token(without(claims(), "exp")), "exp is required");
}

TEST_F(TokenAuthenticatorTest, RefusesTimesThatAreNoTimes) {
  constexpr auto kLargest = std::numeric_limits<std::uint64_t>::max();
  constexpr auto kSmallest = std::numeric_limits<std::int64_t>::min();
  for (const json::value& time : std::vector<json::value>{
           "1900000000", nullptr, true, json::array{}, 1e300, -1e300, kLargest, kSmallest}) {
    for (const auto* name : {"exp", "nbf", "iat"}) {
      expect_refused(options(), token(with(claims(), name, time)), name);
    }
  }
}

TEST_F(TokenAuthenticatorTest, RefusesTokensOfTheFuture) {
  for (const auto* name : {"nbf", "iat"}) {
    EXPECT_EQ(user_of(options(), token(with(claims(), name, kNow + 60))), "alice");
    expect_refused(options(), token(with(claims(), name, kNow + 61)), name);
  }
}

TEST_F(TokenAuthenticatorTest, RefusesOtherIssuers) {
  expect_refused(options(), token(with(claims(), "iss", "https://issuer.example/")));
  expect_refused(options(), token(with(claims(), "iss", json::array{kIssuer})));
  expect_refused(options(), token(without(claims(), "iss")));
}

TEST_F(TokenAuthenticatorTest, ChecksTheAudienceWhereOneIsConfigured) {
  auto expecting = [&] {
    auto result = options();
    result.audiences = {"chat", "chat-staging"};
    return result;
  };
  EXPECT_EQ(user_of(expecting(), token(with(claims(), "aud", "chat"))), "alice");
  EXPECT_EQ(user_of(expecting(), token(with(claims(), "aud", json::array{"x", "chat-staging"}))),
            "alice");
  expect_refused(expecting(), token());
  for (const json::value& audience :
       std::vector<json::value>{"other", "", "chat ", json::array{}, json::array{"other"},
                                json::array{"chat", 1}, json::object{{"chat", 1}}, 7, nullptr}) {
    expect_refused(expecting(), token(with(claims(), "aud", audience)));
  }
  EXPECT_EQ(user_of(options(), token(with(claims(), "aud", "anything"))), "alice");
}

TEST_F(TokenAuthenticatorTest, UnderstandsAccessTokensOfCognito) {
  auto expecting = [&] {
    auto result = options();
    result.audiences = {"client-1"};
    return result;
  };
  const auto access = with(with(claims(), "token_use", "access"), "client_id", "client-1");
  EXPECT_EQ(user_of(expecting(), token(access)), "alice");
  expect_refused(expecting(), token(with(access, "client_id", "client-2")));
  expect_refused(expecting(), token(without(access, "client_id")));
  expect_refused(expecting(), token(without(access, "token_use")));
  expect_refused(expecting(), token(with(access, "aud", "other")), "aud counts where there is one");

  const auto id = with(with(claims(), "token_use", "id"), "aud", "client-1");
  expect_refused(expecting(), token(id));
  expect_refused(options(), token(id), "also without an audience");
  auto accepting = expecting();
  accepting.accept_cognito_id_tokens = true;
  EXPECT_EQ(user_of(std::move(accepting), token(id)), "alice");
}

TEST_F(TokenAuthenticatorTest, RefusesSubjectsThatAreNoUserId) {
  expect_refused(options(), token(without(claims(), "sub")));
  for (const json::value& subject :
       std::vector<json::value>{"", 7, nullptr, json::array{"alice"}, text(std::string(257, 'a')),
                                text(std::string("a\0b", 3)), "a\nb", "\xC2\x85"}) {
    expect_refused(options(), token(with(claims(), "sub", subject)));
  }
  EXPECT_EQ(user_of(options(), token(with(claims(), "sub", "木村"))), "木村");
}

TEST_F(TokenAuthenticatorTest, ARememberedTokenStillExpires) {
  TokenAuthenticator authenticator(options(), clock_);
  const std::string short_lived = token(with(claims(), "exp", kNow + 10));
  EXPECT_EQ(ask(authenticator, short_lived).user_id.value(), "alice");
  clock_.advance_ms(69'999);
  EXPECT_EQ(ask(authenticator, short_lived).user_id.value(), "alice");
  clock_.advance_ms(1);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(error_of([&] { ask(authenticator, short_lived); }), ErrorCode::kUnauthenticated);
  }
}

TEST_F(TokenAuthenticatorTest, ARememberedTokenDiesWithItsKey) {
  TokenAuthenticator authenticator(options(), clock_);
  const std::string of_e = token();
  const std::string of_d = make_token(ed_key(), header("EdDSA", "d"), claims());
  EXPECT_EQ(ask(authenticator, of_e).user_id.value(), "alice");
  EXPECT_EQ(ask(authenticator, of_d).user_id.value(), "alice");
  keys_ = make_key_set({ed_key().jwk("d")});
  clock_.advance_ms(10 * 60'000);
  EXPECT_EQ(error_of([&] { ask(authenticator, of_e); }), ErrorCode::kUnauthenticated);
  EXPECT_EQ(ask(authenticator, of_d).user_id.value(), "alice");
}

TEST_F(TokenAuthenticatorTest, ANewKeyIsFoundAtOnce) {
  TokenAuthenticator authenticator(options(), clock_);
  EXPECT_EQ(ask(authenticator, token()).user_id.value(), "alice");
  const SigningKey fresh = SigningKey::ec();
  const std::string of_fresh = make_token(fresh, header("ES256", "fresh"), claims());
  keys_ = make_key_set({ec_key().jwk("e"), fresh.jwk("fresh")});
  EXPECT_EQ(ask(authenticator, of_fresh).user_id.value(), "alice");
}

Task<std::string> counted(int* fetches, const std::string* text) {
  ++*fetches;
  co_return *text;
}

TEST_F(TokenAuthenticatorTest, TokensOfStrangersDoNotCauseFetches) {
  int fetches = 0;
  auto counting = options();
  counting.key_set =
      std::make_shared<FetchedKeySet>([&] { return counted(&fetches, &keys_); }, clock_);
  TokenAuthenticator authenticator(std::move(counting), clock_);
  const auto foreign = with(claims(), "iss", "https://attacker.example");
  for (const auto& bad : {make_token(ec_key(), header("ES256", "x"), foreign), std::string("a.b.c"),
                          make_hmac_token(kSecret, header("HS256", "x"), claims())}) {
    EXPECT_EQ(error_of([&] { ask(authenticator, bad); }), ErrorCode::kUnauthenticated);
  }
  EXPECT_EQ(fetches, 0);
  for (int i = 0; i < 20; ++i) {
    const std::string id = "unknown" + std::to_string(i);
    const auto bad = make_token(ec_key(), header("ES256", id.c_str()), claims());
    EXPECT_EQ(error_of([&] { ask(authenticator, bad); }), ErrorCode::kUnauthenticated);
  }
  EXPECT_EQ(fetches, 2) << "the first, and one for all unknown keys of this minute";
}

TEST_F(TokenAuthenticatorTest, IsUnavailableWhenThereAreNoKeysButHs256StillWorks) {
  keys_ = "<html>";
  auto both = options();
  both.hs256_key = kSecret;
  both.algorithms = {Algorithm::kHs256, Algorithm::kEs256};
  TokenAuthenticator authenticator(std::move(both), clock_);
  EXPECT_EQ(error_of([&] { ask(authenticator, token()); }), ErrorCode::kUnavailable);
  const std::string hs256 = make_hmac_token(kSecret, {{"alg", "HS256"}}, claims());
  for (int i = 0; i < 2; ++i) EXPECT_EQ(ask(authenticator, hs256).user_id.value(), "alice");
}

TEST_F(TokenAuthenticatorTest, ServesManyThreadsAtOnce) {
  TokenAuthenticator authenticator(options(), clock_);
  std::vector<std::string> tokens;
  for (int i = 0; i < 20; ++i) {
    tokens.push_back(token(with(claims(), "sub", text("user" + std::to_string(i)))));
  }
  std::atomic<int> good = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (std::size_t i = 0; i < 100; ++i) {
          const auto n = i % tokens.size();
          const auto identity = run_task(authenticator.authenticate(tokens[n]));
          if (identity.user_id.value() == "user" + std::to_string(n)) ++good;
        }
      });
    }
  }
  EXPECT_EQ(good, 400);
}

TEST_F(TokenAuthenticatorTest, RefusesOptionsThatDoNotGoTogether) {
  const auto refused = [&](TokenOptions bad) {
    return error_of([&] { TokenAuthenticator authenticator(std::move(bad), clock_); });
  };
  EXPECT_EQ(refused({}), ErrorCode::kInvalid) << "no key at all";
  auto no_issuer = hs256_options();
  no_issuer.issuer.clear();
  EXPECT_EQ(refused(std::move(no_issuer)), ErrorCode::kInvalid);
  auto no_key_set = hs256_options();
  no_key_set.algorithms = {Algorithm::kHs256, Algorithm::kRs256};
  EXPECT_EQ(refused(std::move(no_key_set)), ErrorCode::kInvalid);
  auto no_secret = options();
  no_secret.algorithms = {Algorithm::kHs256};
  EXPECT_EQ(refused(std::move(no_secret)), ErrorCode::kInvalid);
  auto short_secret = hs256_options();
  short_secret.hs256_key = "short";
  EXPECT_EQ(refused(std::move(short_secret)), ErrorCode::kInvalid);
}

}  // namespace
}  // namespace colloquy::auth
