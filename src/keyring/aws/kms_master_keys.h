// A master key in AWS KMS: it never leaves the service, which wraps and unwraps for whoever may.
// One call of it for each user's key that comes into memory. What is wrapped names the key itself,
// also where an alias was given, which may be moved to another key: from then on that one wraps.
// Thread-safe; each call runs on the event loop that awaits it.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "keyring/master_keys.h"
#include "net/http_client.h"
#include "store/dynamodb/aws/caching_credentials.h"
#include "store/dynamodb/aws/endpoint.h"
#include "store/dynamodb/aws/signer.h"

namespace colloquy::keyring {

struct KmsOptions {
  std::string key;       // id, ARN or alias, that the service knows the master key by
  std::string endpoint;  // URL of the service
  std::string region;    // that signatures name
  aws::EndpointPolicy policy{std::chrono::milliseconds(2'000), std::chrono::milliseconds(5'000), 3,
                             std::chrono::milliseconds(200)};
};

class KmsMasterKeys final : public MasterKeys {
 public:
  // What is referred to outlives it. Throws Error(kInvalid) when the endpoint is no URL.
  KmsMasterKeys(KmsOptions options, net::HttpClient& http,
                std::shared_ptr<aws::CachingCredentials> credentials, const Clock& clock);

  Task<std::string> current() override;
  bool unwraps(std::string_view master) override;
  Task<Wrapped> wrap(std::string secret, std::string context) override;
  Task<std::string> unwrap(Wrapped wrapped, std::string context) override;

 private:
  struct Outcome {
    std::string bytes;  // that the answer has as `wanted`
    std::string key;    // that the service has used
  };
  Task<Outcome> call(std::string operation, std::string body, std::string wanted);

  const KmsOptions options_;
  const std::string host_;
  net::HttpClient& http_;
  std::shared_ptr<aws::CachingCredentials> credentials_;
  const Clock& clock_;
  aws::SigningKeys signing_keys_;
};

}  // namespace colloquy::keyring
