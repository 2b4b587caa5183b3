#include "net/http_client.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <future>

#include "base/testing/run_task.h"
#include "net/testing/scripted_server.h"

namespace colloquy::net {
namespace {

using namespace std::chrono_literals;
using testing::answer_with;
using testing::chunk;
using testing::chunked_head;
using testing::kLastChunk;
using testing::Peer;
using testing::response;
using testing::Script;
using testing::ScriptedServer;

class HttpClientTest : public ::testing::Test {
 protected:
  static HttpRequest request_to(const std::string& url) {
    HttpRequest request;
    request.url = url;
    request.deadlines = {.connect = 10s, .first_byte = 10s, .idle = 10s};
    return request;
  }
  HttpResponse fetch(HttpRequest request, std::size_t max_body_bytes = 1 << 20) {
    return run_task(loop_, client_.fetch(std::move(request), max_body_bytes));
  }
  HttpResponse fetch(const std::string& url) { return fetch(request_to(url)); }
  std::unique_ptr<ResponseStream> open(HttpRequest request) {
    return run_task(loop_, client_.open(std::move(request)));
  }
  std::optional<std::string> read(ResponseStream& stream) { return run_task(loop_, stream.read()); }

  template <class Call>
  static NetFailure failure_of(Call call) {
    try {
      call();
    } catch (const NetError& error) {
      return error.failure();
    }
    ADD_FAILURE() << "did not fail";
    return NetFailure::kBadUrl;
  }

