#include "llm/openai/openai_provider.h"

#include <gtest/gtest.h>

#include <boost/asio/post.hpp>
#include <future>
#include <map>
#include <thread>

#include "base/error.h"
#include "base/testing/run_task.h"
#include "net/testing/scripted_server.h"

namespace colloquy::llm {
namespace {

using namespace std::chrono_literals;
using net::testing::answer_with;
using net::testing::chunk;
using net::testing::chunked_head;
using net::testing::kLastChunk;
using net::testing::Peer;
using net::testing::response;
using net::testing::Script;
using net::testing::ScriptedServer;

std::string delta(std::string_view content) {
  return R"(data: {"choices":[{"index":0,"delta":{"content":")" + std::string(content) +
         "\"},\"finish_reason\":null}]}\n\n";
}
std::string finish(std::string_view reason) {
  return R"(data: {"choices":[{"index":0,"delta":{},"finish_reason":")" + std::string(reason) +
         "\"}]}\n\n";
}
const std::string kUsage =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":22}}\n\n";
const std::string kDone = "data: [DONE]\n\n";

std::string streamed(const std::vector<std::string>& events) {
  std::string out = chunked_head();
  for (const std::string& event : events) out += chunk(event);
  return out + std::string(kLastChunk);
}

class OpenAiProviderTest : public ::testing::Test {
 protected:
  OpenAiProviderTest() {
    options_.model = "model-a";
    options_.api_key = "sk-secret";
    request_.messages = {{Role::kUser, "12345"}};
  }

  CompletionResult complete(const ScriptedServer& server) {
    options_.base_url = server.url("/v1");
    provider_ = std::make_unique<OpenAiProvider>(options_, client_);
    return complete_again();
  }
  CompletionResult complete_again() {
    text_.clear();
    return run_task(loop_, provider_->complete(request_, sink_, cancellation_));
  }
  Error failure_of(const ScriptedServer& server) {
    try {
      complete(server);
    } catch (const Error& error) {
      return error;
    }
    ADD_FAILURE() << "did not fail";
    return internal_error("did not fail");
  }
  // An upstream that says the bytes and then leaves the connection open.
  static Script say_and_stall(std::string bytes) {
    return [bytes = std::move(bytes)](Peer& peer) {
      peer.read_request();
      peer.send(bytes);
      peer.wait_until_closed();
    };
  }

  boost::asio::io_context loop_;
  std::shared_ptr<net::HttpClient> client_ =
      std::make_shared<net::HttpClient>(net::HttpClient::Options{});
  OpenAiOptions options_;
  std::unique_ptr<OpenAiProvider> provider_;
  CompletionRequest request_;
  Cancellation cancellation_;
  std::string text_;
  std::function<void()> on_text_;
  TextSink sink_ = [this](std::string_view text) {
    text_ += text;
    if (on_text_) on_text_();
  };
};

TEST_F(OpenAiProviderTest, StreamsAnAnswerAndItsUsage) {
  ScriptedServer server(
      answer_with(streamed({delta("Hel"), delta("lo"), finish("stop"), kUsage, kDone})));
  request_.request_id = "request-1";
  const CompletionResult result = complete(server);
  EXPECT_EQ(text_, "Hello");
  EXPECT_EQ(result.stop_reason, StopReason::kStop);
  EXPECT_EQ(result.prompt_tokens, 11);
  EXPECT_EQ(result.completion_tokens, 22);
  const auto sent = server.requests().at(0);
  EXPECT_EQ(sent.line(), "POST /v1/chat/completions HTTP/1.1");
  EXPECT_EQ(sent.header("Authorization"), "Bearer sk-secret");
  EXPECT_EQ(sent.header("X-Request-Id"), "request-1");
  EXPECT_NE(sent.body.find(R"("model":"model-a")"), std::string::npos);
  EXPECT_NE(sent.body.find(R"("include_usage":true)"), std::string::npos);
}

