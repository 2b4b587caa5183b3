// What DynamoDB Local never says: tables in the making, encryption, point-in-time recovery,
// permissions.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/testing/run_task.h"
#include "net/testing/scripted_server.h"
#include "store/dynamodb/table_sizes.h"
#include "store/dynamodb/tables.h"
#include "telemetry/log.h"

namespace colloquy::store::dynamodb {
namespace {

using net::testing::Peer;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

struct Reply {
  int status = 200;
  std::string body = "{}";
};

Reply refusal(const std::string& type, const std::string& message = "no") {
  return {400, R"({"__type":"com.amazonaws.dynamodb.v20120810#)" + type + R"(","message":")" +
                   message + "\"}"};
}

std::string index_json(const std::string& name, const std::string& hash, const std::string& range,
                       const std::string& status) {
  return R"({"IndexName":")" + name + R"(","IndexStatus":")" + status +
         R"(","ItemCount":5,"IndexSizeBytes":80,"Projection":{"ProjectionType":"KEYS_ONLY"},"KeySchema":[{"AttributeName":")" +
         hash + R"(","KeyType":"HASH"},{"AttributeName":")" + range + R"(","KeyType":"RANGE"}]})";
}

struct Said {
  std::string status = "ACTIVE";
  std::string index_status = "ACTIVE";  // empty: there is none
  std::string more = R"("BillingModeSummary":{"BillingMode":"PAY_PER_REQUEST"},
                        "SSEDescription":{"Status":"ENABLED"})";
};

Reply table_said(const std::string& table, const Said& said) {
  bool messages = table == "messages";
  std::string hash = messages ? "conversation_id" : "user_id";
  std::string range = messages ? "message_id" : "conversation_id";
  std::string body = R"({"Table":{"TableName":")" + table + R"(","TableStatus":")" + said.status +
                     R"(","ItemCount":7,"TableSizeBytes":900,"KeySchema":[{"AttributeName":")" +
                     hash + R"(","KeyType":"HASH"},{"AttributeName":")" + range +
                     R"(","KeyType":"RANGE"}],)" + said.more;
  if (!said.index_status.empty()) {
    body += R"(,"GlobalSecondaryIndexes":[)" +
            (messages ? index_json("ConversationTimeIndex", hash, "timestamp", said.index_status)
                      : index_json("UserCreatedIndex", hash, "created_at", said.index_status)) +
            "]";
  }
  return {200, body + "}}"};
}

Reply recovery_said(const std::string& status) {
  return {200, R"({"ContinuousBackupsDescription":{"ContinuousBackupsStatus":"ENABLED",
    "PointInTimeRecoveryDescription":{"PointInTimeRecoveryStatus":")" +
                   status + "\"}}}"};
}

Reply time_to_live_said(const std::string& status) {
  return {200, R"({"TimeToLiveDescription":{"AttributeName":"ttl","TimeToLiveStatus":")" + status +
                   "\"}}"};
}

// A service with both tables as they must be, but for what a test puts before that.
class Service {
 public:
  // The answers to the next such calls on that table.
  void next(const std::string& operation, const std::string& table, std::deque<Reply> replies) {
    replies_[operation + " " + table] = std::move(replies);
  }
  std::string url() { return server_.url(); }
  // "Operation table", in their order.
  std::vector<std::string> calls() {
    std::scoped_lock lock(mutex_);
    return calls_;
  }
  std::vector<std::string> bodies() {
    std::scoped_lock lock(mutex_);
    return bodies_;
  }

 private:
  void answer(Peer& peer) {
    while (auto request = peer.read_request()) {
      auto target = request->header("X-Amz-Target").value_or("");
      auto reply = reply_to(target.substr(target.rfind('.') + 1), request->body);
      peer.send(net::testing::response(reply.status, reply.body));
    }
  }
  Reply reply_to(const std::string& operation, const std::string& body) {
    std::string table =
        body.find("\"messages\"") != std::string::npos ? "messages" : "conversations";
    std::scoped_lock lock(mutex_);
    calls_.push_back(operation + " " + table);
    bodies_.push_back(body);
    auto& replies = replies_[calls_.back()];
    if (!replies.empty()) {
      auto reply = replies.front();
      replies.pop_front();
      return reply;
    }
    if (operation == "DescribeTable") return table_said(table, {});
    if (operation == "DescribeTimeToLive") return time_to_live_said("ENABLED");
    if (operation == "DescribeContinuousBackups") return recovery_said("ENABLED");
    if (operation == "Scan") return {200, R"({"Items":[]})"};
    return {};
  }

