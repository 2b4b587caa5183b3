#include "cost/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace colloquy::cost {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

Load load() {
  Load load;
  load.users = 10'000;
  load.messages = 100;
  load.conversations = 10;
  load.prompt_bytes = static_cast<double>(built_in_units().prompt_bytes);
  load.answer_bytes = static_cast<double>(built_in_units().answer_bytes);
  load.context_messages = 5;
  load.retention_days = 90;
  load.files_gib = 100;
  return load;
}

std::string text_of(const Load& load, const PriceTable& prices) {
  return to_text(estimate(load, built_in_units(), prices), built_in_units(), prices.current);
}

TEST(Report, PutsTheSourceDocumentBesideOurs) {
  auto text = text_of(load(), built_in_prices());
  EXPECT_THAT(text, HasSubstr("500,000 turns"));
  EXPECT_THAT(text, ContainsRegex("\nrequests .* ~\\$2\\.00\n"));
  EXPECT_THAT(
      text,
      ContainsRegex(
          "\nvolume of files  .*100\\.00 GB +\\$0\\.08 a GB +\\$8\\.00 +\\$8\\.00 +~\\$8\\.00\n"));
  EXPECT_THAT(text, HasSubstr("Prices of " + built_in_prices().current.as_of));
  EXPECT_THAT(text, HasSubstr("measured on " + built_in_units().measured_on));
}

TEST(Report, SaysNothingOfADocumentThatHasNoPrices) {
  auto prices = built_in_prices();
  prices.source_document.reset();
  EXPECT_THAT(text_of(load(), prices), Not(HasSubstr("~$")));
}

TEST(Report, NamesTheMonths) {
  auto kept = load();
  EXPECT_THAT(text_of(kept, built_in_prices()), HasSubstr("total, month 9 and later"));
  EXPECT_THAT(text_of(kept, built_in_prices()), Not(HasSubstr("month 1 and later")));
  kept.retention_days = 0;
  auto text = text_of(kept, built_in_prices());
  EXPECT_THAT(text, HasSubstr("total, month 12 "));
  EXPECT_THAT(text, Not(HasSubstr("and later")));
  kept.retention_days = 1;
  text = text_of(kept, built_in_prices());
  EXPECT_THAT(text, HasSubstr("total, each month"));
  EXPECT_THAT(text, Not(HasSubstr("month 1")));
}

TEST(Report, WritesPricesAsAListHasThem) {
  auto prices = built_in_prices();
  prices.current.storage_gb_month = 0.3;
  prices.current.recovery_gb_month = 0.00065;
  auto text = text_of(load(), prices);
  EXPECT_THAT(text, HasSubstr(" $0.30 a GB"));
  EXPECT_THAT(text, HasSubstr(" $0.00065 a GB"));
}

}  // namespace
}  // namespace colloquy::cost
