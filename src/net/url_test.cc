#include "net/url.h"

#include <gtest/gtest.h>

namespace colloquy::net {
namespace {

TEST(Url, TakesAnAbsoluteUrlApart) {
  const auto url = parse_url("HTTPS://Example.COM/v1/chat?x=1#part");
  ASSERT_TRUE(url);
  EXPECT_TRUE(url->tls);
  EXPECT_EQ(url->host, "example.com");
  EXPECT_EQ(url->port, 443);
  EXPECT_EQ(url->target, "/v1/chat?x=1");
  EXPECT_EQ(url->authority(), "example.com");
  EXPECT_EQ(url->host_and_port(), "example.com:443");
}

TEST(Url, KeepsAPortThatIsNotTheSchemesOwn) {
  EXPECT_EQ(parse_url("http://localhost:443/")->authority(), "localhost:443");
  EXPECT_EQ(parse_url("http://localhost:80/")->authority(), "localhost");
}

TEST(Url, GivesATargetWhereThePathIsEmpty) {
  EXPECT_EQ(parse_url("http://h")->target, "/");
  EXPECT_EQ(parse_url("http://h?q")->target, "/?q");
}

TEST(Url, ReadsIpv6AddressesAndUsers) {
  const auto url = parse_url("http://me:pw%40@[::1]:8080/x");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->user_info, "me:pw%40");
  EXPECT_EQ(url->host, "::1");
  EXPECT_EQ(url->authority(), "[::1]:8080");
}

TEST(Url, RefusesWhatIsNoUrl) {
  for (const char* text :
       {"", "example.com", "ftp://h/", "http://", "http://:80/", "http://h:0/", "http://h:70000/",
        "http://h:8x/", "http://h:/", "http://h /", "http://h/a b", "http://h/\r\nX: y",
        "http://[::1/", "http://[::1]x/", "http://h\xc3\xa9/", "http://a\\b/", "http://h/\x7f"}) {
    EXPECT_FALSE(parse_url(text)) << text;
  }
}

}  // namespace
}  // namespace colloquy::net