TEST_F(OpenAiProviderTest, DeliversTheSameSplitAtEveryPosition) {
  const std::string events = delta("Gr\xC3") + delta("\xBC\\u00df") + finish("length") + kDone;
  std::vector<Script> scripts;
  for (std::size_t at = 1; at < events.size(); ++at) {
    scripts.emplace_back([&events, at](Peer& peer) {
      peer.read_request();
      peer.send(chunked_head() + chunk(events.substr(0, at)));
      peer.send(chunk(events.substr(at)) + std::string(kLastChunk));
    });
  }
  ScriptedServer server(scripts);
  net::HttpClient::Options no_pool;
  no_pool.idle_connections_per_endpoint = 0;
  client_ = std::make_shared<net::HttpClient>(no_pool);
  for (std::size_t i = 0; i < scripts.size(); ++i) {
    EXPECT_EQ(complete(server).stop_reason, StopReason::kLength);
    EXPECT_EQ(text_, "Grüß");
  }
}

TEST_F(OpenAiProviderTest, GivesTheFirstTextWhileTheRestIsNotYetSaid) {
  std::promise<void> heard;
  auto was_heard = heard.get_future();
  ScriptedServer server([&](Peer& peer) {
    peer.read_request();
    peer.send(chunked_head() + chunk(delta("a")));
    was_heard.wait();
    peer.send(chunk(finish("stop") + kDone) + std::string(kLastChunk));
    peer.wait_until_closed();
  });
  on_text_ = [&] { heard.set_value(); };
  complete(server);
  EXPECT_EQ(text_, "a");
}

TEST_F(OpenAiProviderTest, UsageIsEstimatedWhereTheUpstreamGivesNone) {
  ScriptedServer server(answer_with(streamed({delta("123456789"), kDone})));
  const CompletionResult result = complete(server);
  EXPECT_EQ(result.prompt_tokens, 3);
  EXPECT_EQ(result.completion_tokens, 5);
}

TEST_F(OpenAiProviderTest, TheConnectionServesTheNextCompletionToo) {
  ScriptedServer server([](Peer& peer) {
    while (peer.read_request()) {
      // The end of the body comes by itself after [DONE].
      peer.send(chunked_head() + chunk(delta("a") + kDone));
      peer.send(kLastChunk);
    }
  });
  complete(server);
  loop_.run();  // until what was left behind is read
  complete_again();
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(OpenAiProviderTest, ACompletionThatMayHaveBegunIsNotAskedForAgain) {
  ScriptedServer server([](Peer& peer) {
    peer.read_request();
    peer.send(streamed({delta("a"), kDone}));
    peer.read_request();  // and hangs up on it
  });
  complete(server);
  loop_.run();  // until what was left behind is read
  try {
    complete_again();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
  }
  EXPECT_EQ(server.connections(), 1);
  EXPECT_EQ(server.requests().size(), 2U);
}

TEST_F(OpenAiProviderTest, AConnectionThatWasClosedMeanwhileIsNotUsed) {
  auto server = std::make_unique<ScriptedServer>([](Peer& peer) {
    peer.read_request();
    peer.send(streamed({delta("a"), kDone}));
    peer.wait_until_closed();
  });
  complete(*server);
  loop_.run();  // until what was left behind is read
  server.reset();
  try {
    complete_again();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.message(), "The language model cannot be reached.");
  }
}

TEST_F(OpenAiProviderTest, AnAnswerThatIsNotStreamedIsReadToo) {
  ScriptedServer server(answer_with(
      response(200, R"({"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]})")));
  complete(server);
  EXPECT_EQ(text_, "Hi");
}

TEST_F(OpenAiProviderTest, AnUpstreamThatRefusesStreamOptionsIsAskedWithoutFromThenOn) {
  ScriptedServer server([](Peer& peer) {
    while (const auto request = peer.read_request()) {
      const bool refused = request->body.find("stream_options") != std::string::npos;
      peer.send(refused ? response(400, R"({"error":{"message":"unknown field stream_options"}})")
                        : streamed({delta("a"), kDone}));
    }
  });
  complete(server);
  EXPECT_EQ(text_, "a");
  complete_again();
  EXPECT_EQ(text_, "a");
  EXPECT_EQ(server.requests().size(), 3U);
}

TEST_F(OpenAiProviderTest, AnAnswerThatIsCutOffKeepsWhatWasSaid) {
  const std::string head = chunked_head();
  const std::string until_close = "HTTP/1.1 200 OK\r\n\r\n";
  for (const std::string& bytes :
       {head + chunk(delta("said")), head + chunk(delta("said")) + std::string(kLastChunk),
        head + "999\r\n" + delta("said"), until_close + delta("said"),
        until_close + delta("said") + "data: [DO"}) {
    ScriptedServer server([&](Peer& peer) {
      peer.read_request();
      peer.send(bytes);
    });
    const Error error = failure_of(server);
    EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
    EXPECT_EQ(error.message(), "The language model's answer was cut off.");
    EXPECT_EQ(text_, "said");
  }
}

