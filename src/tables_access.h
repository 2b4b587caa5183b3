// How this process reaches the tables in DynamoDB: endpoint, region, credentials, client.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>
#include <string>

#include "base/clock.h"
#include "config/config.h"
#include "net/http_client.h"
#include "store/dynamodb/aws/caching_credentials.h"
#include "store/dynamodb/client.h"
#include "store/dynamodb/rows.h"
#include "telemetry/metrics.h"

namespace colloquy {

store::dynamodb::TableNames table_names(const config::DynamoDbConfig& config);

// The region of a service of Amazon's; blocks for as long as finding it takes. Throws Error where
// none is found.
std::string find_region(const config::DynamoDbConfig& config, const Clock& clock);
// As the AWS SDKs find them; renewed on `background`. What is referred to outlives the event loops.
std::shared_ptr<aws::CachingCredentials> make_credentials(net::HttpClient& http, const Clock& clock,
                                                          boost::asio::any_io_executor background);

class TablesAccess {
 public:
  // Finds the region, and blocks for as long as that takes. Credentials are renewed on
  // `background`. What is referred to outlives it; it goes before the event loops that used it.
  // Throws Error where no region is found, ConfigError for a proxy that is none.
  TablesAccess(const config::DynamoDbConfig& config, const Clock& clock,
               telemetry::Metrics& metrics, boost::asio::any_io_executor background);

  store::dynamodb::Client& client() { return *client_; }

 private:
  std::unique_ptr<net::HttpClient> http_;
  std::unique_ptr<store::dynamodb::Client> client_;
};

}  // namespace colloquy
