// Limits, malformed requests, slow clients, and the end of the server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <future>

#include "base/signal.h"
#include "http/server.h"
#include "http/testing/raw_client.h"
#include "http/testing/test_server.h"

namespace colloquy::http {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using testing::echo;
using testing::RawClient;
using testing::TestServer;

constexpr const char* kGet = "GET /a HTTP/1.1\r\nHost: here\r\n\r\n";

// The answer to one request on a connection of its own, which must then end; 0 for none.
int refusal_of(const TestServer& server, std::string_view request) {
  RawClient client(server.port());
  client.send(request);
  client.end_sending();
  const auto response = client.receive();
  if (!response) return 0;
  if (response->status >= 400) {
    EXPECT_EQ(response->header("Connection"), "close") << request;
    EXPECT_TRUE(client.sees_end()) << request;
    EXPECT_FALSE(client.was_reset()) << request;
  }
  return response->status;
}

TEST(ServerRefuses, WhatTwoReadersCouldUnderstandDifferently) {
  TestServer server(echo);
  const std::string post = "POST / HTTP/1.1\r\nHost: h\r\n";
  for (const std::string& headers : std::vector<std::string>{
           "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
           "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
           "Content-Length: 3\r\nContent-Length: 4\r\n",
           "Content-Length: 3\r\nContent-Length: 3\r\n",
           "Content-Length: 3, 3\r\n",
           "Content-Length: +3\r\n",
           "Content-Length: -1\r\n",
           "Content-Length: 0x3\r\n",
           "Content-Length: 3 \r\n 4\r\n",
           "Content-Length:\r\n",
           "Content-Length: 99999999999999999999999\r\n",
           "Content-Length : 3\r\n",
           " Content-Length: 3\r\n",
           "Transfer-Encoding: gzip\r\n",
           "Transfer-Encoding: gzip, chunked\r\n",
           "Transfer-Encoding: chunked, identity\r\n",
           "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
           "Transfer-Encoding: xchunked\r\n",
           "Transfer-Encoding : chunked\r\n",
           "Transfer-Encoding: \x0b"
           "chunked\r\n",
           "X: a\rb\r\n",
           "X: a\r\n\nY: b\r\n",
       }) {
    EXPECT_EQ(
        refusal_of(server, post + headers + "\r\n0\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n"), 400)
        << headers;
  }
  EXPECT_EQ(refusal_of(server, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            400);
}

TEST(ServerRefuses, BadChunks) {
  TestServer server(echo);
  const std::string head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const std::string& body : std::vector<std::string>{
           "x\r\n", "-1\r\n", "3\r\nabcd\r\n0\r\n\r\n", "3\nabc\r\n0\r\n\r\n",
           "3 abc\r\nabc\r\n0\r\n\r\n", "\r\n", "3\r\nabc\r\n0\r\nContent-Length: 1\r\n\r\n",
           "3\r\nabc\r\n0\r\nbad trailer\r\n\r\n"}) {
    EXPECT_EQ(refusal_of(server, head + body), 400) << body;
  }
  EXPECT_EQ(refusal_of(server, head + "ffffffffffffffff\r\n"), 413);
  EXPECT_EQ(refusal_of(server, head + "fffffffffffffffff\r\n"), 400);
  EXPECT_EQ(refusal_of(server, head + "1;" + std::string(20'000, 'x')), 400);
}

TEST(ServerRefuses, WhatIsNotARequest) {
  TestServer server(echo);
  for (const std::string& request : std::vector<std::string>{
           "garbage\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/2.0\r\n\r\n", "GET / HTTP/1.1\n\n",
           "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", "GET nowhere HTTP/1.1\r\nHost: h\r\n\r\n",
           "GET * HTTP/1.1\r\nHost: h\r\n\r\n", "GET http:///x HTTP/1.1\r\nHost: h\r\n\r\n",
           "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n",
           "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03", "GET / HTTP/1.1\r\nHost: h\r\nContent-Le",
           "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabc"}) {
    EXPECT_EQ(refusal_of(server, request), 400) << request;
  }
  EXPECT_EQ(refusal_of(server, "GET / HTTP/1.1\r\nHost: h\r\nX: \0\r\n\r\n"s), 400);
  EXPECT_EQ(refusal_of(server, ""), 0);
  EXPECT_EQ(refusal_of(server, "\r\n\r\n" + std::string(kGet)), 200);
}

TEST(ServerRefuses, TooLargeAHeader) {
  ServerLimits limits;
  limits.header_bytes = 1000;
  TestServer server(echo, limits);
  const std::string start = "GET / HTTP/1.1\r\nHost: h\r\n";
  EXPECT_EQ(refusal_of(server, start + "X: " + std::string(900, 'x') + "\r\n\r\n"), 200);
  EXPECT_EQ(refusal_of(server, start + "X: " + std::string(1000, 'x') + "\r\n\r\n"), 431);
  EXPECT_EQ(refusal_of(server, "GET /" + std::string(100'000, 'x')), 431);
  EXPECT_EQ(refusal_of(server, "GET /" + std::string(600, 'x') + " HTTP/1.1\r\nHost: h\r\nX: " +
                                   std::string(600, 'x') + "\r\n\r\n"),
            431);
}

TEST(ServerRefuses, TooLargeABodyBeforeItHasAllOfIt) {
  ServerLimits limits;
  limits.body_bytes = 1000;
  TestServer server(echo, limits);
  const std::string post = "POST / HTTP/1.1\r\nHost: h\r\n";
  {
    RawClient client(server.port());  // sends no body at all
    EXPECT_EQ(client.exchange(post + "Content-Length: 1001\r\n\r\n")->status, 413);
  }
  {
    RawClient client(server.port());
    const auto response =
        client.exchange(post + "Content-Length: 1001\r\nExpect: 100-continue\r\n\r\n");
    EXPECT_EQ(response->status, 413);
  }
  {
    RawClient client(server.port());  // its chunks never end
    client.send(post + "Transfer-Encoding: chunked\r\n\r\n");
    const std::string chunk = "64\r\n" + std::string(100, 'x') + "\r\n";
    for (int i = 0; i < 11; ++i) client.send(chunk);
    EXPECT_EQ(client.receive()->status, 413);
  }
  {
    RawClient client(server.port());  // sends all of it before it reads
    ASSERT_TRUE(
        client.send(post + "Content-Length: 4000000\r\n\r\n" + std::string(4'000'000, 'x')));
    EXPECT_EQ(client.receive()->status, 413);
    EXPECT_FALSE(client.was_reset());
  }
  EXPECT_EQ(refusal_of(server, post + "Content-Length: 1000\r\n\r\n" + std::string(1000, 'x')),
            200);
}

TEST(ServerCutsOff, AClientThatTrickles) {
  ServerLimits limits;
  limits.request = 200ms;
  TestServer server(echo, limits);
  RawClient client(server.port());
  std::future<void> sender = std::async(std::launch::async, [&client] {
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n");
    while (client.send("x")) std::this_thread::sleep_for(10ms);
  });
  const auto response = client.receive();
  EXPECT_EQ(response->status, 408);
  EXPECT_TRUE(client.sees_end());
  ::shutdown(client.descriptor(), SHUT_RDWR);
  sender.get();
}

TEST(ServerCutsOff, AnIdleConnectionWithoutAWord) {
  ServerLimits limits;
  limits.idle = 100ms;
  TestServer server(echo, limits);
  RawClient silent(server.port());
  RawClient used(server.port());
  EXPECT_EQ(used.exchange(kGet)->status, 200);
  EXPECT_EQ(silent.receive_all(), "");
  EXPECT_EQ(used.receive_all(), "");
  EXPECT_TRUE(server.has_connections(0));
}

Task<> produce_until_closed(std::shared_ptr<std::promise<bool>> closed, BodyWriter& body) {
  const std::string piece(100'000, 'x');
  try {
    for (;;) co_await body.write(piece);
  } catch (const ConnectionClosed&) {
    closed->set_value(true);
    throw;
  }
}

Handler endless(std::shared_ptr<std::promise<bool>> closed) {
  return [closed](Request&) -> Task<Response> {
    Response response;
    response.stream = [closed](BodyWriter& body) { return produce_until_closed(closed, body); };
    return [](Response ready) -> Task<Response> { co_return ready; }(std::move(response));
  };
}

TEST(ServerCutsOff, AClientThatDoesNotRead) {
  ServerLimits limits;
  limits.write = 200ms;
  auto closed = std::make_shared<std::promise<bool>>();
  TestServer server(endless(closed), limits);
  RawClient client(server.port(), 4096);
  client.send(kGet);
  EXPECT_EQ(closed->get_future().wait_for(10s), std::future_status::ready);
  EXPECT_TRUE(server.has_connections(0));
}

TEST(ServerCutsOff, AClientThatReadsALargeBodyTooSlowly) {
  ServerLimits limits;
  limits.write = 200ms;
  TestServer server(
      [](Request&) -> Task<Response> {
        Response response;
        response.body.assign(64 * 1024 * 1024, 'x');
        co_return response;
      },
      limits);
  RawClient client(server.port(), 4096);
  client.send(kGet);
  ASSERT_TRUE(server.has_connections(1));
  std::array<char, 16> few;
  while (::recv(client.descriptor(), few.data(), few.size(), 0) > 0 &&
         server.server().connections() != 0) {
    std::this_thread::sleep_for(5ms);
  }
  EXPECT_TRUE(server.has_connections(0));
}

TEST(ServerStream, AProducerLearnsThatTheClientIsGone) {
  auto closed = std::make_shared<std::promise<bool>>();
  TestServer server(endless(closed));
  {
    RawClient client(server.port());
    client.send(kGet);
    ASSERT_TRUE(server.has_connections(1));
  }
  EXPECT_EQ(closed->get_future().wait_for(10s), std::future_status::ready);
}

TEST(ServerLimit, OfConnectionsHoldsAcrossLoops) {
  ServerLimits limits;
  limits.connections = 3;
  TestServer server(echo, limits, 2);
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<RawClient>(server.port()));
    ASSERT_EQ(clients.back()->exchange(kGet)->status, 200);
  }
  {
    RawClient refused(server.port());
    const auto response = refused.receive();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->status, 503);
    EXPECT_TRUE(refused.sees_end());
  }
  clients.pop_back();
  ASSERT_TRUE(server.has_connections(2));
  RawClient next(server.port());
  EXPECT_EQ(next.exchange(kGet)->status, 200);
}

// A handler that answers when the test says so.
struct Gate {
  Signal signal;
  std::atomic<bool> entered{false};
  std::atomic<bool> open{false};
};

Task<Response> wait_for(Gate& gate, Request& request) {
  gate.entered = true;
  while (!gate.open) co_await gate.signal.wait(gate.signal.ticket(), 5ms);
  co_return co_await echo(request);
}

TEST(ServerStop, EndsIdleConnectionsAndLetsOthersFinish) {
  Gate gate;
  TestServer server([&gate](Request& request) {
    return request.path == "/slow" ? wait_for(gate, request) : echo(request);
  });
  RawClient idle(server.port());
  ASSERT_EQ(idle.exchange(kGet)->status, 200);
  RawClient busy(server.port());
  busy.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n");
  while (!gate.entered) std::this_thread::yield();

  server.server().stop_accepting();
  EXPECT_TRUE(idle.sees_end());
  EXPECT_TRUE(server.has_connections(1));
  EXPECT_FALSE(RawClient(server.port()).send(kGet) && RawClient(server.port()).receive());
  gate.open = true;
  const auto response = busy.receive();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->body, "GET /slow ");
  EXPECT_EQ(response->header("Connection"), "close");
  EXPECT_TRUE(busy.sees_end());
}

TEST(ServerStop, AnswersThoseWhoWaitToBeAccepted) {
  boost::asio::io_context loop;
  Server server({&loop}, {}, echo, [](int, std::string_view) { return Response(); });
  server.start();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 5; ++i) {
    clients.push_back(std::make_unique<RawClient>(server.port()));
    ASSERT_TRUE(clients.back()->send(kGet));
  }
  server.stop_accepting();
  EXPECT_GT(server.connections(), 0U);
  std::thread thread([&loop] { loop.run(); });
  for (auto& client : clients) {
    const auto response = client->receive();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->status, 200);
    EXPECT_EQ(response->header("Connection"), "close");
    EXPECT_TRUE(client->sees_end());
  }
  clients.clear();
  thread.join();
  EXPECT_EQ(server.connections(), 0U);
}

TEST(ServerStop, CloseAllEndsEveryConnection) {
  Gate gate;
  TestServer server([&gate](Request& request) { return wait_for(gate, request); });
  RawClient busy(server.port());
  busy.send(kGet);
  RawClient half(server.port());
  half.send("GET /");
  while (!gate.entered) std::this_thread::yield();
  ASSERT_TRUE(server.has_connections(2));
  server.server().close_all();
  EXPECT_TRUE(busy.sees_end());
  EXPECT_TRUE(half.sees_end());
  gate.open = true;
  EXPECT_TRUE(server.has_connections(0));
}

TEST(ServerStop, ItsLoopsMayBeStoppedFirst) {
  Gate gate;
  boost::asio::io_context loop;
  Server server(
      {&loop}, {}, [&gate](Request& request) { return wait_for(gate, request); },
      [](int, std::string_view) { return Response(); });
  server.start();
  std::thread thread([&loop] { loop.run(); });
  RawClient busy(server.port());
  busy.send(kGet);
  while (!gate.entered) std::this_thread::yield();
  loop.stop();
  thread.join();
}

}  // namespace
}  // namespace colloquy::http
