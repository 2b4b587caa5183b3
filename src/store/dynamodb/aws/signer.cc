#include "store/dynamodb/aws/signer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "base/sha256.h"
#include "base/text.h"
#include "store/dynamodb/aws/canonical_request.h"
#include "store/dynamodb/aws/timestamp.h"

namespace colloquy::aws {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
constexpr std::string_view kTerminator = "aws4_request";

Digest derived(std::string_view key, std::string_view text) { return HmacKey(key).digest(text); }

std::shared_ptr<const HmacKey> derive_key(std::string_view secret, std::string_view date,
                                          const SigningScope& scope) {
  const Digest of_date = derived("AWS4" + std::string(secret), date);
  const Digest of_region = derived(bytes_of(of_date), scope.region);
  const Digest of_service = derived(bytes_of(of_region), scope.service);
  const Digest key = derived(bytes_of(of_service), kTerminator);
  return std::make_shared<const HmacKey>(bytes_of(key));
}

// A field twice, once signed and once not, would be refused by the service with an error that
// helps nobody.
void check_fields(const std::vector<net::HeaderField>& headers) {
  static constexpr std::array<std::string_view, 5> kOwn{
      "host", "authorization", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256"};
  for (const auto& field : headers) {
    for (const auto name : kOwn) {
      if (equals_ignoring_case(field.name, name)) {
        throw internal_error("The signer adds the field " + std::string(name) + " itself.");
      }
    }
  }
}

}  // namespace

std::shared_ptr<const HmacKey> SigningKeys::get(std::string_view secret_access_key,
                                                std::string_view date, const SigningScope& scope) {
  {
    std::scoped_lock lock(mutex_);
    for (const Entry& entry : entries_) {
      if (entry.date == date && entry.secret_access_key == secret_access_key &&
          entry.region == scope.region && entry.service == scope.service) {
        return entry.key;
      }
    }
  }
  auto key = derive_key(secret_access_key, date, scope);
  Entry entry{std::string(secret_access_key), std::string(date), scope.region, scope.service, key};
  std::scoped_lock lock(mutex_);
  if (entries_.size() < kEntriesMax) {
    entries_.push_back(std::move(entry));
  } else {
    entries_[oldest_] = std::move(entry);
    oldest_ = (oldest_ + 1) % kEntriesMax;
  }
  return key;
}

std::vector<net::HeaderField> sign(const SigningRequest& request, const Credentials& credentials,
                                   const SigningScope& scope, std::int64_t time_ms,
                                   SigningKeys& keys) {
  const std::string time = basic_timestamp(time_ms);
  const std::string_view date = std::string_view(time).substr(0, 8);
  const std::string body_sha256 = request.body_sha256.empty()
                                      ? to_hex(bytes_of(sha256({request.body})))
                                      : std::string(request.body_sha256);
  std::vector<net::HeaderField> added;
  added.reserve(4);
  added.push_back({"X-Amz-Date", time});
  if (!credentials.session_token.empty()) {
    added.push_back({"X-Amz-Security-Token", credentials.session_token});
  }
  if (request.add_content_sha256) added.push_back({"X-Amz-Content-Sha256", body_sha256});

  std::vector<net::HeaderField> signed_fields;
  if (request.headers != nullptr) {
    check_fields(*request.headers);
    signed_fields = *request.headers;
  }
  signed_fields.push_back({"host", std::string(request.host)});
  signed_fields.insert(signed_fields.end(), added.begin(), added.end());
  const CanonicalHeaders headers = canonical_headers(signed_fields);

  const std::string path = canonical_path(request.path);
  const std::string query = canonical_query(request.query);
  const Digest canonical_request = sha256({request.method, "\n", path, "\n", query, "\n",
                                           headers.lines, "\n", headers.names, "\n", body_sha256});
  std::string credential_scope(date);
  credential_scope.append("/").append(scope.region).append("/").append(scope.service);
  credential_scope.append("/").append(kTerminator);
  std::string string_to_sign(kAlgorithm);
  string_to_sign.append("\n").append(time).append("\n").append(credential_scope);
  string_to_sign.append("\n").append(to_hex(bytes_of(canonical_request)));
  const auto key = keys.get(credentials.secret_access_key, date, scope);

  std::string authorization(kAlgorithm);
  authorization.append(" Credential=").append(credentials.access_key_id).append("/");
  authorization.append(credential_scope).append(", SignedHeaders=").append(headers.names);
  authorization.append(", Signature=").append(to_hex(bytes_of(key->digest(string_to_sign))));
  added.push_back({"Authorization", std::move(authorization)});
  return added;
}

}  // namespace colloquy::aws
