#include "http/request_parser.h"

#include <gtest/gtest.h>

namespace colloquy::http {
namespace {

using Progress = RequestParser::Progress;

TEST(RequestParser, CountsAHeaderThatComesLineByLine) {
  Request request;
  ServerLimits limits;
  limits.header_bytes = 1000;
  RequestParser parser(request, limits);
  std::string buffer = "GET / HTTP/1.1\r\n";
  Progress progress = Progress::kNeedMore;
  std::size_t lines = 0;
  for (; progress == Progress::kNeedMore && lines < 1000; ++lines) {
    std::string_view bytes = buffer;
    progress = parser.feed(bytes);
    buffer = std::string(bytes) + "X: 2345678\r\n";
  }
  EXPECT_EQ(progress, Progress::kRefused);
  EXPECT_EQ(parser.refusal().status, 431);
  EXPECT_LT(lines, 100U);
}

TEST(RequestParser, LeavesTheNextRequestAlone) {
  Request request;
  const ServerLimits limits;
  RequestParser parser(request, limits);
  std::string_view bytes =
      "PUT /a?b HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nokGET / HTTP/1.1\r\n";
  EXPECT_EQ(parser.feed(bytes), Progress::kComplete);
  EXPECT_EQ(bytes, "GET / HTTP/1.1\r\n");
  EXPECT_EQ(request.method, Method::kPut);
  EXPECT_EQ(request.target, "/a?b");
  EXPECT_EQ(request.path, "/a");
  EXPECT_EQ(request.body, "ok");
  EXPECT_TRUE(request.keep_alive);
}

// However a request is cut into pieces, it reads the same.
TEST(RequestParser, DoesNotDependOnWhereItIsCut) {
  const std::string whole =
      "POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
      "3;a=b\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nT: t\r\n\r\n";
  for (std::size_t first = 0; first <= whole.size(); ++first) {
    for (std::size_t second = first; second <= whole.size(); second += 7) {
      Request request;
      const ServerLimits limits;
      RequestParser parser(request, limits);
      Progress progress = Progress::kNeedMore;
      std::size_t taken = 0;
      for (const std::size_t end : {first, second, whole.size()}) {
        if (end == taken || progress == Progress::kComplete) continue;
        std::string_view bytes = std::string_view(whole).substr(taken, end - taken);
        progress = parser.feed(bytes);
        taken = end - bytes.size();
      }
      ASSERT_EQ(progress, Progress::kComplete) << first << " " << second;
      ASSERT_EQ(request.body, "abc0123456789abcdef");
      ASSERT_FALSE(request.keep_alive);
    }
  }
}

// The last chunk is also the first: Beast would end the program where only a part of it is there.
TEST(RequestParser, AnEmptyChunkedBodyMayComeInPieces) {
  for (const std::string_view body :
       {"0\r\n\r\n", "00\r\n\r\n", "0;a\r\n\r\n", "0\r\nT: t\r\n\r\n"}) {
    const std::string whole =
        "POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + std::string(body);
    for (std::size_t head = 1; head <= whole.size(); ++head) {
      Request request;
      const ServerLimits limits;
      RequestParser parser(request, limits);
      Progress progress = Progress::kNeedMore;
      std::size_t taken = 0;
      for (std::size_t end = head; end <= whole.size(); ++end) {
        ASSERT_EQ(progress, Progress::kNeedMore) << head << " " << end;
        std::string_view bytes = std::string_view(whole).substr(taken, end - taken);
        progress = parser.feed(bytes);
        taken = end - bytes.size();
      }
      ASSERT_EQ(progress, Progress::kComplete) << head;
      ASSERT_EQ(taken, whole.size());
      ASSERT_EQ(request.body, "");
    }
  }
}

}  // namespace
}  // namespace colloquy::http