  std::mutex mutex_;
  std::map<std::string, std::deque<Reply>> replies_;  // guarded by mutex_, as the next
  std::vector<std::string> calls_;
  std::vector<std::string> bodies_;
  net::testing::ScriptedServer server_{[this](Peer& peer) { answer(peer); }};
};

class ScriptedTables : public testing::Test {
 protected:
  std::vector<std::string> create(TableOptions options = quick()) {
    std::vector<std::string> said;
    auto say = [&said](const std::string& text) { said.push_back(text); };
    run_task(loop_, create_tables(client(), {}, options, say));
    return said;
  }
  std::vector<std::string> check(CheckFor purpose = CheckFor::kOperator) {
    std::vector<std::string> texts;
    for (const auto& finding : run_task(loop_, check_tables(client(), {}, {}, purpose))) {
      bool error = finding.severity == Finding::Severity::kError;
      texts.push_back((error ? "error " : "warning ") + finding.table + ": " + finding.text);
    }
    return texts;
  }
  static TableOptions quick() {
    TableOptions options;
    options.poll_interval = std::chrono::milliseconds(1);
    return options;
  }

  Client& client() {
    if (!client_) {
      ClientOptions options;
      options.endpoint = service.url();
      options.region = "eu-west-1";
      client_ = std::make_unique<Client>(options, http_, credentials_, clock_, metrics);
    }
    return *client_;
  }

  Service service;
  telemetry::Metrics metrics;
  boost::asio::io_context loop_;

 private:
  SystemClock clock_;
  net::HttpClient http_{{}};
  std::shared_ptr<aws::CachingCredentials> credentials_ = std::make_shared<aws::CachingCredentials>(
      std::make_shared<aws::StaticCredentials>(aws::Credentials{"id", "secret", "", {}}), clock_);
  std::unique_ptr<Client> client_;
};

TEST_F(ScriptedTables, ThatAreWhatTheyMustBeAreOnlyLookedAt) {
  create();
  EXPECT_THAT(check(), IsEmpty());
  EXPECT_THAT(service.calls(), Not(Contains(HasSubstr("Update"))));
  EXPECT_THAT(service.calls(), Not(Contains(HasSubstr("CreateTable"))));
}

TEST_F(ScriptedTables, AreWaitedForUntilTheyAndTheirIndexesAreActive) {
  auto gone = refusal("ResourceNotFoundException");
  service.next("DescribeTable", "messages",
               {gone, gone, table_said("messages", {.status = "CREATING"}),
                table_said("messages", {.index_status = "CREATING"}), table_said("messages", {})});
  create();
  auto calls = service.calls();
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "CreateTable messages"), 1);
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "DescribeTable messages"), 5);
  EXPECT_THAT(service.bodies(),
              Contains(AllOf(HasSubstr("PAY_PER_REQUEST"), HasSubstr("KEYS_ONLY"),
                             HasSubstr(R"("SSESpecification":{"Enabled":true})"))));
}

TEST_F(ScriptedTables, ThatAnotherMakesAtTheSameTimeAreWaitedFor) {
  service.next("DescribeTable", "messages", {refusal("ResourceNotFoundException")});
  service.next("CreateTable", "messages", {refusal("ResourceInUseException")});
  EXPECT_THAT(create(), Contains("messages: active"));
}

TEST_F(ScriptedTables, ThatAreNeverDoneAreGivenUp) {
  std::deque<Reply> creating(1000, table_said("messages", {.status = "CREATING"}));
  service.next("DescribeTable", "messages", creating);
  auto options = quick();
  options.patience = std::chrono::milliseconds(50);
  try {
    create(options);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
    EXPECT_THAT(error.message(), HasSubstr("run it again"));
  }
}

