// Judges the tokens that tokens.mjs writes, read from standard input, and says
// which were judged otherwise than expected. With `mint` it writes a token of
// ours for accepts.mjs instead.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <boost/json/value_to.hpp>
#include <cstring>
#include <exception>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include "auth/token_authenticator.h"
#include "base/error.h"

namespace {

namespace json = boost::json;
using namespace colloquy;

std::string text_of(const json::value& object, const char* name) {
  return json::value_to<std::string>(object.at(name));
}

Task<std::string> constant(std::string text) { co_return text; }

std::unique_ptr<auth::Authenticator> make_authenticator(const json::value& setup,
                                                        const Clock& clock) {
  auth::TokenOptions options;
  const std::string keys = json::serialize(setup.at("jwks"));
  options.key_set = std::make_shared<auth::FetchedKeySet>([keys] { return constant(keys); }, clock);
  options.hs256_key = text_of(setup, "hs256_key");
  options.algorithms.assign(auth::kPublicKeyAlgorithms.begin(), auth::kPublicKeyAlgorithms.end());
  options.algorithms.push_back(auth::Algorithm::kHs256);
  options.issuer = text_of(setup, "issuer");
  options.audiences = {text_of(setup, "audience")};
  return std::make_unique<auth::TokenAuthenticator>(std::move(options), clock);
}

// The user's id, or empty where the token is refused, with the reason in `why`.
std::string user_of(auth::Authenticator& authenticator, std::string token, std::string& why) {
  boost::asio::io_context loop;
  std::string user;
  boost::asio::co_spawn(loop, authenticator.authenticate(std::move(token)),
                        [&](std::exception_ptr error, const auth::Identity& identity) {
                          try {
                            if (error) std::rethrow_exception(error);
                            user = identity.user_id.value();
                          } catch (const Error& refused) {
                            why = refused.message();
                            if (refused.code() != ErrorCode::kUnauthenticated) user = "?";
                          }
                        });
  loop.run();
  return user;
}

int judge() {
  const SystemClock clock;
  std::string line;
  if (!std::getline(std::cin, line)) {
    std::cerr << "There is no input.\n";
    return 1;
  }
  const auto authenticator = make_authenticator(json::parse(line), clock);
  int judged = 0;
  int wrong = 0;
  while (std::getline(std::cin, line)) {
    const json::value test = json::parse(line);
    const bool ok = text_of(test, "expect") == "ok";
    std::string why;
    const std::string user = user_of(*authenticator, text_of(test, "token"), why);
    ++judged;
    if (user == (ok ? text_of(test, "user") : std::string())) continue;
    ++wrong;
    std::cerr << text_of(test, "name") << ": expected " << text_of(test, "expect") << ", got "
              << (user.empty() ? "refused: " + why : "user " + user) << "\n";
  }
  std::cout << judged << " tokens judged, " << wrong << " wrongly\n";
  // Far fewer would mean that the script broke off.
  return judged >= 90 && wrong == 0 ? 0 : 1;
}

int mint() {
  const std::string key = "a key of the test, longer than 32 bytes";
  const std::string user = "木村 \"x\"";
  const std::string token = auth::mint_token(key, user, 60, SystemClock().now_s());
  std::cout << json::serialize(json::value{{"key", key}, {"token", token}, {"user", user}}) << "\n";
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return argc > 1 && std::strcmp(argv[1], "mint") == 0 ? mint() : judge();
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