TEST_F(OpenAiProviderTest, AConnectionLostAfterTheFinishReasonLosesNothing) {
  ScriptedServer server([](Peer& peer) {
    peer.read_request();
    peer.send(chunked_head() + chunk(delta("all") + finish("length")));
  });
  EXPECT_EQ(complete(server).stop_reason, StopReason::kLength);
  EXPECT_EQ(text_, "all");
}

TEST_F(OpenAiProviderTest, AnUpstreamThatOwesItsUsageIsNotWaitedForLong) {
  options_.idle_timeout = 100ms;
  ScriptedServer server(say_and_stall(chunked_head() + chunk(delta("all") + finish("stop"))));
  complete(server);
  EXPECT_EQ(text_, "all");
}

TEST_F(OpenAiProviderTest, GarbledAnswersAreUnavailable) {
  for (const std::string& bytes :
       {chunked_head() + chunk(delta("said")) + chunk("data: {\"choices\"\n\n"),
        chunked_head() + chunk(delta("said")) + "nonsense\r\n"}) {
    ScriptedServer server(say_and_stall(bytes));
    EXPECT_EQ(failure_of(server).code(), ErrorCode::kUnavailable);
    EXPECT_EQ(text_, "said");
  }
  ScriptedServer no_http(say_and_stall("SSH-2.0\r\n\r\n"));
  EXPECT_EQ(failure_of(no_http).code(), ErrorCode::kUnavailable);
}

TEST_F(OpenAiProviderTest, ASlowUpstreamIsUnavailable) {
  options_.connect_timeout = 50ms;
  options_.first_token_timeout = 50ms;
  options_.idle_timeout = 50ms;
  // Silent; with a header only; with signs of life that are none; silent after the first token.
  const std::string role = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\n\n";
  for (const std::string& bytes : {std::string(), chunked_head(), chunked_head() + chunk(role),
                                   chunked_head() + chunk(delta("said"))}) {
    ScriptedServer server(say_and_stall(bytes));
    const Error error = failure_of(server);
    EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
    EXPECT_EQ(error.message(), "The language model did not answer in time.");
  }
  EXPECT_EQ(text_, "said");
}

TEST_F(OpenAiProviderTest, CommentsDoNotKeepASilentModelAlive) {
  options_.connect_timeout = 50ms;
  options_.first_token_timeout = 50ms;
  ScriptedServer server([](Peer& peer) {
    peer.read_request();
    peer.send(chunked_head());
    while (peer.send(chunk(": processing\n\n"))) std::this_thread::sleep_for(5ms);
  });
  EXPECT_EQ(failure_of(server).code(), ErrorCode::kUnavailable);
}

TEST_F(OpenAiProviderTest, AnUpstreamThatIsNotThereIsUnavailable) {
  auto server = std::make_unique<ScriptedServer>([](Peer&) {});
  options_.base_url = server->url("/v1/");
  server.reset();
  provider_ = std::make_unique<OpenAiProvider>(options_, client_);
  try {
    complete_again();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
  }
}

TEST_F(OpenAiProviderTest, RefusalsBecomeOurErrors) {
  const std::map<int, ErrorCode> meanings = {
      {400, ErrorCode::kInvalid},     {401, ErrorCode::kUnavailable},
      {403, ErrorCode::kUnavailable}, {404, ErrorCode::kUnavailable},
      {429, ErrorCode::kThrottled},   {500, ErrorCode::kUnavailable},
      {503, ErrorCode::kUnavailable}};
  for (const auto& [status, code] : meanings) {
    ScriptedServer server(answer_with(response(status, R"({"error":{"message":"no: sk-secret"}})",
                                               "application/json", "Retry-After: 7\r\n")));
    const Error error = failure_of(server);
    EXPECT_EQ(error.code(), code) << status;
    EXPECT_EQ(error.message().find("no:"), std::string::npos);
    EXPECT_NE(error.detail().find("no: ***"), std::string::npos) << error.detail();
    EXPECT_EQ(error.detail().find("sk-secret"), std::string::npos);
    const bool passed_on = status == 429 || status >= 500;
    EXPECT_EQ(error.retry_after_s() == 7, passed_on) << status;
  }
}