TEST_F(ScriptedTables, AnIndexIsAskedForOnceAlsoWhenItShowsLate) {
  auto without = table_said("messages", {.index_status = ""});
  service.next("DescribeTable", "messages",
               {without, without, without, without,
                table_said("messages", {.status = "UPDATING", .index_status = "CREATING"})});
  service.next("UpdateTable", "messages", {refusal("LimitExceededException"), {}});
  create();
  auto calls = service.calls();
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "UpdateTable messages"), 2);
  EXPECT_THAT(service.bodies(), Contains(AllOf(HasSubstr(R"("Create":{"IndexName")"),
                                               Not(HasSubstr("ProvisionedThroughput")))));
}

TEST_F(ScriptedTables, RecoveryIsTurnedOnOnceTheServiceIsReady) {
  service.next("DescribeContinuousBackups", "messages",
               {recovery_said("DISABLED"), recovery_said("DISABLED")});
  service.next("UpdateContinuousBackups", "messages",
               {refusal("ContinuousBackupsUnavailableException"), {}});
  EXPECT_THAT(create(), Contains("messages: point-in-time recovery is on"));
  auto calls = service.calls();
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "UpdateContinuousBackups messages"), 2);
}

TEST_F(ScriptedTables, TimeToLiveThatIsBeingTurnedOffIsTurnedOnAgainAfterwards) {
  service.next("DescribeTimeToLive", "messages",
               {time_to_live_said("DISABLING"), time_to_live_said("DISABLED")});
  create();
  EXPECT_THAT(service.calls(), Contains("UpdateTimeToLive messages").Times(1));
}

TEST_F(ScriptedTables, TimeToLiveThatAnotherHasTurnedOnMeanwhileIsWell) {
  service.next("DescribeTimeToLive", "messages", {time_to_live_said("DISABLED")});
  service.next("UpdateTimeToLive", "messages",
               {refusal("ValidationException", "TimeToLive is already enabled")});
  EXPECT_THAT(create(), Contains(HasSubstr("messages: what has expired is removed")));
}

TEST_F(ScriptedTables, WhatThePermissionsForbidIsToldInTheServicesWords) {
  service.next("DescribeContinuousBackups", "messages", {recovery_said("DISABLED")});
  service.next("UpdateContinuousBackups", "messages",
               {refusal("AccessDeniedException", "not authorized to perform that")});
  try {
    create();
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.detail(), HasSubstr("not authorized to perform that"));
  }
}

TEST_F(ScriptedTables, WhatIsNotInOrderIsFound) {
  service.next(
      "DescribeTable", "conversations",
      {table_said("conversations", {.more = R"("SSEDescription":{"Status":"DISABLED"})"})});
  service.next("DescribeTable", "messages",
               {table_said("messages", {.status = "UPDATING", .index_status = "DELETING"})});
  service.next("DescribeContinuousBackups", "messages", {recovery_said("DISABLED")});
  EXPECT_THAT(
      check(),
      ElementsAre(HasSubstr("warning conversations: it is not encrypted"),
                  "warning messages: it is being changed (UPDATING)",
                  "error messages: its index ConversationTimeIndex is not active (DELETING)",
                  "error messages: its point-in-time recovery is off"));
}

TEST_F(ScriptedTables, ATableThatCannotBeUsedIsAnErrorForServingToo) {
  for (const char* status : {"CREATING", "DELETING", "ARCHIVED"}) {
    service.next("DescribeTable", "messages", {table_said("messages", {.status = status})});
    EXPECT_THAT(check(CheckFor::kServing),
                ElementsAre(HasSubstr("error messages: it is not active")))
        << status;
  }
}

TEST_F(ScriptedTables, ServingAsksForNoMoreThanItsPolicyAllows) {
  check(CheckFor::kServing);
  EXPECT_THAT(service.calls(),
              ElementsAre("DescribeTable conversations", "DescribeTimeToLive conversations",
                          "Scan conversations", "DescribeTable messages",
                          "DescribeTimeToLive messages", "Scan messages", "GetItem messages"));
}

