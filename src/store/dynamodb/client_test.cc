#include "store/dynamodb/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/boot_clock.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/testing/run_task.h"
#include "net/testing/scripted_server.h"

namespace colloquy::store::dynamodb {
namespace {

using net::testing::Peer;
using net::testing::response;
using net::testing::Script;
using net::testing::ScriptedServer;
using testing::HasSubstr;
using testing::Not;

constexpr std::int64_t kNowMs = 1'790'000'000'000;  // Mon, 21 Sep 2026 14:13:20 GMT

std::string crc_field(const std::string& body) {
  auto sum = crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()));
  return "x-amz-crc32: " + std::to_string(sum) + "\r\n";
}

std::string ok(const std::string& body) {
  return response(200, body, "application/x-amz-json-1.0", crc_field(body));
}
std::string refusal(int status, const std::string& type, const std::string& message = "no",
                    const std::string& more_fields = {}) {
  return response(status,
                  R"({"__type":"com.amazonaws.dynamodb.v20120810#)" + type + R"(","message":")" +
                      message + "\"}",
                  "application/x-amz-json-1.0", more_fields);
}

// What the service does with one call.
using Step = std::function<void(Peer&)>;
Step answers(std::string bytes) {
  return [bytes = std::move(bytes)](Peer& peer) { peer.send(bytes); };
}

// One step for each call, on whatever connection it comes; the last one for all that follow. A
// step that answers nothing ends the connection.
Script steps(std::vector<Step> all) {
  auto next = std::make_shared<std::atomic<std::size_t>>(0);
  return [all = std::move(all), next](Peer& peer) {
    while (peer.read_request()) all.at(std::min(next->fetch_add(1), all.size() - 1))(peer);
  };
}

class CountingCredentials final : public aws::CredentialProvider {
 public:
  Task<aws::Credentials> get() override {
    ++asked;
    co_return aws::Credentials{"AKID" + std::to_string(asked), "secret", "", {}};
  }
  int asked = 0;
};

