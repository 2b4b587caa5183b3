#include "auth/base64url.h"

#include <gtest/gtest.h>

#include <string>

namespace colloquy::auth {
namespace {

TEST(Base64UrlTest, EncodesTheVectorsOfRfc4648WithoutPadding) {
  const std::pair<std::string, std::string> vectors[] = {
      {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
      {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xff\xef\xbe", "_---"}};
  for (const auto& [bytes, text] : vectors) {
    EXPECT_EQ(base64url_encode(bytes), text);
    EXPECT_EQ(base64url_decode(text), bytes);
  }
}

TEST(Base64UrlTest, EveryByteValueSurvives) {
  std::string bytes;
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(base64url_decode(base64url_encode(bytes)), bytes);
    bytes.push_back(static_cast<char>(i * 7));
  }
}

TEST(Base64UrlTest, RefusesEveryOtherSpelling) {
  for (const auto* text : {"Zg==", "Zm8=", "Z", "Zm9vY", "Zm 8", "Zm8\n", "Zm+v", "Zm/v", "Zh",
                           "Zm9", "Z.g", "\xC3\xA9\xC3\xA9"}) {
    EXPECT_EQ(base64url_decode(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace colloquy::auth
