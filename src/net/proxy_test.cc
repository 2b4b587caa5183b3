#include "net/proxy.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace colloquy::net {
namespace {

bool proxied(const ProxySettings& proxy, std::string_view url) {
  return proxy.proxy_for(*parse_url(url)) != nullptr;
}

TEST(ProxySettings, WithoutAProxyEverythingIsDirect) {
  EXPECT_FALSE(proxied(ProxySettings("", ""), "https://a.example/"));
}

TEST(ProxySettings, CoversHttpsOnly) {
  const ProxySettings proxy("http://proxy:3128", "");
  EXPECT_TRUE(proxied(proxy, "https://a.example/"));
  EXPECT_FALSE(proxied(proxy, "http://a.example/"));
  EXPECT_EQ(proxy.proxy_for(*parse_url("https://a.example/"))->port, 3128);
}

TEST(ProxySettings, AProxyMayLackItsScheme) {
  EXPECT_TRUE(proxied(ProxySettings("proxy:3128", ""), "https://a.example/"));
}

TEST(ProxySettings, NamesInNoProxyCoverWholeLabelsBelowThem) {
  const ProxySettings proxy("http://proxy:1", " .Example.com, *.corp ,10.0.0.1,host:8443,,");
  EXPECT_FALSE(proxied(proxy, "https://example.com/"));
  EXPECT_FALSE(proxied(proxy, "https://a.b.example.com/"));
  EXPECT_TRUE(proxied(proxy, "https://badexample.com/"));
  EXPECT_FALSE(proxied(proxy, "https://x.corp/"));
  EXPECT_FALSE(proxied(proxy, "https://10.0.0.1/"));
  EXPECT_FALSE(proxied(proxy, "https://host:8443/"));
  EXPECT_TRUE(proxied(proxy, "https://host/"));
}

TEST(ProxySettings, AStarSwitchesTheProxyOff) {
  EXPECT_FALSE(proxied(ProxySettings("http://proxy:1", "*"), "https://a.example/"));
}

TEST(ProxySettings, TheUserIsSentAsBasicCredentials) {
  EXPECT_EQ(ProxySettings("http://me:p%40ss@proxy:1", "").authorization(), "Basic bWU6cEBzcw==");
}

TEST(ProxySettings, RefusesWhatIsNoHttpProxy) {
  EXPECT_THROW(ProxySettings("https://proxy:1", ""), Error);
  EXPECT_THROW(ProxySettings("socks5://proxy:1", ""), Error);
  EXPECT_THROW(ProxySettings("http://pro xy:1", ""), Error);
}

}  // namespace
}  // namespace colloquy::net