class ClientTest : public ::testing::Test {
 protected:
  ClientTest() {
    options.region = "eu-central-1";
    options.attempt_timeout = std::chrono::milliseconds(300);
    options.call_timeout = std::chrono::milliseconds(20'000);
    options.retries.base = std::chrono::milliseconds(1);
    options.retries.cap = std::chrono::milliseconds(4);
  }

  void serve(std::vector<Step> all) {
    server = std::make_unique<ScriptedServer>(steps(std::move(all)));
    options.endpoint = server->url("");
    aws::CachingOptions caching;
    caching.reject_interval_ms = 0;
    client = std::make_unique<Client>(
        options, http, std::make_shared<aws::CachingCredentials>(provider, clock, caching), clock,
        metrics);
  }
  Answer call(Repeat repeat = Repeat::kSafe) {
    return run_task(loop, client->call("PutItem", "{}", repeat));
  }
  Error failure(Repeat repeat = Repeat::kSafe) {
    try {
      call(repeat);
    } catch (const Error& error) {
      return error;
    }
    ADD_FAILURE() << "it went well";
    return internal_error("");
  }
  std::size_t sent() const { return server->requests().size(); }

  boost::asio::io_context loop;
  ManualClock clock{kNowMs};
  telemetry::Metrics metrics;
  net::HttpClient http{net::HttpClient::Options{}};
  std::shared_ptr<CountingCredentials> provider = std::make_shared<CountingCredentials>();
  ClientOptions options;
  std::unique_ptr<ScriptedServer> server;
  std::unique_ptr<Client> client;
};

TEST_F(ClientTest, ACallIsSignedAndNamesItsOperation) {
  serve({answers(ok(R"({"Item":{}})"))});
  auto answer = call();
  EXPECT_TRUE(answer.body.contains("Item"));
  EXPECT_FALSE(answer.after_lost_answer);
  auto request = server->requests().at(0);
  EXPECT_EQ(request.header("X-Amz-Target"), "DynamoDB_20120810.PutItem");
  EXPECT_EQ(request.header("Content-Type"), "application/x-amz-json-1.0");
  EXPECT_THAT(*request.header("Authorization"),
              HasSubstr("Credential=AKID1/20260921/eu-central-1/dynamodb/aws4_request"));
  EXPECT_EQ(request.body, "{}");
}

TEST_F(ClientTest, PastTheLastMomentForWritesNoneIsSent) {
  serve({answers(ok("{}"))});
  client->write_until(BootClock::now() + std::chrono::minutes(1));
  call();
  EXPECT_EQ(sent(), 1U);
  client->write_until(BootClock::now() - std::chrono::milliseconds(1));
  for (const char* operation :
       {"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"}) {
    EXPECT_THROW(run_task(loop, client->call(operation, "{}")), Error) << operation;
  }
  EXPECT_EQ(sent(), 1U);
  run_task(loop, client->call("Query", "{}"));
  EXPECT_EQ(sent(), 2U);
  CallOptions how;
  how.after_last_write = true;
  run_task(loop, client->call("UpdateItem", "{}", how));
  EXPECT_EQ(sent(), 3U);
}

TEST_F(ClientTest, ARepeatIsAWriteAsWell) {
  Step refuses = [this](Peer& peer) {
    client->write_until(BootClock::now() - std::chrono::milliseconds(1));
    peer.send(refusal(500, "InternalServerError"));
  };
  serve({refuses});
  EXPECT_EQ(failure().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(sent(), 1U);
}

TEST_F(ClientTest, AnEndpointThatIsNoUrlIsRefused) {
  for (const char* endpoint : {"", "tables", "ftp://host", "http://a:b@host", "http://host/path"}) {
    options.endpoint = endpoint;
    auto make = [&] {
      Client(options, http, std::make_shared<aws::CachingCredentials>(provider, clock), clock,
             metrics);
    };
    EXPECT_THROW(make(), Error) << endpoint;
  }
}

struct BadAttempt {
  std::string name;
  Step step;
  bool carried_out = false;  // for all that the client can know
};

std::vector<BadAttempt> bad_attempts() {
  std::string body = R"({"Item":{}})";
  return {
      {"throttled", answers(refusal(400, "ProvisionedThroughputExceededException"))},
      {"throttled otherwise", answers(refusal(400, "ThrottlingException"))},
      {"request limit", answers(refusal(400, "RequestLimitExceeded"))},
      {"429", answers(response(429, ""))},
      {"500", answers(refusal(500, "InternalServerError")), true},
      {"503 without a body", answers(response(503, "")), true},
      {"502 of something between", answers(response(502, "<html>bad gateway</html>")), true},
      {"wrong checksum", answers(response(200, body, "application/json", "x-amz-crc32: 1\r\n")),
       true},
      {"garbled checksum",
       answers(response(200, body, "application/json", "x-amz-crc32: many\r\n")), true},
      {"no JSON", answers(response(200, "hello")), true},
      {"an array", answers(response(200, "[]")), true},
      {"nothing", answers(response(200, "")), true},
      {"deep", answers(response(200, std::string(100'000, '['))), true},
      {"odd bytes", answers(response(200, std::string("\0\xff\xfe{", 4))), true},
      {"a redirect", answers(response(302, "", "text/plain", "Location: http://127.0.0.1:1/\r\n")),
       true},
      {"too large", answers("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n{"), true},
      {"no HTTP", answers("SSH-2.0-x\r\n\r\n"), true},
      {"timeout", [](Peer& peer) { peer.wait_until_closed(); }, true},
      {"half an answer, then nothing",
       [](Peer& peer) {
         peer.send("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"Item");
         peer.wait_until_closed();
       },
       true},
  };
}

// A connection that ends is a script of its own, since a step cannot end it.
std::vector<BadAttempt> broken_connections() {
  return {
      {"reset",
       [](Peer& peer) {
         peer.read_request();
         peer.reset();
       },
       true},
      {"closed", [](Peer& peer) { peer.read_request(); }, true},
      {"half an answer",
       [](Peer& peer) {
         peer.read_request();
         peer.send("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"Item");
       },
       true},
      {"half a header",
       [](Peer& peer) {
         peer.read_request();
         peer.send("HTTP/1.1 20");
       },
       true},
  };
}

TEST_F(ClientTest, WhatMayPassIsTriedAgainAndTellsIfItMayHaveBeenCarriedOut) {
  for (const auto& bad : bad_attempts()) {
    SCOPED_TRACE(bad.name);
    serve({bad.step, answers(ok("{}"))});
    EXPECT_EQ(call().after_lost_answer, bad.carried_out);
    EXPECT_EQ(sent(), 2U);
  }
}

TEST_F(ClientTest, WhatMustNotBeDoneTwiceIsRepeatedOnlyWhenNothingWasDone) {
  for (const auto& bad : bad_attempts()) {
    SCOPED_TRACE(bad.name);
    serve({bad.step, answers(ok("{}"))});
    if (bad.carried_out) {
      EXPECT_EQ(failure(Repeat::kIfNotCarried).code(), ErrorCode::kUnavailable);
      EXPECT_EQ(sent(), 1U);
    } else {
      EXPECT_FALSE(call(Repeat::kIfNotCarried).after_lost_answer);
    }
  }
}

TEST_F(ClientTest, AConnectionThatBreaksIsALostAnswer) {
  for (const auto& broken : broken_connections()) {
    SCOPED_TRACE(broken.name);
    for (auto repeat : {Repeat::kSafe, Repeat::kIfNotCarried}) {
      serve({});
      server = std::make_unique<ScriptedServer>(
          std::vector<Script>{broken.step, net::testing::answer_with(ok("{}"))});
      options.endpoint = server->url("");
      client = std::make_unique<Client>(options, http,
                                        std::make_shared<aws::CachingCredentials>(provider, clock),
                                        clock, metrics);
      if (repeat == Repeat::kSafe) {
        EXPECT_TRUE(call().after_lost_answer);
        EXPECT_EQ(sent(), 2U);
      } else {
        EXPECT_EQ(failure(repeat).code(), ErrorCode::kUnavailable);
        EXPECT_EQ(sent(), 1U);
      }
    }
  }
}

// The pool must not send it again by itself: nobody would know.
TEST_F(ClientTest, AReusedConnectionThatBreaksIsALostAnswerToo) {
  server =
      std::make_unique<ScriptedServer>(std::vector<Script>{[](Peer& peer) {
                                                             peer.read_request();
                                                             peer.send(ok("{}"));
                                                             peer.read_request();
                                                             peer.reset();
                                                           },
                                                           net::testing::answer_with(ok("{}"))});
  options.endpoint = server->url("");
  client = std::make_unique<Client>(
      options, http, std::make_shared<aws::CachingCredentials>(provider, clock), clock, metrics);
  EXPECT_FALSE(call().after_lost_answer);
  EXPECT_TRUE(call().after_lost_answer);
}

TEST_F(ClientTest, AServiceThatNobodyListensForIsUnavailable) {
  std::uint16_t port = 0;
  {
    ScriptedServer gone{net::testing::answer_with("")};
    port = gone.port();
  }
  serve({answers(ok("{}"))});
  options.endpoint = "http://127.0.0.1:" + std::to_string(port);
  client = std::make_unique<Client>(
      options, http, std::make_shared<aws::CachingCredentials>(provider, clock), clock, metrics);
  EXPECT_EQ(failure(Repeat::kIfNotCarried).code(), ErrorCode::kUnavailable);
  EXPECT_THAT(metrics.render(), HasSubstr(R"(reason="connect")"));
}

TEST_F(ClientTest, AfterItsAttemptsACallIsUnavailableWithATimeToTryAgain) {
  serve({answers(refusal(400, "ThrottlingException", "slow down"))});
  auto error = failure();
  EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
  EXPECT_GE(error.retry_after_s(), 1);
  EXPECT_THAT(error.detail(), HasSubstr("PutItem: ThrottlingException: slow down"));
  EXPECT_THAT(error.message(), Not(HasSubstr("slow down")));
  EXPECT_EQ(sent(), static_cast<std::size_t>(options.retries.attempts));
}

TEST_F(ClientTest, NoAttemptBeginsAfterTheCallsTime) {
  options.call_timeout = std::chrono::milliseconds(200);  // less than one attempt's
  serve({[](Peer& peer) { peer.wait_until_closed(); }});
  EXPECT_EQ(failure().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(sent(), 1U);
}

TEST_F(ClientTest, WithoutABudgetNothingIsTriedAgainUntilCallsGoWell) {
  options.retries.budget = 10;
  std::vector<Step> all(3, answers(refusal(500, "InternalServerError")));
  all.push_back(answers(refusal(500, "InternalServerError")));
  for (int i = 0; i < 5; ++i) all.push_back(answers(ok("{}")));
  all.push_back(answers(refusal(500, "InternalServerError")));
  all.push_back(answers(ok("{}")));
  serve(all);
  EXPECT_EQ(failure().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(sent(), 3U) << "two repeats";
  EXPECT_EQ(failure().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(sent(), 4U) << "none";
  for (int i = 0; i < 5; ++i) call();
  EXPECT_TRUE(call().after_lost_answer) << "as many calls as one repeat costs went well";
}

TEST_F(ClientTest, AWrongClockIsCorrectedByTheServices) {
  serve({answers(refusal(400, "InvalidSignatureException",
                         "Signature expired: 20260921T141320Z is now earlier than "
                         "20260921T150820Z",
                         "Date: Mon, 21 Sep 2026 15:13:20 GMT\r\n")),
         answers(ok("{}"))});
  EXPECT_FALSE(call().after_lost_answer);
  EXPECT_EQ(server->requests().at(0).header("X-Amz-Date"), "20260921T141320Z");
  EXPECT_EQ(server->requests().at(1).header("X-Amz-Date"), "20260921T151320Z");
  call();
  EXPECT_EQ(server->requests().at(2).header("X-Amz-Date"), "20260921T151320Z") << "from then on";
}

TEST_F(ClientTest, AGarbledDateChangesNothing) {
  for (const char* date : {"", "Date: yesterday\r\n", "Date: \r\n"}) {
    serve({answers(refusal(400, "RequestTimeTooSkewed", "no", date)), answers(ok("{}"))});
    call();
    EXPECT_EQ(server->requests().at(1).header("X-Amz-Date"), "20260921T141320Z");
  }
}

TEST_F(ClientTest, AfterAnExpiredTokenTheCredentialsAreFetchedAnew) {
  for (const char* type : {"ExpiredTokenException", "UnrecognizedClientException"}) {
    provider->asked = 0;
    serve({answers(refusal(400, type)), answers(ok("{}"))});
    EXPECT_FALSE(call().after_lost_answer);
    EXPECT_EQ(provider->asked, 2);
    EXPECT_THAT(*server->requests().at(0).header("Authorization"), HasSubstr("AKID1/"));
    EXPECT_THAT(*server->requests().at(1).header("Authorization"), HasSubstr("AKID2/"));
  }
}

TEST_F(ClientTest, WhatRepeatingCannotChangeIsRefusedAtOnce) {
  for (const char* type :
       {"ValidationException", "AccessDeniedException", "ResourceNotFoundException",
        "SerializationException", "InvalidSignatureException", "ItemCollectionSizeLimitExceeded"}) {
    serve({answers(refusal(400, type))});
    try {
      call();
      ADD_FAILURE() << type;
    } catch (const ServiceError& error) {
      EXPECT_EQ(error.type(), type);
      EXPECT_FALSE(error.after_lost_answer());
    }
    EXPECT_EQ(sent(), 1U) << type;
  }
}

TEST_F(ClientTest, AConditionThatFailsAfterALostAnswerSaysSo) {
  serve({answers(refusal(500, "InternalServerError")),
         answers(response(400, R"({"__type":"ConditionalCheckFailedException",
                                   "Item":{"title":{"S":"there"}}})"))});
  try {
    call();
    ADD_FAILURE();
  } catch (const ServiceError& error) {
    EXPECT_EQ(error.refusal(), Refusal::kConditionFailed);
    EXPECT_TRUE(error.after_lost_answer());
    EXPECT_TRUE(error.item().contains("title"));
  }
}

TEST_F(ClientTest, ConsumedCapacityIsCountedByTableAndIndex) {
  serve({answers(ok(R"({"ConsumedCapacity":{"TableName":"arn:aws:dynamodb:x:1:table/messages",
                        "CapacityUnits":3.5,"Table":{"CapacityUnits":2},
                        "GlobalSecondaryIndexes":{"ConversationTimeIndex":{"CapacityUnits":1.5}}}})")),
         answers(ok(R"({"ConsumedCapacity":[{"TableName":"messages","CapacityUnits":4},
                        {"TableName":"conversations","CapacityUnits":0.5}, 7]})"))});
  call();
  call();
  auto text = metrics.render();
  auto line = [](const std::string& table, const std::string& index) {
    return "colloquy_dynamodb_consumed_units_total{index=\"" + index +
           "\",kind=\"write\",operation=\"PutItem\",table=\"" + table + "\"} ";
  };
  EXPECT_THAT(text, HasSubstr(line("messages", "") + "6\n"));
  EXPECT_THAT(text, HasSubstr(line("messages", "ConversationTimeIndex") + "1.5\n"));
  EXPECT_THAT(text, HasSubstr(line("conversations", "") + "0.5\n"));
}

TEST_F(ClientTest, CapacityThatMakesNoSenseIsNotCounted) {
  for (const char* body :
       {R"({"ConsumedCapacity":7})", R"({"ConsumedCapacity":{}})",
        R"({"ConsumedCapacity":{"TableName":[]}})",
        R"({"ConsumedCapacity":{"TableName":"t","Table":3,"GlobalSecondaryIndexes":[1]}})",
        R"({"ConsumedCapacity":{"TableName":"t","GlobalSecondaryIndexes":{"i":null}}})"}) {
    serve({answers(ok(body))});
    call();
  }
}

TEST_F(ClientTest, AttemptsAndRepeatsAreCountedByTheirReason) {
  serve({answers(refusal(400, "ThrottlingException")), answers(ok("{}"))});
  call();
  auto text = metrics.render();
  EXPECT_THAT(text, HasSubstr(R"(retries_total{operation="PutItem",reason="throttled"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(operation="PutItem",outcome="throttled"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(operation="PutItem",outcome="ok"} 1)"));
}

}  // namespace
}  // namespace colloquy::store::dynamodb
