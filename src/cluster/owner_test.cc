#include "cluster/owner.h"

#include <gtest/gtest.h>

namespace colloquy::cluster {
namespace {

const std::string kInstance = "01932f3e-5c00-7a4b-9c1d-2e3f405162a3";

TEST(Owner, IsReadAsItWasWritten) {
  auto owner = parse_owner(owner_text(kInstance, "https://Server.example:8443"));
  ASSERT_TRUE(owner && owner->url);
  EXPECT_EQ(owner->instance, kInstance);
  EXPECT_EQ(url_text(*owner->url, "/x"), "https://server.example:8443/x");
  auto without = parse_owner(owner_text(kInstance, ""));
  ASSERT_TRUE(without);
  EXPECT_FALSE(without->url);
  auto six = parse_owner(owner_text(kInstance, "http://[::1]:8080"));
  ASSERT_TRUE(six && six->url);
  EXPECT_EQ(url_text(*six->url, "/x"), "http://[::1]:8080/x");
}

TEST(Owner, WithMoreThanHostAndPortIsNotCalled) {
  for (const char* url :
       {"", "server:80", "ftp://server", "file:///etc/passwd", "http://", "http://user@server",
        "http://user:secret@server", "http://server/path", "http://server/?query",
        "http://server#x", "http://server?x", "http://ser ver", "http://server\r\nHost: other",
        "http://server:0", "http://server:99999"}) {
    auto owner = parse_owner(kInstance + "@" + url);
    ASSERT_TRUE(owner) << url;
    EXPECT_FALSE(owner->url) << url;
  }
  EXPECT_FALSE(parse_base_url("http://" + std::string(600, 'a')));
}

TEST(Owner, ThatIsNoIdIsNone) {
  for (const char* text : {"", "@http://server", "server@http://server", "http://server"}) {
    EXPECT_FALSE(parse_owner(text)) << text;
  }
}

}  // namespace
}  // namespace colloquy::cluster
