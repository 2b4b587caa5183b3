#include "auth/token_cache.h"

#include <gtest/gtest.h>

#include <string>

namespace colloquy::auth {
namespace {

CachedToken token_of(const std::string& user) { return {Identity{UserId(user), 7}, 1}; }

TEST(TokenCacheTest, FindsWhatWasPutAndForgetsWhatWasErased) {
  TokenCache cache(100);
  const auto digest = digest_token("one");
  EXPECT_FALSE(cache.find(digest).has_value());
  cache.put(digest, token_of("alice"));
  ASSERT_TRUE(cache.find(digest).has_value());
  EXPECT_EQ(cache.find(digest)->identity.user_id.value(), "alice");
  cache.put(digest, token_of("bob"));
  EXPECT_EQ(cache.find(digest)->identity.user_id.value(), "bob");
  cache.erase(digest);
  cache.erase(digest);
  EXPECT_FALSE(cache.find(digest).has_value());
}

TEST(TokenCacheTest, StaysWithinItsBoundAndKeepsWhatIsUsed) {
  TokenCache cache(64);
  const auto used = digest_token("used");
  cache.put(used, token_of("alice"));
  for (int i = 0; i < 2000; ++i) {
    cache.put(digest_token(std::to_string(i)), token_of("x"));
    ASSERT_TRUE(cache.find(used).has_value());
  }
  int kept = 0;
  for (int i = 0; i < 2000; ++i) kept += cache.find(digest_token(std::to_string(i))) ? 1 : 0;
  EXPECT_LE(kept, 63);
  EXPECT_GT(kept, 32);
}

TEST(TokenCacheTest, OfSizeZeroHoldsNothing) {
  TokenCache cache(0);
  cache.put(digest_token("one"), token_of("alice"));
  EXPECT_FALSE(cache.find(digest_token("one")).has_value());
}

}  // namespace
}  // namespace colloquy::auth
