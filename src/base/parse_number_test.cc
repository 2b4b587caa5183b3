#include "base/parse_number.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace colloquy {
namespace {

TEST(ParseNumber, TakesAWholeTextOfDigits) {
  EXPECT_EQ(parse_number<std::uint64_t>("18446744073709551615"), 18446744073709551615U);
  EXPECT_EQ(parse_number<std::int64_t>("-12"), -12);
  EXPECT_EQ(parse_number<int>("007"), 7);
}

TEST(ParseNumber, RefusesAllElse) {
  for (const auto* text : {"", " 1", "1 ", "+1", "1.0", "0x1", "one", "-", "1e3"}) {
    EXPECT_EQ(parse_number<std::int64_t>(text), std::nullopt) << text;
  }
  EXPECT_EQ(parse_number<std::uint64_t>("-1"), std::nullopt);
  EXPECT_EQ(parse_number<std::uint64_t>("18446744073709551616"), std::nullopt);
  EXPECT_EQ(parse_number<std::uint8_t>("256"), std::nullopt);
}

}  // namespace
}  // namespace colloquy
