#include "migrate/progress_report.h"

#include <gtest/gtest.h>

#include <sstream>

namespace colloquy::migrate {
namespace {

TEST(ProgressLine, TellsTheShareWhereItIsKnown) {
  Totals done{50, 1'000, 2'500'000, 0};
  EXPECT_EQ(progress_line("copying", done, 0, true),
            "copying: 50 conversations, 1000 messages, 2.5 MB");
  EXPECT_EQ(progress_line("copying", done, 200, false),
            "copying: 25 %, 50 conversations, 1000 messages, 2.5 MB");
  EXPECT_EQ(progress_line("copying", done, 100, true),
            "copying: [###############...............] 50 %, 50 conversations, 1000 messages, "
            "2.5 MB");
}

TEST(ProgressLine, NeverTellsMoreThanAll) {
  EXPECT_EQ(progress_line("copying", {7, 0, 0, 0}, 5, true),
            "copying: [##############################] 100 %, 7 conversations, 0 messages, 0.0 MB");
}

TEST(ProgressReport, OffATerminalIsWholeLinesFarApart) {
  std::ostringstream out;
  ProgressReport report(out, false);
  report.begin("copying", 2);
  report.show({1, 0, 0, 0});
  EXPECT_EQ(out.str(), "");
  report.end({2, 0, 0, 0});
  EXPECT_EQ(out.str(), "copying: 100 %, 2 conversations, 0 messages, 0.0 MB\n");
}

}  // namespace
}  // namespace colloquy::migrate
