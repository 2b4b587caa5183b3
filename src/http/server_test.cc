#include "http/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <stdexcept>

#include "http/testing/raw_client.h"
#include "http/testing/test_server.h"

namespace colloquy::http {
namespace {

using testing::echo;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using testing::RawClient;
using testing::TestServer;

constexpr const char* kGet = "GET /a HTTP/1.1\r\nHost: here\r\n\r\n";

Task<> produce_three(BodyWriter& body) {
  co_await body.write("one ");
  co_await body.write("");
  co_await body.write("two ");
  co_await body.write("three");
}

Task<> produce_then_fail(BodyWriter& body) {
  co_await body.write("half");
  throw std::runtime_error("the other half is missing");
}

Task<> find_it_gone(BodyWriter&) {
  throw not_found();
  co_return;
}

Task<> fail_to_produce(BodyWriter&) {
  throw std::runtime_error("nothing there");
  co_return;
}

// Paths choose the kind of response.
Task<Response> answer(Request& request) {
  Response response;
  if (request.path == "/stream") {
    response.stream = produce_three;
  } else if (request.path == "/cut") {
    response.stream = produce_then_fail;
  } else if (request.path == "/gone") {
    response.stream = find_it_gone;
  } else if (request.path == "/no-start") {
    response.stream = fail_to_produce;
  } else if (request.path == "/throw") {
    throw std::runtime_error("a secret");
  } else if (request.path == "/none") {
    response.status = 204;
  } else if (request.path == "/close") {
    response.close = true;
    response.body = "bye";
  } else if (request.path == "/split") {
    response.set_header("X-Evil", "a\r\nX-Injected: b");
    response.set_header("X Bad\r\nName", "c");
    response.set_header("Content-Length", "3");
    response.body = "whole";
  } else if (request.path == "/query") {
    for (const auto& [name, value] : request.query) response.body += name + "=" + value + ";";
  } else if (request.path == "/headers") {
    for (const Header& header : request.headers) {
      response.body += header.name + "=" + header.value + ";";
    }
  } else {
    co_return co_await echo(request);
  }
  co_return response;
}

TEST(Server, AnswersRequestsOnOneConnection) {
  TestServer server(answer);
  RawClient client(server.port());
  for (int i = 0; i < 3; ++i) {
    const auto response = client.exchange(kGet);
    ASSERT_TRUE(response);
    EXPECT_EQ(response->status, 200);
    EXPECT_EQ(response->body, "GET /a ");
    EXPECT_THAT(response->header("Date"),
                MatchesRegex("[A-Z][a-z]+, [0-9]+ [A-Z][a-z]+ 20[0-9]+ [0-9:]+ GMT"));
    EXPECT_EQ(response->header("Connection"), "");
  }
  EXPECT_EQ(server.server().connections(), 1U);
}

TEST(Server, AnswersPipelinedRequestsInOrder) {
  TestServer server(answer);
  RawClient client(server.port());
  client.send(
      "POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
      "GET /2 HTTP/1.1\r\nHost: h\r\n\r\n\r\n"
      "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n"
      "GET /3 HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(client.receive()->body, "POST /1 abc");
  EXPECT_EQ(client.receive()->body, "GET /2 ");
  EXPECT_EQ(client.receive()->body, "one two three");
  EXPECT_EQ(client.receive()->body, "GET /3 ");
}

TEST(Server, ReadsARequestThatArrivesByteByByte) {
  TestServer server(answer);
  RawClient client(server.port());
  const std::string request =
      "\r\nPOST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3;ext=\"v\"\r\nabc\r\n2\r\nde\r\n0\r\nTrailer-Field: x\r\n\r\n";
  for (const char c : request) ASSERT_TRUE(client.send({&c, 1}));
  EXPECT_EQ(client.receive()->body, "POST /x abcde");
}

TEST(Server, ReadsChunkedBodiesAndLeavesTrailersOut) {
  TestServer server(answer);
  RawClient client(server.port());
  const auto response = client.exchange(
      "POST /headers HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n"
      "3\r\nabc\r\n0\r\nX-Late: x\r\n\r\n");
  EXPECT_EQ(response->body, "Host=h;Transfer-Encoding=Chunked;");
}

TEST(Server, ReadsALargeBody) {
  TestServer server(answer);
  RawClient client(server.port());
  const std::string body(3'000'000, 'x');
  client.send("POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 3000000\r\n\r\n");
  client.send(body);
  EXPECT_EQ(client.receive()->body, "POST /b " + body);
  EXPECT_EQ(client.exchange(kGet)->body, "GET /a ");
}

TEST(Server, StreamsInChunks) {
  TestServer server(answer);
  RawClient client(server.port());
  client.send("GET /stream HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  const std::string bytes = client.receive_all();
  EXPECT_THAT(bytes, HasSubstr("Transfer-Encoding: chunked\r\n"));
  EXPECT_THAT(bytes, Not(HasSubstr("Content-Length")));
  EXPECT_TRUE(bytes.ends_with("\r\n\r\n4\r\none \r\n4\r\ntwo \r\n5\r\nthree\r\n0\r\n\r\n"))
      << bytes;
}

TEST(Server, HeadHasTheHeadersOfGetAndNoBody) {
  TestServer server(answer);
  RawClient client(server.port());
  const auto head = client.exchange("HEAD /abc HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(head->header("Content-Length"), std::to_string(std::string("HEAD /abc ").size()));
  const auto streamed = client.exchange("HEAD /stream HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(streamed->header("Transfer-Encoding"), "chunked");
  const auto not_run = client.exchange("HEAD /cut HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(not_run->status, 200);
  EXPECT_EQ(client.exchange(kGet)->body, "GET /a ");
}

TEST(Server, SendsContinueBeforeTheBody) {
  TestServer server(answer);
  RawClient client(server.port());
  const auto interim = client.exchange(
      "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(interim->status, 100);
  EXPECT_EQ(client.exchange("ok")->body, "POST /p ok");
  const auto at_once = client.exchange(
      "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nok");
  EXPECT_EQ(at_once->status, 200);
  EXPECT_EQ(client.exchange("POST / HTTP/1.1\r\nHost: h\r\nExpect: tea\r\n\r\n")->status, 417);
}

TEST(Server, ClosesForHttp10UnlessAskedNotTo) {
  TestServer server(answer);
  {
    RawClient client(server.port());
    const auto response = client.exchange("GET /a HTTP/1.0\r\n\r\n");
    EXPECT_EQ(response->body, "GET /a ");
    EXPECT_TRUE(client.sees_end());
  }
  {
    RawClient client(server.port());
    const std::string kept = "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    EXPECT_EQ(client.exchange(kept)->header("Connection"), "keep-alive");
    EXPECT_EQ(client.exchange(kept)->body, "GET /a ");
    const auto streamed = client.exchange("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_EQ(streamed->body, "one two three");
    EXPECT_EQ(streamed->header("Transfer-Encoding"), "");
    EXPECT_TRUE(streamed->whole);
  }
}

TEST(Server, ClosesWhenEitherSideAsks) {
  TestServer server(answer);
  for (const char* request : {"GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
                              "GET /close HTTP/1.1\r\nHost: h\r\n\r\n"}) {
    RawClient client(server.port());
    EXPECT_EQ(client.exchange(request)->header("Connection"), "close");
    EXPECT_TRUE(client.sees_end());
    EXPECT_FALSE(client.was_reset());
  }
}

TEST(Server, NoContentHasNeitherLengthNorBody) {
  TestServer server(answer);
  RawClient client(server.port());
  const auto response = client.exchange("DELETE /none HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(response->status, 204);
  EXPECT_THAT(response->head, Not(HasSubstr("Content-Length")));
  EXPECT_EQ(client.exchange(kGet)->body, "GET /a ");
}

TEST(Server, TakesAbsoluteTargetsAndUnknownMethods) {
  TestServer server(answer);
  RawClient client(server.port());
  const auto body = [&client](const std::string& line) {
    return client.exchange(line + " HTTP/1.1\r\nHost: h\r\n\r\n")->body;
  };
  EXPECT_EQ(body("GET http://other:80/p/q?x=1"), "GET /p/q ");
  EXPECT_EQ(body("GET HTTPS://other"), "GET / ");
  EXPECT_EQ(body("GET http://other?x"), "GET / ");
  EXPECT_EQ(body("BREW /pot"), "BREW /pot ");
  EXPECT_EQ(body("CONNECT other:443"), "CONNECT other:443 ");
  EXPECT_EQ(body("OPTIONS *"), "OPTIONS * ");
}

TEST(Server, DecodesTheQuery) {
  TestServer server(answer);
  RawClient client(server.port());
  const auto get = [&client](const std::string& target) {
    return client.exchange("GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n");
  };
  EXPECT_EQ(get("/query?a=1&b=x+y%26z&&c")->body, "a=1;b=x y&z;c=;");
  EXPECT_EQ(get("/query?a=%zz")->status, 400);
  EXPECT_EQ(get("/query?a=%C3%28")->status, 400);
  EXPECT_EQ(get("/a")->status, 200);  // the connection goes on
}

TEST(Server, HandlersCannotSplitTheResponse) {
  TestServer server(answer);
  RawClient client(server.port());
  const auto response = client.exchange("GET /split HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(response->body, "whole");
  EXPECT_EQ(response->header("X-Evil"), "a  X-Injected: b");
  EXPECT_THAT(response->head, Not(HasSubstr("\nX-Injected")));
  EXPECT_THAT(response->head, Not(HasSubstr("Name")));
}

TEST(Server, HidesWhatAHandlerThrows) {
  TestServer server(answer);
  RawClient client(server.port());
  const auto response = client.exchange("GET /throw HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(response->status, 500);
  EXPECT_THAT(response->body, Not(HasSubstr("secret")));
  EXPECT_EQ(client.exchange(kGet)->status, 200);
}

TEST(Server, AFailingStreamIsSeenToBeCut) {
  TestServer server(answer);
  {
    RawClient client(server.port());
    const auto response = client.exchange("GET /cut HTTP/1.1\r\nHost: h\r\n\r\n");
    ASSERT_TRUE(response);
    EXPECT_FALSE(response->whole);
    EXPECT_EQ(response->body, "half");
  }
  {
    RawClient client(server.port());
    client.exchange("GET /cut HTTP/1.0\r\n\r\n");
    EXPECT_TRUE(client.was_reset());
  }
  {
    RawClient client(server.port());
    EXPECT_EQ(client.exchange("GET /no-start HTTP/1.1\r\nHost: h\r\n\r\n")->status, 500);
    EXPECT_EQ(client.exchange("GET /gone HTTP/1.1\r\nHost: h\r\n\r\n")->status, 503);
    EXPECT_EQ(client.exchange(kGet)->status, 200);
  }
}

TEST(Server, SharesItsPortBetweenLoops) {
  std::mutex mutex;
  std::set<std::thread::id> threads;
  TestServer server(
      [&](Request& request) {
        std::scoped_lock lock(mutex);
        threads.insert(std::this_thread::get_id());
        return echo(request);
      },
      {}, 2);
  // The kernel spreads connections by their addresses' hash.
  for (int i = 0; i < 64; ++i) {
    RawClient client(server.port());
    ASSERT_EQ(client.exchange(kGet)->status, 200);
  }
  std::scoped_lock lock(mutex);
  EXPECT_EQ(threads.size(), 2U);
}

TEST(Server, RefusesAPortInUseAndABadAddress) {
  TestServer server(answer);
  boost::asio::io_context loop;
  const auto start = [&loop](const std::string& address, unsigned short port) {
    ServerOptions options;
    options.address = address;
    options.port = port;
    Server({&loop}, options, answer, [](int, std::string_view) { return Response(); });
  };
  EXPECT_THROW(start("127.0.0.1", server.port()), Error);
  EXPECT_THROW(start("nowhere", 0), Error);
}

}  // namespace
}  // namespace colloquy::http
