// Feeds bytes to the check of tokens and to the parser of key sets. The first
// byte chooses: 0 a whole token; 1 a key set, which then judges a token; 2 a
// token's header and claims (apart at the first line end), signed with the right
// key, so that what lies behind the signature is reached too.
#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "auth/base64url.h"
#include "auth/token_authenticator.h"
#include "auth/user_id.h"
#include "base/error.h"

namespace {

using namespace colloquy;

constexpr std::int64_t kNowMs = 1'800'000'000'000;
// Of the example of RFC 7517, appendix A.1.
constexpr std::string_view kKeySet =
    R"({"keys":[{"kty":"EC","crv":"P-256","kid":"e",
    "x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
    "y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"},
    {"kty":"OKP","crv":"Ed25519","kid":"d","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]})";
const std::string kSecret(32, 's');

Task<std::string> constant(std::string text) { co_return text; }

// Whatever comes in: an identity with a good user id, or one of the two errors that are promised.
void authenticate(auth::Authenticator& authenticator, std::string token) {
  boost::asio::io_context loop;
  boost::asio::co_spawn(loop, authenticator.authenticate(std::move(token)),
                        [](std::exception_ptr error, const auth::Identity& identity) {
                          if (!error) {
                            if (!auth::is_user_id(identity.user_id.value())) std::abort();
                            return;
                          }
                          try {
                            std::rethrow_exception(error);
                          } catch (const Error& refused) {
                            if (refused.code() != ErrorCode::kUnauthenticated &&
                                refused.code() != ErrorCode::kUnavailable) {
                              std::abort();
                            }
                          }
                        });
  loop.run();
}

std::unique_ptr<auth::Authenticator> make_authenticator(const Clock& clock, std::string keys) {
  auth::TokenOptions options;
  options.hs256_key = kSecret;
  options.key_set = std::make_shared<auth::FetchedKeySet>(
      [keys = std::move(keys)] { return constant(keys); }, clock);
  options.algorithms.assign(auth::kPublicKeyAlgorithms.begin(), auth::kPublicKeyAlgorithms.end());
  options.algorithms.push_back(auth::Algorithm::kHs256);
  options.audiences = {"chat"};
  return std::make_unique<auth::TokenAuthenticator>(std::move(options), clock);
}

std::string signed_token(std::string_view text) {
  const auto line_end = std::min(text.find('\n'), text.size());
  const auto rest = std::min(line_end + 1, text.size());
  std::string token = auth::base64url_encode(text.substr(0, line_end)) + "." +
                      auth::base64url_encode(text.substr(rest));
  const std::string signature = auth::base64url_encode(auth::hmac_sha256(kSecret, token));
  return token + "." + signature;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const ManualClock clock(kNowMs);
  static const auto authenticator = make_authenticator(clock, std::string(kKeySet));
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      authenticate(*authenticator, std::string(text));
      break;
    case 1: {
      // A token of the embedded issuer whose key the set may or may not hold.
      const auto with_these_keys = make_authenticator(clock, std::string(text));
      authenticate(*with_these_keys,
                   auth::base64url_encode(R"({"alg":"ES256"})") + "." +
                       auth::base64url_encode(R"({"iss":"colloquy","sub":"a","exp":1900000000})") +
                       "." + auth::base64url_encode(std::string(64, '\x01')));
      break;
    }
    default:
      authenticate(*authenticator, signed_token(text));
  }
  return 0;
}
