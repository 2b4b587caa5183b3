// Signature Version 4 (AWS General Reference, "Signing AWS API requests"), in the header fields.
// Pure but for the cache of keys; any thread. Every service but S3.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "net/http_client.h"
#include "store/dynamodb/aws/credentials.h"
#include "store/dynamodb/aws/hmac.h"

namespace colloquy::aws {

// Whom a signature is for, such as {"eu-central-1", "dynamodb"}.
struct SigningScope {
  std::string region;
  std::string service;
};

// A request as it will be sent. Only views: what they show must outlive the call.
struct SigningRequest {
  std::string_view method;
  std::string_view host;        // the value of Host as sent, with the port where there is one
  std::string_view path = "/";  // of the request line, as encoded there
  std::string_view query;       // of the request line, as encoded there, without '?'
  const std::vector<net::HeaderField>* headers = nullptr;  // without Host; null: none
  std::string_view body;
  std::string_view body_sha256;     // 64 lower-case hexadecimal digits; empty: body is hashed here
  bool add_content_sha256 = false;  // also gives X-Amz-Content-Sha256, and signs it
};

// Keys derived for a day, a region and a service, so that deriving one costs nothing all day.
// Thread-safe. Keeps few: past those the oldest is forgotten.
class SigningKeys {
 public:
  std::shared_ptr<const HmacKey> get(std::string_view secret_access_key, std::string_view date,
                                     const SigningScope& scope);

 private:
  struct Entry {
    std::string secret_access_key;
    std::string date;
    std::string region;
    std::string service;
    std::shared_ptr<const HmacKey> key;
  };
  static constexpr std::size_t kEntriesMax = 8;

  std::mutex mutex_;
  std::vector<Entry> entries_;  // guarded by mutex_
  std::size_t oldest_ = 0;      // guarded by mutex_
};

// The fields to add to the request: X-Amz-Date, X-Amz-Security-Token where the credentials have
// one, X-Amz-Content-Sha256 where asked for, Authorization. `time_ms` is Unix time. Throws
// kInternal when the headers hold one of these or Host already.
std::vector<net::HeaderField> sign(const SigningRequest& request, const Credentials& credentials,
                                   const SigningScope& scope, std::int64_t time_ms,
                                   SigningKeys& keys);

}  // namespace colloquy::aws
