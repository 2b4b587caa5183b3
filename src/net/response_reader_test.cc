#include "net/response_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

namespace colloquy::net {
namespace {

using Body = ResponseReader::Body;

// Feeds the response in pieces of one size; returns the body.
std::string feed(ResponseReader& reader, std::string_view response, std::size_t piece_bytes) {
  std::string body;
  while (!response.empty() && !reader.failure()) {
    const auto space = reader.space();
    const auto size = std::min({piece_bytes, response.size(), space.size});
    std::memcpy(space.data, response.data(), size);
    response.remove_prefix(size);
    reader.commit(size);
    if (reader.header_done()) body += reader.take_body();
  }
  return body;
}

NetFailure failure_of(std::string_view response) {
  ResponseReader reader(Body::kAsTheHeaderSays);
  feed(reader, response, 1000);
  reader.end();
  return reader.failure() ? reader.failure()->failure() : NetFailure::kCancelled;
}

TEST(ResponseReader, ReadsAChunkedBodyWhateverTheSizeOfThePieces) {
  const std::string response =
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n"
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-One: 1\r\n\r\n"
      "5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: t\r\n\r\n";
  for (std::size_t piece = 1; piece <= response.size(); ++piece) {
    ResponseReader reader(Body::kAsTheHeaderSays);
    EXPECT_EQ(feed(reader, response, piece), "hello world") << piece;
    EXPECT_TRUE(reader.done());
    EXPECT_TRUE(reader.reusable());
    EXPECT_EQ(reader.status(), 200);
    EXPECT_EQ(reader.header("x-one"), "1");
  }
}

// The last chunk is also the first: Beast would end the program where only a part of it is there.
TEST(ResponseReader, AnEmptyChunkedBodyMayComeInPieces) {
  for (const std::string_view body : {"0\r\n\r\n", "0;a\r\n\r\n", "0\r\nT: t\r\n\r\n"}) {
    const std::string response =
        "HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
        std::string(body);
    for (std::size_t piece = 1; piece <= response.size(); ++piece) {
      ResponseReader reader(Body::kAsTheHeaderSays);
      EXPECT_EQ(feed(reader, response, piece), "");
      EXPECT_TRUE(reader.done()) << piece;
      EXPECT_TRUE(reader.reusable());
    }
  }
}

TEST(ResponseReader, ABodyWithoutLengthEndsWithTheStream) {
  ResponseReader reader(Body::kAsTheHeaderSays);
  EXPECT_EQ(feed(reader, "HTTP/1.0 200 OK\r\n\r\nabc", 4), "abc");
  EXPECT_FALSE(reader.done());
  reader.end();
  EXPECT_TRUE(reader.done());
  EXPECT_FALSE(reader.reusable());
}

TEST(ResponseReader, ResponsesThatHaveNoBodyEndWithTheirHeader) {
  ResponseReader head(Body::kNone);
  feed(head, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", 7);
  EXPECT_TRUE(head.reusable());
  ResponseReader no_content(Body::kAsTheHeaderSays);
  feed(no_content, "HTTP/1.1 204 No Content\r\n\r\n", 7);
  EXPECT_TRUE(no_content.reusable());
}

TEST(ResponseReader, BytesPastTheResponseSpoilTheConnection) {
  ResponseReader reader(Body::kAsTheHeaderSays);
  EXPECT_EQ(feed(reader, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200", 1000), "x");
  EXPECT_TRUE(reader.done());
  EXPECT_FALSE(reader.reusable());
}

TEST(ResponseReader, AnEndBeforeTheEndIsAClosedConnection) {
  EXPECT_EQ(failure_of(""), NetFailure::kClosed);
  EXPECT_EQ(failure_of("HTTP/1.1 200"), NetFailure::kClosed);
  EXPECT_EQ(failure_of("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc"), NetFailure::kClosed);
  EXPECT_EQ(failure_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"),
            NetFailure::kClosed);
  EXPECT_EQ(failure_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"),
            NetFailure::kClosed);
}

TEST(ResponseReader, WhatIsNotHttpIsMalformed) {
  EXPECT_EQ(failure_of("SSH-2.0-OpenSSH\r\n\r\n"), NetFailure::kMalformed);
  EXPECT_EQ(failure_of("HTTP/2.0 200 OK\r\n\r\n"), NetFailure::kMalformed);
  EXPECT_EQ(failure_of("HTTP/1.1 200 OK\r\nbad header\r\n\r\n"), NetFailure::kMalformed);
  EXPECT_EQ(failure_of("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), NetFailure::kMalformed);
  EXPECT_EQ(failure_of("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
            NetFailure::kMalformed);
  EXPECT_EQ(failure_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
            NetFailure::kMalformed);
  EXPECT_EQ(failure_of("HTTP/1.1 101 Switching Protocols\r\n\r\n"), NetFailure::kMalformed);
}

TEST(ResponseReader, AHugeContentLengthReservesNothing) {
  EXPECT_EQ(failure_of("HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551614\r\n\r\nabc"),
            NetFailure::kClosed);
}

TEST(ResponseReader, WhatDoesNotEndIsTooLarge) {
  const std::string much(200'000, 'x');
  EXPECT_EQ(failure_of("HTTP/1.1 200 " + much), NetFailure::kTooLarge);
  EXPECT_EQ(failure_of("HTTP/1.1 200 OK\r\nX: " + much), NetFailure::kTooLarge);
  std::string fields = "HTTP/1.1 200 OK\r\n";
  while (fields.size() < 200'000) fields += "X-Field: some value\r\n";
  EXPECT_EQ(failure_of(fields), NetFailure::kTooLarge);
  EXPECT_EQ(failure_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;" + much),
            NetFailure::kTooLarge);
  std::string informational;
  for (int i = 0; i < 100; ++i) informational += "HTTP/1.1 103 Early\r\n\r\n";
  EXPECT_EQ(failure_of(informational), NetFailure::kMalformed);
}

}  // namespace
}  // namespace colloquy::net