TEST_F(OpenAiProviderTest, ARefusalWhoseBodyIsCutIsStillUnderstood) {
  ScriptedServer server([](Peer& peer) {
    peer.read_request();
    peer.send("HTTP/1.1 429 Slow down\r\nContent-Length: 100\r\n\r\n{");
  });
  EXPECT_EQ(failure_of(server).code(), ErrorCode::kThrottled);
}

TEST_F(OpenAiProviderTest, ContentFilterWithoutAWordIsARefusal) {
  ScriptedServer server(answer_with(streamed({finish("content_filter"), kDone})));
  EXPECT_EQ(failure_of(server).code(), ErrorCode::kInvalid);
}

TEST_F(OpenAiProviderTest, AnEndlessAnswerEndsAtTheBound) {
  options_.content_bytes_max = 1000;
  std::promise<void> closed;
  ScriptedServer server([&](Peer& peer) {
    peer.read_request();
    peer.send(chunked_head());
    while (peer.send(chunk(delta("0123456789")))) {
    }
    closed.set_value();
  });
  EXPECT_EQ(complete(server).stop_reason, StopReason::kLength);
  EXPECT_EQ(text_.size(), 1000U);
  closed.get_future().wait();
}

TEST_F(OpenAiProviderTest, ACancelKeepsWhatWasSaidAndClosesTheConnection) {
  std::promise<void> closed;
  ScriptedServer server([&](Peer& peer) {
    peer.read_request();
    peer.send(chunked_head() + chunk(delta("said")));
    peer.wait_until_closed();
    closed.set_value();
  });
  on_text_ = [&] { boost::asio::post(loop_, [&] { cancellation_.request(); }); };
  EXPECT_EQ(complete(server).completion_tokens, 1);
  EXPECT_EQ(text_, "said");
  closed.get_future().wait();
}

TEST_F(OpenAiProviderTest, ACancelMayComeFromTheSinkItself) {
  ScriptedServer server(say_and_stall(chunked_head() + chunk(delta("said"))));
  on_text_ = [&] { cancellation_.request(); };
  EXPECT_EQ(complete(server).completion_tokens, 1);
}

TEST_F(OpenAiProviderTest, ACancelEndsTheWaitForTheHeader) {
  std::promise<void> closed;
  ScriptedServer server([&](Peer& peer) {
    peer.read_request();
    boost::asio::post(loop_, [&] { cancellation_.request(); });
    peer.wait_until_closed();
    closed.set_value();
  });
  EXPECT_EQ(complete(server).completion_tokens, 0);
  closed.get_future().wait();
}

TEST_F(OpenAiProviderTest, ACancelBeforeTheStartAsksNobody) {
  ScriptedServer server(answer_with(""));
  cancellation_.request();
  EXPECT_EQ(complete(server).completion_tokens, 0);
  EXPECT_EQ(server.connections(), 0);
}

TEST_F(OpenAiProviderTest, OnlyListedModelsMayBeNamed) {
  ScriptedServer server(answer_with(streamed({delta("a"), kDone})));
  options_.allowed_models = {"model-b", "model-a"};
  request_.model = "model-b";
  complete(server);
  EXPECT_NE(server.requests()[0].body.find(R"("model":"model-b")"), std::string::npos);
  EXPECT_EQ(provider_->models(), (std::vector<std::string>{"model-a", "model-b"}));
  request_.model = "model-c";
  EXPECT_EQ(failure_of(server).code(), ErrorCode::kInvalid);
}

TEST_F(OpenAiProviderTest, WrongOptionsAreRefusedAtOnce) {
  options_.base_url = "http://127.0.0.1:1/v1";
  EXPECT_NO_THROW(OpenAiProvider(options_, client_));
  for (const char* url : {"", "127.0.0.1:1/v1", "http://user@127.0.0.1/v1", "http://h/v1?x=1"}) {
    OpenAiOptions wrong = options_;
    wrong.base_url = url;
    EXPECT_THROW(OpenAiProvider(wrong, client_), Error) << url;
  }
  OpenAiOptions no_model = options_;
  no_model.model.clear();
  EXPECT_THROW(OpenAiProvider(no_model, client_), Error);
  OpenAiOptions bad_key = options_;
  bad_key.api_key = "sk\r\nX-Evil: 1";
  EXPECT_THROW(OpenAiProvider(bad_key, client_), Error);
}

}  // namespace
}  // namespace colloquy::llm
