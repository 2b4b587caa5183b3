#include "keyring/aws/kms_master_keys.h"

#include <boost/json/monotonic_resource.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <utility>

#include "base/base64.h"
#include "base/error.h"
#include "base/json_writer.h"
#include "base/limits.h"
#include "keyring/data_key.h"
#include "net/url.h"

namespace colloquy::keyring {
namespace {

namespace json = boost::json;

constexpr std::string_view kName = "kms:";
constexpr std::size_t kKeyNameBytes = 2048;

std::string host_of(const std::string& endpoint) {
  auto url = net::parse_url(endpoint);
  if (!url || !url->user_info.empty() || url->target != "/") {
    throw Error(ErrorCode::kInvalid, "is not an http or https URL without a path");
  }
  return url->authority();
}

Error out(const std::string& operation, const std::string& why) {
  return unavailable("The keys cannot be reached right now.", "KMS " + operation + ": " + why)
      .with_retry_after(2);
}

// An answer, in memory that is wiped.
class Answer {
 public:
  explicit Answer(const std::string& body) {
    boost::system::error_code failed;
    value_ = json::parse(body, failed, &memory_);
    if (failed || !value_.is_object()) value_ = json::object(&memory_);
  }
  ~Answer() {
    value_ = nullptr;
    wipe(buffer_);
  }
  Answer(const Answer&) = delete;
  Answer& operator=(const Answer&) = delete;

  const json::object& object() const { return value_.get_object(); }

 private:
  std::string buffer_ = std::string(16 * limits::kKiB, '\0');
  json::monotonic_resource memory_{reinterpret_cast<unsigned char*>(buffer_.data()),
                                   buffer_.size()};
  json::value value_ = json::value(json::storage_ptr(&memory_));
};

std::string text_at(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
}

// Such as com.amazonaws.kms#NotFoundException.
std::string type_of(const json::object& refusal) {
  auto type = text_at(refusal, "__type");
  return type.substr(type.rfind('#') + 1).substr(0, 64);
}

// An alias may have been moved to another key, and one of several regions has another name in each;
// what was wrapped tells the service which key it was.
bool is_of_one_key(std::string_view key) {
  return !key.starts_with("alias/") && key.find(":alias/") == std::string_view::npos &&
         key.find("mrk-") == std::string_view::npos;
}

void write_context(JsonWriter& writer, std::string_view context) {
  writer.key("EncryptionContext").begin_object().key("colloquy").string(context).end_object();
}

std::string encrypt_body(std::string_view key, std::string_view secret, std::string_view context) {
  auto plain = base64_encode(secret);
  WipeAtEnd wipe_plain(plain);
  std::string body;
  body.reserve(limits::kKiB);  // so that no piece of it stays behind
  JsonWriter writer(body);
  writer.begin_object().key("KeyId").string(key).key("Plaintext").string(plain);
  write_context(writer, context);
  writer.end_object();
  return body;
}

std::string decrypt_body(std::string_view key, std::string_view wrapped, std::string_view context) {
  std::string body;
  JsonWriter writer(body);
  writer.begin_object();
  if (is_of_one_key(key)) writer.key("KeyId").string(key);
  writer.key("CiphertextBlob").string(base64_encode(wrapped));
  write_context(writer, context);
  writer.end_object();
  return body;
}

}  // namespace

KmsMasterKeys::KmsMasterKeys(KmsOptions options, net::HttpClient& http,
                             std::shared_ptr<aws::CachingCredentials> credentials,
                             const Clock& clock)
    : options_(std::move(options)),
      host_(host_of(options_.endpoint)),
      http_(http),
      credentials_(std::move(credentials)),
      clock_(clock) {}

bool KmsMasterKeys::unwraps(std::string_view master) { return master.starts_with(kName); }

Task<KmsMasterKeys::Outcome> KmsMasterKeys::call(std::string operation, std::string body,
                                                 std::string wanted) {
  WipeAtEnd wipe_body(body);
  auto credentials = co_await credentials_->current();
  net::HttpRequest request;
  WipeAtEnd wipe_request(request.body);
  request.method = "POST";
  request.url = options_.endpoint;
  request.headers.push_back({"Content-Type", "application/x-amz-json-1.1"});
  request.headers.push_back({"X-Amz-Target", "TrentService." + operation});
  aws::SigningRequest signing;
  signing.method = request.method;
  signing.host = host_;
  signing.headers = &request.headers;
  signing.body = body;
  aws::SigningScope scope{options_.region, "kms"};
  auto fields = aws::sign(signing, *credentials, scope, clock_.now_ms(), signing_keys_);
  for (auto& field : fields) request.headers.push_back(std::move(field));
  request.headers.push_back({"Host", host_});
  request.body = std::move(body);
  net::HttpResponse response;
  WipeAtEnd wipe_response(response.body);
  std::string failure;
  try {
    response = co_await aws::call_endpoint(http_, std::move(request), options_.policy);
  } catch (const net::NetError& error) {
    failure = error.what();
  }
  if (!failure.empty()) throw out(operation, failure);
  const Answer answer(response.body);
  if (response.status == 200) {
    auto text = text_at(answer.object(), wanted);
    WipeAtEnd wipe_text(text);
    auto bytes = base64_decode(text);
    auto key = text_at(answer.object(), "KeyId");
    bool good = bytes && !bytes->empty() && !key.empty() && key.size() <= kKeyNameBytes &&
                key.find_first_of(" \r\n") == std::string::npos;
    if (!good) throw out(operation, "the answer is garbled");
    co_return Outcome{std::move(*bytes), std::string(kName) + key};
  }
  auto type = type_of(answer.object());
  if (type == "ExpiredTokenException" || type == "UnrecognizedClientException") {
    credentials_->reject(credentials->access_key_id);
  }
  if (type == "InvalidCiphertextException" || type == "IncorrectKeyException") {
    throw internal_error("KMS " + operation + ": " + type +
                         ": a wrapped data key was changed, or is not where it belongs");
  }
  throw out(operation, "status " + std::to_string(response.status) + " " + type);
}

// No other call tells which key an alias is of without another permission.
Task<std::string> KmsMasterKeys::current() {
  auto wrapped = co_await wrap("which key?", "which key?");
  co_return std::move(wrapped.master);
}

Task<Wrapped> KmsMasterKeys::wrap(std::string secret, std::string context) {
  WipeAtEnd wipe_secret(secret);
  auto outcome =
      co_await call("Encrypt", encrypt_body(options_.key, secret, context), "CiphertextBlob");
  co_return Wrapped{std::move(outcome.key), std::move(outcome.bytes)};
}

Task<std::string> KmsMasterKeys::unwrap(Wrapped wrapped, std::string context) {
  auto key = wrapped.master.substr(kName.size());
  auto outcome = co_await call("Decrypt", decrypt_body(key, wrapped.bytes, context), "Plaintext");
  co_return std::move(outcome.bytes);
}

}  // namespace colloquy::keyring
