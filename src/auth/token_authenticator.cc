#include "auth/token_authenticator.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <cmath>
#include <string_view>
#include <utility>

#include "auth/jwt.h"
#include "auth/strict_json.h"
#include "auth/user_id.h"
#include "base/error.h"

namespace colloquy::auth {
namespace {

namespace json = boost::json;

// A NumericDate (RFC 7519 section 2): seconds, perhaps with a fraction. Beyond the bound, some 30
// million years, nothing means a time any more and sums could overflow.
constexpr std::int64_t kSecondsMax = 1'000'000'000'000'000;

std::optional<std::int64_t> numeric_date(const json::value& value) {
  if (const auto* whole = value.if_int64()) {
    if (*whole < -kSecondsMax || *whole > kSecondsMax) return std::nullopt;
    return *whole;
  }
  if (const auto* fraction = value.if_double()) {
    const bool in_range = std::abs(*fraction) <= static_cast<double>(kSecondsMax);
    if (!in_range) return std::nullopt;  // NaN too
    return static_cast<std::int64_t>(std::floor(*fraction));
  }
  return std::nullopt;  // an unsigned value that is not an int64 is past the bound
}

// The time in a claim; nullopt where there is none. Throws when it is no time.
std::optional<std::int64_t> time_claim(const json::object& claims, const char* name) {
  const json::value* value = claims.if_contains(name);
  if (value == nullptr) return std::nullopt;
  const auto time = numeric_date(*value);
  if (!time) throw unauthenticated("A time in the token is malformed.");
  return time;
}

std::string_view text_claim(const json::object& claims, std::string_view name) {
  const json::string* text = string_member(claims, name);
  return text == nullptr ? std::string_view() : std::string_view(text->data(), text->size());
}

bool contains(const std::vector<std::string>& list, std::string_view text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

// `aud` is one string or an array of them (RFC 7519 section 4.1.3).
bool names_audience(const json::value& value, const std::vector<std::string>& audiences) {
  if (const json::string* text = value.if_string()) {
    return contains(audiences, {text->data(), text->size()});
  }
  const json::array* list = value.if_array();
  if (list == nullptr) return false;
  const bool all_text =
      std::all_of(list->begin(), list->end(), [](const json::value& v) { return v.is_string(); });
  return all_text && std::any_of(list->begin(), list->end(), [&](const json::value& v) {
           return contains(audiences, {v.get_string().data(), v.get_string().size()});
         });
}

bool verified_by_any(const std::vector<const Jwk*>& keys, Algorithm algorithm, const Jwt& jwt) {
  return std::any_of(keys.begin(), keys.end(), [&](const Jwk* jwk) {
    return jwk->key.verify(algorithm, jwt.signed_text, jwt.signature);
  });
}

Error bad_option(std::string setting, std::string message) {
  return Error(ErrorCode::kInvalid, message).with_field(std::move(setting), message);
}

Error expired() { return unauthenticated("The token has expired."); }
Error badly_signed() { return unauthenticated("The token's signature is not valid."); }

}  // namespace

TokenAuthenticator::TokenAuthenticator(TokenOptions options, const Clock& clock)
    : options_(std::move(options)), clock_(clock), cache_(options_.cached_tokens) {
  auto& algorithms = options_.algorithms;
  if (algorithms.empty()) {
    if (options_.key_set) {
      algorithms.assign(kPublicKeyAlgorithms.begin(), kPublicKeyAlgorithms.end());
    } else {
      algorithms.push_back(Algorithm::kHs256);
    }
  }
  if (options_.issuer.empty()) throw bad_option("issuer", "An issuer is needed.");
  for (const Algorithm algorithm : algorithms) {
    if (algorithm == Algorithm::kHs256 && !options_.hs256_key) {
      throw bad_option("algorithms", "HS256 needs a token key.");
    }
    if (algorithm != Algorithm::kHs256 && !options_.key_set) {
      throw bad_option("algorithms", std::string(algorithm_name(algorithm)) + " needs a key set.");
    }
  }
  if (options_.hs256_key) hs256_key_ = VerificationKey::hmac(std::move(*options_.hs256_key));
  options_.hs256_key.reset();
}

bool TokenAuthenticator::is_listed(Algorithm algorithm) const {
  const auto& list = options_.algorithms;
  return std::find(list.begin(), list.end(), algorithm) != list.end();
}

bool TokenAuthenticator::has_expired(std::int64_t expires_at_s) const {
  return clock_.now_s() >= expires_at_s + options_.clock_skew_s;
}

Task<Identity> TokenAuthenticator::authenticate(std::string token) {
  if (token.size() > kTokenBytesMax) throw unauthenticated("The token is too long.");
  const TokenDigest digest = digest_token(token);
  std::optional<Identity> recalled = co_await recall(digest);
  if (recalled) co_return std::move(*recalled);

  const Jwt jwt = parse_jwt(token);
  if (text_claim(jwt.claims, "iss") != options_.issuer) {
    throw unauthenticated("The token is not of the issuer that this server trusts.");
  }
  const std::uint64_t key_set_version = co_await verify(jwt);
  Identity identity = check_claims(jwt);
  cache_.put(digest, CachedToken{identity, key_set_version});
  co_return identity;
}

Task<std::optional<Identity>> TokenAuthenticator::recall(const TokenDigest& digest) {
  std::optional<CachedToken> cached = cache_.find(digest);
  if (!cached) co_return std::nullopt;
  if (has_expired(cached->identity.expires_at_s)) {
    cache_.erase(digest);
    throw expired();
  }
  if (cached->key_set_version != 0) {
    const KeySet::Snapshot keys = co_await options_.key_set->current();
    if (keys->version != cached->key_set_version) {
      cache_.erase(digest);
      co_return std::nullopt;
    }
  }
  co_return std::move(cached->identity);
}

Task<std::uint64_t> TokenAuthenticator::verify(const Jwt& jwt) {
  const auto algorithm = parse_algorithm(jwt.algorithm);
  if (!algorithm || !is_listed(*algorithm)) {
    throw unauthenticated("The token's algorithm is not accepted here.");
  }
  if (*algorithm == Algorithm::kHs256) {
    if (!hs256_key_->verify(*algorithm, jwt.signed_text, jwt.signature)) throw badly_signed();
    co_return 0;
  }
  KeySet::Snapshot keys = co_await options_.key_set->current();
  auto candidates = keys->keys.candidates(*algorithm, jwt.key_id);
  if (candidates.empty()) {
    keys = co_await options_.key_set->newer_than(keys->version);
    candidates = keys->keys.candidates(*algorithm, jwt.key_id);
  }
  if (candidates.empty()) throw unauthenticated("The token was signed with an unknown key.");
  if (!verified_by_any(candidates, *algorithm, jwt)) throw badly_signed();
  co_return keys->version;
}

Identity TokenAuthenticator::check_claims(const Jwt& jwt) const {
  const auto expires_at_s = time_claim(jwt.claims, "exp");
  if (!expires_at_s) throw unauthenticated("The token does not say when it expires.");
  if (has_expired(*expires_at_s)) throw expired();
  const std::int64_t latest_s = clock_.now_s() + options_.clock_skew_s;
  if (time_claim(jwt.claims, "nbf").value_or(latest_s) > latest_s ||
      time_claim(jwt.claims, "iat").value_or(latest_s) > latest_s) {
    throw unauthenticated("The token is not valid yet.");
  }
  check_audience(jwt);
  const std::string_view subject = text_claim(jwt.claims, "sub");
  if (!is_user_id(subject)) {
    throw unauthenticated("The token does not name a user that can be served.");
  }
  return {UserId(std::string(subject)), *expires_at_s};
}

void TokenAuthenticator::check_audience(const Jwt& jwt) const {
  const std::string_view token_use = text_claim(jwt.claims, "token_use");
  if (token_use == "id" && !options_.accept_cognito_id_tokens) {
    throw unauthenticated("This is an ID token; an access token is needed.");
  }
  if (options_.audiences.empty()) return;
  const json::value* audience = jwt.claims.if_contains("aud");
  const bool meant_for_us =
      audience == nullptr ? token_use == "access" &&
                                contains(options_.audiences, text_claim(jwt.claims, "client_id"))
                          : names_audience(*audience, options_.audiences);
  if (!meant_for_us) throw unauthenticated("The token is not meant for this server.");
}

}  // namespace colloquy::auth
