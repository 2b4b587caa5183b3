// Bodies that are handled while they arrive, and answers of a length that is known before.
#include <gtest/gtest.h>

#include <atomic>
#include <string>

#include "base/error.h"
#include "http/server.h"
#include "http/testing/raw_client.h"
#include "http/testing/test_server.h"

namespace colloquy::http {
namespace {

using namespace std::chrono_literals;
using testing::RawClient;
using testing::TestServer;

constexpr std::uint64_t kMost = 4 * limits::kMiB;

// Reads the body to its end, unless the path is /unread, and says how much it was.
Task<Response> count(Request& request) {
  Response response;
  response.set_header("Content-Type", "text/plain");
  if (request.body_stream == nullptr || request.path == "/unread") {
    response.body = "whole " + std::to_string(request.body.size());
    co_return response;
  }
  std::size_t bytes = 0;
  std::size_t largest = 0;
  try {
    for (;;) {
      const std::string_view piece = co_await request.body_stream->read();
      if (piece.empty()) break;
      bytes += piece.size();
      largest = std::max(largest, piece.size());
    }
  } catch (const BodyFailure& failure) {
    response.status = failure.status();
  }
  response.body = std::to_string(bytes) + (largest <= 256 * limits::kKiB ? " bounded" : " large");
  co_return response;
}

ServerOptions streaming() {
  ServerOptions options;
  options.streamed_body = [](const Request& request) -> std::optional<std::uint64_t> {
    if (request.method == Method::kPut) return kMost;
    return std::nullopt;
  };
  return options;
}

std::string put(const std::string& headers, const std::string& body, const char* path = "/a") {
  return "PUT " + std::string(path) + " HTTP/1.1\r\nHost: h\r\n" + headers + "\r\n" + body;
}
std::string length(std::size_t bytes) {
  return "Content-Length: " + std::to_string(bytes) + "\r\n";
}

TEST(StreamedBody, MayBeLargerThanOneThatIsKeptAndComesInBoundedPieces) {
  ServerLimits limits;
  limits.body_bytes = 1000;
  TestServer server(count, limits, 1, streaming());
  RawClient client(server.port());
  const std::string body(3 * limits::kMiB, 'x');
  for (int i = 0; i < 2; ++i) {
    const auto response = client.exchange(put(length(body.size()), body));
    ASSERT_TRUE(response.has_value());
    EXPECT_EQ(response->status, 200);
    EXPECT_EQ(response->body, std::to_string(body.size()) + " bounded");
  }
  const auto chunked =
      client.exchange(put("Transfer-Encoding: chunked\r\n", "300000\r\n" + body + "\r\n0\r\n\r\n"));
  ASSERT_TRUE(chunked.has_value());
  EXPECT_EQ(chunked->body, std::to_string(body.size()) + " bounded");
  const auto other = client.exchange("POST / HTTP/1.1\r\nHost: h\r\n" + length(1001) + "\r\n" +
                                     std::string(1001, 'x'));
  ASSERT_TRUE(other.has_value());
  EXPECT_EQ(other->status, 413);
}

TEST(StreamedBody, PastItsLimitIs413DeclaredOrNot) {
  TestServer server(count, {}, 1, streaming());
  const std::string body(kMost + 1, 'x');
  RawClient declared(server.port());
  EXPECT_EQ(declared.exchange(put(length(body.size()), ""))->status, 413);
  RawClient chunked(server.port());
  chunked.send(put("Transfer-Encoding: chunked\r\n", "400001\r\n" + body + "\r\n0\r\n\r\n"));
  EXPECT_EQ(chunked.receive()->status, 413);
}

TEST(StreamedBody, ThatIsCutOffOrBadlyFramedIs400) {
  TestServer server(count, {}, 1, streaming());
  for (const auto& request :
       {put(length(10), "12345"), put("Transfer-Encoding: chunked\r\n", "5\r\n12345"),
        put("Transfer-Encoding: chunked\r\n", "5\r\n12345xx\r\n")}) {
    RawClient client(server.port());
    client.send(request);
    client.end_sending();
    const auto response = client.receive();
    ASSERT_TRUE(response.has_value());
    EXPECT_EQ(response->status, 400);
    EXPECT_TRUE(client.sees_end());
  }
}

TEST(StreamedBody, IsContinuedOnlyOnceItIsRead) {
  TestServer server(count, {}, 1, streaming());
  RawClient client(server.port());
  client.send(put("Expect: 100-continue\r\n" + length(5), ""));
  EXPECT_EQ(client.receive(true)->status, 100);
  EXPECT_EQ(client.exchange("12345")->body, "5 bounded");
  const auto unread = client.exchange(put("Expect: 100-continue\r\n" + length(5), "", "/unread"));
  ASSERT_TRUE(unread.has_value());
  EXPECT_EQ(unread->status, 200);
  EXPECT_EQ(unread->header("Connection"), "close");
}

TEST(StreamedBody, ThatNobodyReadsIsNotTakenForARequest) {
  TestServer server(count, {}, 1, streaming());
  RawClient client(server.port());
  const std::string smuggled = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
  // It has come with the head, so the connection can go on behind it.
  client.send(put(length(smuggled.size()), smuggled, "/unread") + put(length(2), "ab"));
  EXPECT_EQ(client.receive()->body, "whole 0");
  const auto next = client.receive();
  ASSERT_TRUE(next.has_value());
  EXPECT_EQ(next->body, "2 bounded");
}

// Nobody reads the body of what is refused before it is handled: what comes of it later must not be
// answered.
TEST(StreamedBody, OfARequestThatIsRefusedIsNotTakenForARequest) {
  TestServer server(count, {}, 1, streaming());
  const std::string smuggled = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
  for (const std::string expect : {"", "Expect: 100-continue\r\n"}) {
    for (const auto& [framing, body] : {std::pair(length(smuggled.size()), smuggled),
                                        std::pair(std::string("Transfer-Encoding: chunked\r\n"),
                                                  "23\r\n" + smuggled + "\r\n0\r\n\r\n")}) {
      RawClient client(server.port());
      const auto refused = client.exchange(put(expect + framing, "", "/a?%zz"));
      ASSERT_TRUE(refused.has_value());
      EXPECT_EQ(refused->status, 400);
      EXPECT_EQ(refused->header("Connection"), "close");
      client.send(body);
      EXPECT_EQ(client.receive_all(), "");
    }
  }
}

TEST(StreamedBody, IsNotTakenForARequestWhereTheAnswerHasNoStatus) {
  const auto badly = [](Request&) -> Task<Response> {
    Response response;
    response.status = 42;
    co_return response;
  };
  TestServer server(badly, {}, 1, streaming());
  RawClient client(server.port());
  const auto answer = client.exchange(put(length(40), ""));
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->status, 500);
  EXPECT_EQ(answer->header("Connection"), "close");
}

TEST(StreamedBody, HasTheDeadlineForEachPartOfIt) {
  ServerLimits limits;
  limits.request = 400ms;
  TestServer server(count, limits, 1, streaming());
  RawClient slow(server.port());
  slow.send(put(length(10), "1"));
  const auto response = slow.receive();
  ASSERT_TRUE(response.has_value());
  EXPECT_EQ(response->status, 408);
}

Task<> write_six(std::atomic<int>* refused, std::string path, BodyWriter& writer) {
  co_await writer.write("abc");
  if (path == "/short") co_return;
  try {
    co_await writer.write(path == "/long" ? "defg" : "def");
  } catch (const Error&) {
    ++*refused;
    throw;
  }
}

Task<Response> six(std::atomic<int>* refused, std::string path) {
  Response response;
  response.stream_bytes = 6;
  response.stream = [refused, path](BodyWriter& writer) {
    return write_six(refused, path, writer);
  };
  co_return response;
}

TEST(KnownLength, IsSaidAndKept) {
  std::atomic<int> refused{0};
  TestServer server([&refused](Request& request) { return six(&refused, request.path); });
  RawClient client(server.port());
  const auto whole = client.exchange("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(whole.has_value());
  EXPECT_EQ(whole->header("Content-Length"), "6");
  EXPECT_EQ(whole->body, "abcdef");
  client.send("HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  const auto head = client.receive_all();
  EXPECT_NE(head.find("Content-Length: 6\r\n"), std::string::npos);
  EXPECT_TRUE(head.ends_with("\r\n\r\n"));
  for (const char* path : {"/short", "/long"}) {
    RawClient other(server.port());
    other.send("GET " + std::string(path) + " HTTP/1.1\r\nHost: h\r\n\r\n");
    const auto cut = other.receive();
    if (cut) {
      EXPECT_FALSE(cut->whole) << path;
    }
  }
  EXPECT_EQ(refused, 1);
}

}  // namespace
}  // namespace colloquy::http
