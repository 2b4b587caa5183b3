#include "http/representation.h"

#include <gtest/gtest.h>

#include <string>

#include "http/header_values.h"
#include "http/response_head.h"

namespace colloquy::http {
namespace {

using Kind = RangeChoice::Kind;

std::string shown(std::string_view range, std::uint64_t bytes) {
  const auto choice = choose_range(range, bytes);
  if (choice.kind == Kind::kWhole) return "whole";
  if (choice.kind == Kind::kUnsatisfiable) return "none";
  return std::to_string(choice.first) + "+" + std::to_string(choice.bytes);
}

TEST(ChooseRange, IsAsTheStandardHasIt) {
  EXPECT_EQ(shown("bytes=0-499", 10000), "0+500");
  EXPECT_EQ(shown("bytes=500-999", 10000), "500+500");
  EXPECT_EQ(shown("bytes=-500", 10000), "9500+500");
  EXPECT_EQ(shown("bytes=9500-", 10000), "9500+500");
  EXPECT_EQ(shown("bytes=0-0", 10000), "0+1");
  EXPECT_EQ(shown("bytes= 1-2 ,", 10000), "1+2");
  EXPECT_EQ(shown("Bytes=1-2", 10000), "1+2");
  EXPECT_EQ(shown("bytes=9999-20000", 10000), "9999+1");
  EXPECT_EQ(shown("bytes=0-18446744073709551615", 10000), "0+10000");
  EXPECT_EQ(shown("bytes=-99999999999999999999999", 10000), "0+10000");
  for (const char* range : {"bytes=10000-", "bytes=10000-10001", "bytes=-0",
                            "bytes=99999999999999999999-", "bytes=18446744073709551615-"}) {
    EXPECT_EQ(shown(range, 10000), "none") << range;
  }
  EXPECT_EQ(shown("bytes=0-", 0), "none");
  EXPECT_EQ(shown("bytes=-1", 0), "none");
  for (const char* range :
       {"", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=1", "bytes=2-1", "bytes=1-2,4-5",
        "lines=1-2", "bytes=1-2-3", "bytes=+1-2", "bytes=1 -2", "bytes=--1", "bytes=0x1-2"}) {
    EXPECT_EQ(shown(range, 10000), "whole") << range;
  }
}

TEST(IfRange, HoldsForTheStrongTagOnly) {
  EXPECT_TRUE(if_range_holds("\"abc\"", "abc"));
  for (const char* value : {"abc", "W/\"abc\"", "\"abd\"", "\"ab\"", "*", "", "\"abc\", \"abc\"",
                            "Sun, 06 Nov 1994 08:49:37 GMT"}) {
    EXPECT_FALSE(if_range_holds(value, "abc")) << value;
  }
}

TEST(ContentDigest, IsADictionaryOfByteSequences) {
  const auto parse = [](std::vector<Header> headers) {
    Request request;
    request.headers = std::move(headers);
    return parse_content_digest(request);
  };
  const auto both = parse(
      {{"Content-Digest", "sha-256=:AAAA:,  sha-512=:BB==:;x=1"}, {"content-digest", "md5=:C:"}});
  ASSERT_TRUE(both.has_value());
  EXPECT_EQ(both->sha256, "AAAA");
  EXPECT_EQ(both->sha512, "BB==");
  EXPECT_TRUE(both->others);
  for (const char* value : {"sha-256", "sha-256=AAAA", "sha-256=:AAAA", "sha-256=:AA AA:",
                            "SHA-256=:AAAA:", "=:A:", "sha-256=:AAAA:x", "sha-256=\"AAAA\""}) {
    EXPECT_FALSE(parse({{"Content-Digest", value}}).has_value()) << value;
  }
}

TEST(ContentDisposition, SaysANameTwiceWhereItIsNotPlain) {
  EXPECT_EQ(content_disposition("inline", "a b.txt"), "inline; filename=\"a b.txt\"");
  EXPECT_EQ(content_disposition("attachment", "a\"\r\nb\\%;"),
            "attachment; filename=\"a___b__;\"; filename*=UTF-8''a%22%0D%0Ab%5C%25%3B");
  EXPECT_EQ(content_disposition("attachment", "€"),
            "attachment; filename=\"_\"; filename*=UTF-8''%E2%82%AC");
}

TEST(EntityTags, TellWeakFromStrong) {
  Request request;
  request.headers = {{"If-None-Match", "\"a\", W/\"b\""}};
  const auto tags = parse_entity_tags(request, "If-None-Match");
  ASSERT_TRUE(tags.has_value());
  EXPECT_EQ(tags->strong, std::vector<std::string_view>{"a"});
  EXPECT_EQ(tags->weak, std::vector<std::string_view>{"b"});
}

TEST(HttpDate, IsFixed) {
  EXPECT_EQ(format_http_date(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(format_http_date(-5), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(format_http_date(INT64_MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
}

}  // namespace
}  // namespace colloquy::http
