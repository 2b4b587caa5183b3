#include "auth/user_id.h"

#include <gtest/gtest.h>

#include <string>

#include "base/limits.h"

namespace colloquy::auth {
namespace {

using namespace std::string_literals;

TEST(UserIdTest, TakesOrdinaryNamesAndEveryScript) {
  for (const auto* text : {"a", "alice", "auth0|5f7c8ec7c33c6c004bbafe82", "a b", "Zoë", "木村",
                           "\xF0\x9F\x90\x98", "\xF4\x8F\xBF\xBF", "#/..\\%00"}) {
    EXPECT_TRUE(is_user_id(text)) << text;
  }
}

TEST(UserIdTest, CountsBytesNotCharacters) {
  EXPECT_TRUE(is_user_id(std::string(limits::kUserIdBytes, 'x')));
  EXPECT_FALSE(is_user_id(std::string(limits::kUserIdBytes + 1, 'x')));
  EXPECT_FALSE(is_user_id(std::string(limits::kUserIdBytes - 1, 'x') + "ë"));
  EXPECT_FALSE(is_user_id(""));
}

TEST(UserIdTest, RefusesControlCharacters) {
  for (const auto& text :
       {"a\0b"s, "a\nb"s, "\x1f"s, "\x7f"s, "\xC2\x80"s, "\xC2\x9F"s, "trailing\t"s}) {
    EXPECT_FALSE(is_user_id(text)) << text;
  }
  EXPECT_TRUE(is_user_id("\xC2\xA0"));
}

TEST(UserIdTest, RefusesWhatIsNotUtf8) {
  for (const auto& text :
       {"\x80"s, "\xC0\x80"s, "\xC1\xBF"s, "\xE0\x80\xAF"s, "\xED\xA0\x80"s, "\xF4\x90\x80\x80"s,
        "\xF8\x88\x80\x80\x80"s, "\xE6\x9C"s, "\xC3"s, "\xC3\x28"s, "\xFF"s}) {
    EXPECT_FALSE(is_user_id(text));
  }
}

}  // namespace
}  // namespace colloquy::auth
