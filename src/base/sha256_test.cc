#include "base/sha256.h"

#include <gtest/gtest.h>

namespace colloquy {
namespace {

TEST(Sha256, IsTheStandardsOwnExample) {
  // FIPS 180-4, "abc".
  const std::array<std::uint8_t, 32> expected{0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea,
                                              0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
                                              0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c,
                                              0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
  EXPECT_EQ(sha256({"abc"}), expected);
}

TEST(Sha256, DoesNotDependOnHowTheTextIsCut) {
  EXPECT_EQ(sha256({"a", "", "bc"}), sha256({"abc"}));
  EXPECT_NE(sha256({"abd"}), sha256({"abc"}));
}

TEST(Sha256, ADigestIsATextAndANumber) {
  const auto digest = sha256({"abc"});
  EXPECT_EQ(bytes_of(digest).size(), 32U);
  EXPECT_EQ(bytes_of(digest).substr(0, 4), "\xba\x78\x16\xbf");
  EXPECT_EQ(leading_number(digest), 0xba7816bf8f01cfea);
}

}  // namespace
}  // namespace colloquy