TEST_F(ScriptedTables, WhatMayNotBeAskedIsAWarningButTheTableItself) {
  auto denied = refusal("AccessDeniedException", "not authorized");
  service.next("DescribeTimeToLive", "messages", {denied});
  service.next("DescribeContinuousBackups", "messages", {denied});
  service.next("Scan", "messages", {denied});
  EXPECT_THAT(check(), ElementsAre(HasSubstr("DescribeTimeToLive is not allowed"),
                                   HasSubstr("DescribeContinuousBackups is not allowed"),
                                   HasSubstr("Scan is not allowed")));
  service.next("DescribeTable", "messages", {denied});
  EXPECT_THROW(check(), Error);
}

TEST_F(ScriptedTables, AnAnswerThatMakesNoSenseIsFoundAndHarmsNobody) {
  for (const char* body :
       {"{}", R"({"Table":[]})", R"({"Table":{"TableStatus":7,"KeySchema":[1,{"KeyType":{}}],
         "ItemCount":"x","TableSizeBytes":1e99,"GlobalSecondaryIndexes":{},"SSEDescription":0,
         "AttributeDefinitions":[[]],"BillingModeSummary":[]}})"}) {
    service.next("DescribeTable", "messages", {{200, body}, {200, body}});
    EXPECT_THAT(check(), Contains(HasSubstr("error messages: its key is"))) << body;
    EXPECT_THROW(create(), Error) << body;
  }
  service.next("Scan", "messages", {{200, R"({"Items":[{"conversation_id":7}]})"}});
  EXPECT_THROW(check(), Error);
}

TEST_F(ScriptedTables, SizesStayWhatTheyWereWhileTheServiceIsOut) {
  TableSizes sizes(client(), {}, metrics);
  run_task(loop_, sizes.refresh());
  EXPECT_EQ(sizes.stats().disk_bytes, 1800U);
  service.next("DescribeTable", "messages", {refusal("AccessDeniedException")});
  EXPECT_THROW(run_task(loop_, sizes.refresh()), Error);
  EXPECT_EQ(sizes.stats().messages, 7U);
}

// Standard error, sent to a file for the time of a test.
class LogFile {
 public:
  LogFile() : saved_(dup(STDERR_FILENO)) {
    const int file = open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    dup2(file, STDERR_FILENO);
    close(file);
    telemetry::start_log(telemetry::LogLevel::kWarning);
  }
  std::string finish() {
    telemetry::stop_log();
    dup2(saved_, STDERR_FILENO);
    close(saved_);
    std::ifstream file(path_);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

 private:
  const std::string path_ = testing::TempDir() + "colloquy_table_sizes_test.txt";
  const int saved_;
};

TEST_F(ScriptedTables, SizesThatCannotBeAskedForStayAndAreToldOnce) {
  TableSizes sizes(client(), {}, metrics);
  run_task(loop_, sizes.refresh());
  const auto denied = refusal("AccessDeniedException");
  service.next("DescribeTable", "conversations",
               {denied, denied, table_said("conversations", {}), denied});
  LogFile log;
  for (int i = 0; i < 2; ++i) run_task(loop_, sizes.look());
  EXPECT_EQ(sizes.stats().conversations, 7U);
  EXPECT_THAT(metrics.render(),
              HasSubstr("colloquy_dynamodb_table_items{table=\"conversations\"} 7"));
  for (int i = 0; i < 2; ++i) run_task(loop_, sizes.look());  // it can, and then again cannot
  const auto lines = log.finish();
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 2) << lines;
  EXPECT_THAT(lines, HasSubstr("store.sizes_unknown"));
}

TEST_F(ScriptedTables, SizesOfIndexesAreTold) {
  TableSizes sizes(client(), {}, metrics);
  run_task(loop_, sizes.refresh());
  const std::string labels = "{index=\"ConversationTimeIndex\",table=\"messages\"}";
  EXPECT_THAT(metrics.render(), AllOf(HasSubstr("colloquy_dynamodb_index_items" + labels + " 5"),
                                      HasSubstr("colloquy_dynamodb_index_bytes" + labels + " 80")));
}

}  // namespace
}  // namespace colloquy::store::dynamodb
