#include "store/dynamodb/aws/credentials_document.h"

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <string>

#include "store/dynamodb/aws/timestamp.h"

namespace colloquy::aws {
namespace {

namespace json = boost::json;

// Empty when it is missing or null; throws when it is anything but a string.
std::string text_of(const json::object& object, const char* name, std::string_view provider) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr || value->is_null()) return {};
  const json::string* text = value->if_string();
  if (text == nullptr) {
    throw provider_failure(provider, std::string("`") + name + "` of the answer is not a string");
  }
  return {text->data(), text->size()};
}

}  // namespace

std::string_view loggable_code(std::string_view code) {
  const bool plain =
      !code.empty() && code.size() <= 64 && std::all_of(code.begin(), code.end(), [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
               c == '.';
      });
  return plain ? code : "an unreadable code";
}

Credentials parse_credentials_document(std::string_view text, std::string_view provider) {
  json::error_code error;
  const json::value document = json::parse({text.data(), text.size()}, error);
  if (error || !document.is_object()) {
    throw provider_failure(provider, "the answer is not a JSON object");
  }
  const json::object& object = document.get_object();
  const std::string code = text_of(object, "Code", provider);
  if (!code.empty() && code != "Success") {
    throw provider_failure(provider, "the answer says " + std::string(loggable_code(code)));
  }
  Credentials credentials;
  credentials.access_key_id = text_of(object, "AccessKeyId", provider);
  credentials.secret_access_key = text_of(object, "SecretAccessKey", provider);
  credentials.session_token = text_of(object, "Token", provider);
  check_credentials(credentials, provider);
  const std::string expiration = text_of(object, "Expiration", provider);
  if (!expiration.empty()) {
    credentials.expires_at_ms = parse_timestamp(expiration);
    if (!credentials.expires_at_ms) {
      throw provider_failure(provider, "`Expiration` of the answer is not a time");
    }
  }
  return credentials;
}

}  // namespace colloquy::aws