  boost::asio::io_context loop_;
  HttpClient client_{HttpClient::Options{}};
};

TEST_F(HttpClientTest, SendsTheRequestAndReturnsTheResponse) {
  ScriptedServer server(answer_with(response(201, "{\"a\":1}", "application/json", "X-Id: 7\r\n")));
  HttpRequest request = request_to(server.url("/v1/things?q=1"));
  request.method = "POST";
  request.headers = {{"X-Custom", "value"}};
  request.body = std::string(300'000, 'b');
  const HttpResponse answer = fetch(request);
  EXPECT_EQ(answer.status, 201);
  EXPECT_EQ(answer.body, "{\"a\":1}");
  ASSERT_EQ(server.requests().size(), 1U);
  const auto sent = server.requests()[0];
  EXPECT_EQ(sent.line(), "POST /v1/things?q=1 HTTP/1.1");
  EXPECT_EQ(sent.header("host"), "127.0.0.1:" + std::to_string(server.port()));
  EXPECT_EQ(sent.header("x-custom"), "value");
  EXPECT_EQ(sent.body, request.body);
}

TEST_F(HttpClientTest, AGivenHostIsNotSentTwice) {
  ScriptedServer server(answer_with(response(200, "")));
  HttpRequest request = request_to(server.url());
  request.headers = {{"host", "name.example"}};
  fetch(request);
  const std::string head = server.requests()[0].head;
  EXPECT_EQ(server.requests()[0].header("host"), "name.example");
  EXPECT_EQ(head.find("Host:"), std::string::npos);
}

TEST_F(HttpClientTest, DeliversEachPieceAsItComes) {
  std::promise<void> first_read;
  auto first_was_read = first_read.get_future();
  ScriptedServer server([&](Peer& peer) {
    peer.read_request();
    peer.send(chunked_head() + chunk("one"));
    first_was_read.wait();
    peer.send(chunk("two") + std::string(kLastChunk));
    peer.wait_until_closed();
  });
  const auto stream = open(request_to(server.url()));
  EXPECT_EQ(stream->status(), 200);
  EXPECT_EQ(stream->header("content-TYPE"), "text/event-stream");
  EXPECT_EQ(stream->header("absent"), std::nullopt);
  EXPECT_EQ(read(*stream), "one");
  first_read.set_value();
  EXPECT_EQ(read(*stream), "two");
  EXPECT_EQ(read(*stream), std::nullopt);
  EXPECT_EQ(read(*stream), std::nullopt);
}

TEST_F(HttpClientTest, AnEndedResponseLeavesItsConnectionToTheNext) {
  ScriptedServer server(answer_with(response(200, "x")));
  for (int i = 0; i < 5; ++i) fetch(server.url());
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(HttpClientTest, AnAnswerToHeadHasNoBody) {
  ScriptedServer server(answer_with("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"));
  HttpRequest head = request_to(server.url());
  head.method = "HEAD";
  EXPECT_EQ(fetch(head).body, "");
  EXPECT_EQ(fetch(head).status, 200);
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(HttpClientTest, AnUnreadResponseClosesItsConnection) {
  std::promise<void> closed;
  ScriptedServer server({[&](Peer& peer) {
                           peer.read_request();
                           peer.send(chunked_head() + chunk("one"));
                           peer.wait_until_closed();
                           closed.set_value();
                         },
                         answer_with(response(200, "x"))});
  open(request_to(server.url())).reset();
  closed.get_future().wait();
  fetch(server.url());
  EXPECT_EQ(server.connections(), 2);
}

TEST_F(HttpClientTest, AServerThatClosesAfterTheAnswerGetsANewConnection) {
  ScriptedServer server(answer_with(response(200, "x", "text/plain", "Connection: close\r\n")));
  fetch(server.url());
  fetch(server.url());
  EXPECT_EQ(server.connections(), 2);
}

TEST_F(HttpClientTest, EachEventLoopHasItsOwnConnections) {
  ScriptedServer server(answer_with(response(200, "x")));
  fetch(server.url());
  boost::asio::io_context other_loop;
  HttpClient client{HttpClient::Options{}};
  run_task(other_loop, client.fetch(request_to(server.url()), 10));
  run_task(loop_, client.fetch(request_to(server.url()), 10));
  EXPECT_EQ(server.connections(), 3);
}

TEST_F(HttpClientTest, AReusedConnectionThatIsClosedIsReplacedOnce) {
  ScriptedServer server({[](Peer& peer) {
                           peer.read_request();
                           peer.send(response(200, "first"));
                           peer.read_request();  // and hangs up on it
                         },
                         answer_with(response(200, "second"))});
  EXPECT_EQ(fetch(server.url()).body, "first");
  EXPECT_EQ(fetch(server.url()).body, "second");
  EXPECT_EQ(server.connections(), 2);
}

TEST_F(HttpClientTest, AReusedConnectionThatBeganToAnswerIsNotReplaced) {
  ScriptedServer server([](Peer& peer) {
    peer.read_request();
    peer.send(response(200, "first"));
    peer.read_request();
    peer.send("HTTP/1.1 20");
  });
  fetch(server.url());
  EXPECT_EQ(failure_of([&] { fetch(server.url()); }), NetFailure::kClosed);
  EXPECT_EQ(server.requests().size(), 2U);
}

TEST_F(HttpClientTest, AReusedConnectionIsNotReplacedForWhatMustNotGoOutTwice) {
  ScriptedServer server([](Peer& peer) {
    peer.read_request();
    peer.send(response(200, "first"));
    peer.read_request();  // and hangs up on it
  });
  fetch(server.url());
  auto request = request_to(server.url());
  request.resend_when_closed = false;
  EXPECT_EQ(failure_of([&] { run_task(loop_, client_.fetch(std::move(request), 10)); }),
            NetFailure::kClosed);
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(HttpClientTest, AFreshConnectionThatIsClosedIsNotReplaced) {
  ScriptedServer server([](Peer& peer) { peer.read_request(); });
  EXPECT_EQ(failure_of([&] { fetch(server.url()); }), NetFailure::kClosed);
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(HttpClientTest, ACutBodyFailsAfterWhatCameOfIt) {
  for (const std::string& head :
       {std::string("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"), chunked_head() + "63\r\n"}) {
    ScriptedServer server([&](Peer& peer) {
      peer.read_request();
      peer.send(head + "some");
    });
    const auto stream = open(request_to(server.url()));
    EXPECT_EQ(read(*stream), "some");
    EXPECT_EQ(failure_of([&] { read(*stream); }), NetFailure::kClosed);
  }
}

TEST_F(HttpClientTest, AResetWithinTheBodyIsAClosedConnection) {
  ScriptedServer server([](Peer& peer) {
    peer.read_request();
    peer.send("HTTP/1.1 200 OK\r\n\r\nsome");
    peer.reset();
  });
  EXPECT_EQ(failure_of([&] { fetch(server.url()); }), NetFailure::kClosed);
}

TEST_F(HttpClientTest, AGarbledChunkFailsAfterWhatCameBeforeIt) {
  ScriptedServer server([](Peer& peer) {
    peer.read_request();
    peer.send(chunked_head() + chunk("good") + "nonsense\r\n");
    peer.wait_until_closed();
  });
  const auto stream = open(request_to(server.url()));
  EXPECT_EQ(read(*stream), "good");
  EXPECT_EQ(failure_of([&] { read(*stream); }), NetFailure::kMalformed);
  EXPECT_EQ(failure_of([&] { read(*stream); }), NetFailure::kMalformed);
}

TEST_F(HttpClientTest, ABodyOverTheBoundIsTooLarge) {
  ScriptedServer server(answer_with(response(200, std::string(1000, 'x'))));
  EXPECT_EQ(fetch(request_to(server.url()), 1000).body.size(), 1000U);
  EXPECT_EQ(failure_of([&] { fetch(request_to(server.url()), 999); }), NetFailure::kTooLarge);
}

TEST_F(HttpClientTest, AServerThatDoesNotSpeakTlsTimesOutTheConnect) {
  ScriptedServer server([](Peer& peer) { peer.wait_until_closed(); });
  HttpRequest request = request_to("https://127.0.0.1:" + std::to_string(server.port()));
  request.deadlines.connect = 50ms;
  EXPECT_EQ(failure_of([&] { fetch(request); }), NetFailure::kTimeout);
}

TEST_F(HttpClientTest, AHeaderThatDripsTimesOut) {
  ScriptedServer server([](Peer& peer) {
    peer.read_request();
    // The header never ends, though each byte comes well before the deadline.
    peer.send("HTTP/1.1 200 OK\r\nX-Drip: ");
    while (peer.send("x")) std::this_thread::sleep_for(5ms);
  });
  HttpRequest request = request_to(server.url());
  request.deadlines.first_byte = 100ms;
  EXPECT_EQ(failure_of([&] { fetch(request); }), NetFailure::kTimeout);
}

TEST_F(HttpClientTest, ASilentServerTimesOut) {
  ScriptedServer server([](Peer& peer) { peer.wait_until_closed(); });
  HttpRequest request = request_to(server.url());
  request.deadlines.first_byte = 50ms;
  EXPECT_EQ(failure_of([&] { fetch(request); }), NetFailure::kTimeout);
}

TEST_F(HttpClientTest, ABodyThatStallsTimesOut) {
  ScriptedServer server([](Peer& peer) {
    peer.read_request();
    peer.send(chunked_head() + chunk("one"));
    peer.wait_until_closed();
  });
  HttpRequest request = request_to(server.url());
  request.deadlines.idle = 50ms;
  const auto stream = open(request);
  EXPECT_EQ(read(*stream), "one");
  EXPECT_EQ(failure_of([&] { read(*stream); }), NetFailure::kTimeout);
}

TEST_F(HttpClientTest, AServerThatDoesNotReadTimesOutTheUpload) {
  std::promise<void> done;
  auto is_done = done.get_future();
  ScriptedServer server([&](Peer&) { is_done.wait(); });
  HttpRequest request = request_to(server.url());
  request.method = "POST";
  request.body = std::string(64 << 20, 'b');
  request.deadlines.idle = 100ms;
  EXPECT_EQ(failure_of([&] { fetch(request); }), NetFailure::kTimeout);
  done.set_value();
}

TEST_F(HttpClientTest, ARefusedConnectionAndAnImpossibleNameAreToldApart) {
  std::uint16_t free_port = 0;
  {
    free_port = ScriptedServer([](Peer&) {}).port();
  }
  const std::string port = std::to_string(free_port);
  EXPECT_EQ(failure_of([&] { fetch("http://127.0.0.1:" + port); }), NetFailure::kConnect);
  const std::string impossible(64, 'a');  // a label has at most 63 octets
  EXPECT_EQ(failure_of([&] { fetch("http://" + impossible + ":" + port); }), NetFailure::kResolve);
}

TEST_F(HttpClientTest, WhatWouldSplitTheRequestIsRefused) {
  ScriptedServer server(answer_with(response(200, "")));
  std::vector<HttpRequest> requests(8, request_to(server.url()));
  requests[0].headers = {{"X-A", "1\r\nX-B: 2"}};
  requests[1].headers = {{"X-A", "1\n2"}};
  requests[2].headers = {{"X-A\r\nX-B", "1"}};
  requests[3].headers = {{"", "1"}};
  requests[4].headers = {{"X-A", std::string("1\0", 2)}};
  requests[5].headers = {{"Transfer-Encoding", "chunked"}};
  requests[6].method = "GET / HTTP/1.1\r\nX:";
  requests[7].url = server.url("/a b");
  for (const HttpRequest& request : requests) {
    EXPECT_EQ(failure_of([&] { fetch(request); }), NetFailure::kBadUrl);
  }
  EXPECT_EQ(server.connections(), 0);
}

// Cancels as soon as the coroutine first waits.
TEST_F(HttpClientTest, CancelEndsTheLookupAndTheConnect) {
  ScriptedServer server([](Peer& peer) { peer.wait_until_closed(); });
  for (const char* host : {"localhost", "127.0.0.1"}) {
    const auto cancel_soon = [this](std::function<void()> cancel) {
      boost::asio::post(loop_, std::move(cancel));
    };
    EXPECT_EQ(failure_of([&] {
                run_task(loop_, client_.open(request_to(server.url("/", host)), cancel_soon));
              }),
              NetFailure::kCancelled);
  }
}

TEST_F(HttpClientTest, CancelBeforeTheStartSendsNothing) {
  ScriptedServer server(answer_with(response(200, "")));
  const auto cancel_now = [](std::function<void()> cancel) { cancel(); };
  EXPECT_EQ(
      failure_of([&] { run_task(loop_, client_.open(request_to(server.url()), cancel_now)); }),
      NetFailure::kCancelled);
  EXPECT_EQ(server.connections(), 0);
}

TEST_F(HttpClientTest, CancelEndsTheTlsHandshakeAndTheWaitForTheHeader) {
  for (const bool tls : {true, false}) {
    std::function<void()> cancel;
    std::promise<void> closed;
    ScriptedServer server([&](Peer& peer) {
      // With TLS the request never comes: a client hello has no empty line.
      if (!tls) peer.read_request();
      boost::asio::post(loop_, [&] { cancel(); });
      peer.wait_until_closed();
      closed.set_value();
    });
    const std::string url =
        (tls ? "https://127.0.0.1:" : "http://127.0.0.1:") + std::to_string(server.port());
    const auto keep = [&](std::function<void()> function) { cancel = std::move(function); };
    EXPECT_EQ(failure_of([&] { run_task(loop_, client_.open(request_to(url), keep)); }),
              NetFailure::kCancelled);
    closed.get_future().wait();  // the server sees the connection go
  }
}

TEST_F(HttpClientTest, CancelEndsTheWaitForTheBody) {
  ScriptedServer server([](Peer& peer) {
    peer.read_request();
    peer.send(chunked_head());
    peer.wait_until_closed();
  });
  const auto stream = open(request_to(server.url()));
  boost::asio::post(loop_, [&] { stream->cancel(); });
  EXPECT_EQ(failure_of([&] { read(*stream); }), NetFailure::kCancelled);
  EXPECT_EQ(failure_of([&] { read(*stream); }), NetFailure::kCancelled);
}

TEST_F(HttpClientTest, CancelEndsAnUploadThatIsNotRead) {
  std::promise<void> done;
  auto is_done = done.get_future();
  std::function<void()> cancel;
  ScriptedServer server([&](Peer&) {
    boost::asio::post(loop_, [&] { cancel(); });
    is_done.wait();
  });
  HttpRequest request = request_to(server.url());
  request.method = "POST";
  request.body = std::string(64 << 20, 'b');
  const auto keep = [&](std::function<void()> function) { cancel = std::move(function); };
  EXPECT_EQ(failure_of([&] { run_task(loop_, client_.open(request, keep)); }),
            NetFailure::kCancelled);
  done.set_value();
}

}  // namespace
}  // namespace colloquy::net
