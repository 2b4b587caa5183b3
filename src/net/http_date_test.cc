#include "net/http_date.h"

#include <gtest/gtest.h>

namespace colloquy::net {
namespace {

TEST(HttpDate, TheFixedFormIsReadAndNothingElse) {
  EXPECT_EQ(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
  for (const char* text : {"", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT+1",
                           "Sun, 06 Nov 1994 08:49", "784111777"}) {
    EXPECT_EQ(parse_http_date(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace colloquy::net
