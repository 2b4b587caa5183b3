#include "tables_access.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <string>
#include <utility>

#include "parts.h"
#include "store/dynamodb/aws/caching_credentials.h"
#include "store/dynamodb/aws/default_chain.h"
#include "store/dynamodb/aws/environment.h"
#include "store/dynamodb/aws/region.h"
#include "telemetry/log.h"

namespace colloquy {
namespace {

// Of another service than Amazon's, which does not look at it.
constexpr const char* kAnyRegion = "us-east-1";
// Of each event loop. As many as may be busy at once: making one costs more than a call does, and
// with TLS some round trips too.
constexpr std::size_t kIdleConnections = 1024;

net::HttpClient::Options client_options() {
  net::HttpClient::Options options;
  options.idle_connections_per_endpoint = kIdleConnections;
  return options;
}

std::string endpoint_of(const config::DynamoDbConfig& config, const std::string& region) {
  if (!config.endpoint.empty()) return config.endpoint;
  return "https://dynamodb." + region + "." + std::string(aws::dns_suffix(region));
}

}  // namespace

std::string find_region(const config::DynamoDbConfig& config, const Clock& clock) {
  auto environment = aws::Environment::of_process();
  if (!config.endpoint.empty() && config.region.empty()) {
    return aws::configured_region(environment).value_or(kAnyRegion);
  }
  boost::asio::io_context loop;
  auto http = make_http_client();
  aws::ProviderContext context{std::move(environment), http.get(), &clock};
  auto region = boost::asio::co_spawn(loop, aws::find_region(config.region, std::move(context)),
                                      boost::asio::use_future);
  loop.run();
  http.reset();
  return region.get();
}

std::shared_ptr<aws::CachingCredentials> make_credentials(net::HttpClient& http, const Clock& clock,
                                                          boost::asio::any_io_executor background) {
  aws::ProviderContext context{aws::Environment::of_process(), &http, &clock};
  aws::CachingOptions caching;
  caching.executor = std::move(background);
  caching.on_refresh = [](const std::string& failure) {
    if (failure.empty()) {
      telemetry::log_info("credentials.renewed");
    } else {
      telemetry::log_warning("credentials.failed", {{"detail", failure}});
    }
  };
  return std::make_shared<aws::CachingCredentials>(aws::make_default_chain(std::move(context)),
                                                   clock, std::move(caching));
}

store::dynamodb::TableNames table_names(const config::DynamoDbConfig& config) {
  return {config.conversations_table, config.messages_table};
}

TablesAccess::TablesAccess(const config::DynamoDbConfig& config, const Clock& clock,
                           telemetry::Metrics& metrics, boost::asio::any_io_executor background)
    : http_(make_http_client(client_options())) {
  store::dynamodb::ClientOptions options;
  options.region = find_region(config, clock);
  options.endpoint = endpoint_of(config, options.region);
  options.attempt_timeout = config.timeout;
  options.call_timeout = config.call_timeout;
  auto credentials = make_credentials(*http_, clock, std::move(background));
  client_ = std::make_unique<store::dynamodb::Client>(std::move(options), *http_,
                                                      std::move(credentials), clock, metrics);
}

}  // namespace colloquy
