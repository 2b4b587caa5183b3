#include "auth/jwks.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <utility>

#include "auth/base64url.h"
#include "auth/strict_json.h"
#include "base/error.h"

namespace colloquy::auth {
namespace {

namespace json = boost::json;

[[noreturn]] void refuse(std::string reason) {
  throw Error(ErrorCode::kInvalid, std::move(reason));
}

// The text of a member that must be a string where it is there.
std::optional<std::string> optional_text(const json::object& key, const char* name) {
  if (!key.contains(name)) return std::nullopt;
  const json::string* text = string_member(key, name);
  if (text == nullptr) refuse(std::string("`") + name + "` is not a string.");
  return std::string(text->data(), text->size());
}

std::string decoded_member(const json::object& key, const char* name) {
  const auto text = optional_text(key, name);
  const auto bytes = text ? base64url_decode(*text) : std::nullopt;
  if (!bytes) refuse(std::string("`") + name + "` is missing or not base64url.");
  return *bytes;
}

VerificationKey parse_material(const json::object& key) {
  const auto type = optional_text(key, "kty");
  const auto curve = optional_text(key, "crv");
  if (type == "RSA")
    return VerificationKey::rsa(decoded_member(key, "n"), decoded_member(key, "e"));
  if (type == "EC" && curve == "P-256") {
    return VerificationKey::ec_p256(decoded_member(key, "x"), decoded_member(key, "y"));
  }
  if (type == "OKP" && curve == "Ed25519")
    return VerificationKey::ed25519(decoded_member(key, "x"));
  refuse("Keys of this type are not supported.");
}

// RFC 7517 sections 4.2 and 4.3.
bool may_verify(const json::object& key) {
  const auto use = optional_text(key, "use");
  if (use && *use != "sig") return false;
  const json::value* operations = key.if_contains("key_ops");
  if (operations == nullptr) return true;
  const json::array* list = operations->if_array();
  if (list == nullptr) refuse("`key_ops` is not an array.");
  return std::any_of(list->begin(), list->end(), [](const json::value& operation) {
    return operation.is_string() && operation.get_string() == "verify";
  });
}

Jwk parse_key(const json::object& key) {
  if (!may_verify(key)) refuse("It is not for verifying signatures.");
  if (key.contains("d")) refuse("It holds a private key, which does not belong here.");
  std::optional<Algorithm> algorithm;
  if (const auto name = optional_text(key, "alg")) {
    algorithm = parse_algorithm(*name);
    if (!algorithm) refuse("Its algorithm is not supported.");
  }
  Jwk jwk{optional_text(key, "kid"), algorithm, parse_material(key)};
  if (algorithm && !jwk.key.fits(*algorithm)) refuse("Its algorithm does not go with its type.");
  return jwk;
}

// A key id as the log may show it: it comes from elsewhere, so it is cut short.
std::string label(const json::value& key, std::size_t index) {
  std::string result = "key " + std::to_string(index);
  if (const auto* object = key.if_object()) {
    if (const auto* id = string_member(*object, "kid")) {
      result += " (" + std::string(id->data(), std::min<std::size_t>(id->size(), 64)) + ")";
    }
  }
  return result;
}

}  // namespace

JwkSet JwkSet::parse(std::string_view text) {
  if (text.size() > kKeySetBytesMax) throw malformed("The key set is too large.");
  const auto object = parse_strict_object(text);
  if (!object) throw malformed("The key set is not a JSON object.");
  const json::value* member = object->if_contains("keys");
  const json::array* keys = member == nullptr ? nullptr : member->if_array();
  if (keys == nullptr) throw malformed("The key set has no array `keys`.");
  if (keys->size() > kKeySetKeysMax) throw malformed("The key set has too many keys.");
  JwkSet set;
  for (std::size_t i = 0; i < keys->size(); ++i) {
    const json::value& key = (*keys)[i];
    try {
      if (!key.is_object()) refuse("It is not a JSON object.");
      set.keys_.push_back(parse_key(key.get_object()));
    } catch (const Error& error) {
      set.skipped_.push_back(label(key, i) + ": " + error.message());
    }
  }
  return set;
}

std::vector<const Jwk*> JwkSet::candidates(Algorithm algorithm,
                                           const std::optional<std::string>& key_id) const {
  std::vector<const Jwk*> result;
  for (const Jwk& jwk : keys_) {
    if (result.size() == kCandidatesMax) break;
    if (key_id && jwk.key_id != key_id) continue;
    if (jwk.algorithm && jwk.algorithm != algorithm) continue;
    if (jwk.key.fits(algorithm)) result.push_back(&jwk);
  }
  return result;
}

}  // namespace colloquy::auth
