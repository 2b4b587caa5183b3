#include "http/message.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "http/header_values.h"
#include "http/query.h"
#include "http/response_head.h"

namespace colloquy::http {
namespace {

TEST(PercentDecode, DecodesEscapesAndInAQueryPlus) {
  EXPECT_EQ(percent_decode("a%20b%2Fc%c3%A9+", false), "a b/c\xc3\xa9+");
  EXPECT_EQ(percent_decode("a+b", true), "a b");
  EXPECT_EQ(percent_decode("", false), "");
}

TEST(PercentDecode, RefusesBadEscapes) {
  for (const char* text : {"%", "%2", "a%", "%g0", "%0g", "%%20", "% 1"}) {
    EXPECT_EQ(percent_decode(text, false), std::nullopt) << text;
  }
}

TEST(PercentDecode, RefusesWhatIsNotText) {
  for (const char* text : {"%00", "%80", "%C3", "%C3%28", "%C0%80", "%C1%BF", "%E0%80%80",
                           "%E0%9F%BF", "%ED%A0%80", "%ED%BF%BF", "%F0%80%80%80", "%F0%8F%BF%BF",
                           "%F4%90%80%80", "%F5%80%80%80", "%FF", "%E2%82", "%F0%9F%98", "\xff"}) {
    EXPECT_EQ(percent_decode(text, false), std::nullopt) << text;
  }
}

TEST(PercentDecode, TakesTheEdgesOfUtf8) {
  for (const char* text :
       {"\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
        "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_EQ(percent_decode(text, false), text);
    EXPECT_EQ(percent_decode(percent_encode(text), false), text);
  }
}

TEST(PercentEncode, KeepsUnreservedCharactersOnly) {
  EXPECT_EQ(percent_encode("aZ09-._~"), "aZ09-._~");
  EXPECT_EQ(percent_encode("a b/\xc3\xa9%"), "a%20b%2F%C3%A9%25");
}

TEST(Query, KeepsOrderAndTheLastOfANameWins) {
  Request request;
  ASSERT_TRUE(parse_query("a=1&&b&a=2&=x&c=%3D=", request.query));
  EXPECT_EQ(request.query.size(), 5U);
  EXPECT_EQ(*request.query_parameter("a"), "2");
  EXPECT_EQ(*request.query_parameter("b"), "");
  EXPECT_EQ(*request.query_parameter("c"), "==");
  EXPECT_EQ(request.query_parameter("d"), nullptr);
}

TEST(Headers, AreFoundWithoutRegardToCase) {
  Response response;
  response.set_header("ETag", "1");
  response.set_header("etag", "2");
  EXPECT_EQ(response.headers.size(), 1U);
  EXPECT_EQ(find_header(response.headers, "ETAG"), "2");
  EXPECT_EQ(find_header(response.headers, "ETAGS"), std::nullopt);
}

TEST(AcceptEncoding, WeighsGzip) {
  for (const char* yes : {"gzip", "GZIP", "x-gzip", "deflate, gzip;q=0.001", "*", "*;q=0.5, br",
                          "gzip ; q=1.000", "br,,gzip", "gzip;q=1., br"}) {
    EXPECT_TRUE(accepts_gzip(yes)) << yes;
  }
  for (const char* no : {"", "identity", "gzip;q=0", "gzip;q=0.000, *", "*;q=0", "br", "gzipped",
                         "gzip;q=2", "gzip;q=x", "gzip;q=0.0001", "gzip;q=-1", "\"gzip\""}) {
    EXPECT_FALSE(accepts_gzip(no)) << no;
  }
}

TEST(Vary, NamesEachFieldOnce) {
  Response response;
  add_vary(response, "Origin");
  add_vary(response, "Accept-Encoding");
  add_vary(response, "origin");
  EXPECT_EQ(find_header(response.headers, "Vary"), "Origin, Accept-Encoding");
  response.set_header("Vary", "*");
  add_vary(response, "Origin");
  EXPECT_EQ(find_header(response.headers, "Vary"), "*");
}

TEST(ResponseHead, HasReasonsAndDropsWhatIsNotTheHandlersToSet) {
  Response response;
  response.status = 299;
  response.headers = {{"date", "never"}, {"Keep-Alive", "1"}, {"X", "\xc3\xa9"}, {"", "y"}};
  std::string head;
  append_head(head, response, {.framing = Framing::kLength, .content_bytes = 12, .close = true});
  EXPECT_EQ(head, "HTTP/1.1 299 \r\nDate: " + std::string(http_date()) +
                      "\r\nX: \xc3\xa9\r\nContent-Length: 12\r\nConnection: close\r\n\r\n");
}

}  // namespace
}  // namespace colloquy::http
