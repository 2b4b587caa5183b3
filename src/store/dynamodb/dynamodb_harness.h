// Tables of their own in the DynamoDB Local that COLLOQUY_TEST_DYNAMODB names, and stores on them,
// for tests.
#pragma once

#include <boost/json/serialize.hpp>
#include <cstdlib>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "store/dynamodb/attributes.h"
#include "store/dynamodb/aws/caching_credentials.h"
#include "store/dynamodb/dynamodb_store.h"
#include "store/dynamodb/tables.h"
#include "store/testing/conformance.h"

namespace colloquy::store {

class DynamoDbHarness final : public StoreHarness {
 public:
  explicit DynamoDbHarness(dynamodb::TableOptions tables = {}) {
    options_.updated_index = tables.updated_index;
    RandomIdSource ids;
    auto name = ids.next(SystemClock().now_ms()).to_string();
    options_.tables = {name + "-conversations", name + "-messages"};
    run_task(dynamodb::create_tables(client_, options_.tables, tables, {}));
    // The service would remove by its own clock what by ours is yet to expire.
    for (const auto& table : {options_.tables.conversations, options_.tables.messages}) {
      run_task(turn_off_time_to_live(table));
    }
  }
  ~DynamoDbHarness() override {
    for (const auto& table : {options_.tables.conversations, options_.tables.messages}) {
      run_task(drop(table));
    }
  }

  std::unique_ptr<Store> open() override { return open_dynamodb(); }
  std::unique_ptr<DynamoDbStore> open_dynamodb() { return open_dynamodb(client_); }
  std::unique_ptr<DynamoDbStore> open_dynamodb(dynamodb::Client& client) {
    auto store = std::make_unique<DynamoDbStore>(options_, client, clock_, ids_, metrics_);
    run_task(store->prepare());
    return store;
  }
  // Another way to the same tables.
  std::unique_ptr<dynamodb::Client> connect(std::string url, dynamodb::RetryOptions retries = {}) {
    auto options = client_options_;
    options.endpoint = std::move(url);
    options.retries = retries;
    return std::make_unique<dynamodb::Client>(std::move(options), http_, credentials_, real_clock_,
                                              metrics_);
  }
  void retain(std::optional<std::int64_t> seconds) override {
    options_.retention_seconds = seconds;
  }
  ManualClock& clock() override { return clock_; }
  void settle(Store& store) override { run_task(dynamic_cast<DynamoDbStore&>(store).settle_now()); }
  bool counts_at_once() const override { return false; }
  StoreStats count(Store& store) override;

  DynamoDbOptions& options() { return options_; }
  dynamodb::Client& client() { return client_; }
  telemetry::Metrics& metrics() { return metrics_; }
  Task<std::vector<boost::json::object>> rows(std::string table);
  // Changes an item past the store.
  void update(const std::string& table, boost::json::object key, const std::string& expression);
  // So that it cannot be read.
  void damage(const Conversation& conversation) {
    boost::json::object key{{"user_id", {{"S", conversation.user_id.value()}}},
                            {"conversation_id", {{"S", conversation.id.to_string()}}}};
    update(options_.tables.conversations, std::move(key), "REMOVE created_at, updated_at");
  }

 private:
  static std::string endpoint() {
    const char* url = std::getenv("COLLOQUY_TEST_DYNAMODB");  // NOLINT(concurrency-mt-unsafe)
    if (url == nullptr) throw std::runtime_error("run it by tests/dynamodb/with_local.sh");
    return url;
  }
  Task<> turn_off_time_to_live(std::string table) {
    co_await client_.call("UpdateTimeToLive",
                          "{\"TableName\":\"" + table +
                              "\",\"TimeToLiveSpecification\":{\"Enabled\":false,"
                              "\"AttributeName\":\"ttl\"}}");
  }
  Task<> drop(std::string table) {
    try {
      co_await client_.call("DeleteTable", "{\"TableName\":\"" + table + "\"}");
    } catch (const dynamodb::ServiceError& error) {
      if (error.refusal() != dynamodb::Refusal::kNoSuchTable) throw;  // a test's own doing
    }
  }

  ManualClock clock_{1'700'000'000'000};
  SystemClock real_clock_;
  RandomIdSource ids_;
  telemetry::Metrics metrics_;
  net::HttpClient http_{{}};
  std::shared_ptr<aws::CachingCredentials> credentials_ = std::make_shared<aws::CachingCredentials>(
      std::make_shared<aws::StaticCredentials>(aws::Credentials{"local", "local", "", {}}),
      real_clock_);
  dynamodb::ClientOptions client_options_ = [] {
    dynamodb::ClientOptions options;
    options.endpoint = endpoint();
    options.region = "us-east-1";
    return options;
  }();
  dynamodb::Client client_{client_options_, http_, credentials_, real_clock_, metrics_};
  DynamoDbOptions options_;
};

inline Task<std::vector<boost::json::object>> DynamoDbHarness::rows(std::string table) {
  std::vector<boost::json::object> rows;
  std::string start;
  do {
    auto answer = co_await client_.call("Scan", "{\"TableName\":\"" + table + "\"" + start + "}");
    for (const auto& item : answer.body.at("Items").as_array()) rows.push_back(item.as_object());
    const auto* next = answer.body.if_contains("LastEvaluatedKey");
    start = next == nullptr ? "" : ",\"ExclusiveStartKey\":" + boost::json::serialize(*next);
  } while (!start.empty());
  co_return rows;
}

inline void DynamoDbHarness::update(const std::string& table, boost::json::object key,
                                    const std::string& expression) {
  boost::json::object request{
      {"TableName", table}, {"Key", std::move(key)}, {"UpdateExpression", expression}};
  run_task(client_.call("UpdateItem", boost::json::serialize(request)));
}

// The service removes what has expired, in days: it does not count.
inline StoreStats DynamoDbHarness::count(Store&) {
  StoreStats stats;
  std::set<std::string> living;
  for (const auto& row : run_task(rows(options_.tables.conversations))) {
    dynamodb::AttributeReader from(row);
    auto read = dynamodb::read_conversation(row).conversation;
    read.retention_seconds = options_.retention_seconds;
    if (from.number("ttl") && read.expired(clock_.now_s())) continue;
    ++stats.conversations;
    living.insert(*from.string("conversation_id"));
  }
  for (const auto& row : run_task(rows(options_.tables.messages))) {
    dynamodb::AttributeReader from(row);
    if (!from.number("timestamp")) continue;  // a record of ours
    bool goes_by_itself = from.number("ttl") && !living.contains(*from.string("conversation_id"));
    if (!goes_by_itself) ++stats.messages;
  }
  return stats;
}

}  // namespace colloquy::store
