#include "base/base64.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace colloquy {
namespace {

TEST(Base64, IsAsInTheStandard) {
  for (auto [bytes, text] :
       std::vector<std::pair<std::string, std::string>>{{"", ""},
                                                        {"f", "Zg=="},
                                                        {"fo", "Zm8="},
                                                        {"foo", "Zm9v"},
                                                        {"foobar", "Zm9vYmFy"},
                                                        {"\xff\xfe\xfd\xfc", "//79/A=="}}) {
    EXPECT_EQ(base64_encode(bytes), text);
    EXPECT_EQ(base64_decode(text), bytes);
  }
  for (const char* garbled : {"Z", "Zg", "Zg=", "Z===", "====", "Zg==Zg==", "Z-==", "Zm 9"}) {
    EXPECT_FALSE(base64_decode(garbled)) << garbled;
  }
}

TEST(Base64, EveryLengthAndByteComesBack) {
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    const auto text = base64_encode(bytes);
    EXPECT_EQ(text.size(), (bytes.size() + 2) / 3 * 4);
    EXPECT_EQ(base64_decode(text), bytes);
    bytes.push_back(static_cast<char>(i * 7));
  }
}

TEST(Base64, EveryOtherCharacterIsRefusedAtEveryPlace) {
  constexpr std::string_view kTaken =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (int c = 0; c < 256; ++c) {
    for (std::size_t place = 0; place < 8; ++place) {
      std::string text = "Zm9vYmFy";
      text[place] = static_cast<char>(c);
      const bool padding = c == '=' && place == 7;
      EXPECT_EQ(base64_decode(text).has_value(), padding || kTaken.find(text[place]) != kTaken.npos)
          << c << " at " << place;
    }
  }
}

}  // namespace
}  // namespace colloquy
