#include "cost/estimate.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace colloquy::cost {
namespace {

// Of round numbers, so that each figure below can be worked out by hand.
Units units() {
  Units units;
  units.context_messages = 5;
  units.prompt_bytes = 100;
  units.answer_bytes = 300;
  units.prompt_item_bytes = 400;
  units.answer_item_bytes = 600;
  units.conversation_item_bytes = 500;
  units.stored_overhead_bytes = 100;
  units.message_index_bytes = 150;
  units.conversation_index_bytes = 50;
  units.turn = {3, 2, 2};
  units.first_turn = {4, 3, 0};
  units.list = {0, 0, 7};
  units.conversation = {0, 0, 4};
  return units;
}

PriceTable prices() {
  PriceTable table;
  table.current.million_write_units = 1;
  table.current.million_read_units = 0.5;
  table.current.write_capacity_unit_hour = 0.001;
  table.current.read_capacity_unit_hour = 0.0002;
  table.current.storage_gb_month = 0.25;
  table.current.recovery_gb_month = 0.2;
  table.current.volume_gb_month = 0.08;
  table.current.snapshot_gb_month = 0.05;
  table.source_document = SourceDocument{.million_write_units = 2,
                                         .million_read_units = 1,
                                         .volume_gb_month = 0.1,
                                         .snapshot_gb_month = 0.05,
                                         .users = 1000,
                                         .messages = 100,
                                         .tables_month = 2,
                                         .volume_gb = 100,
                                         .volume_month = 8};
  return table;
}

// 100,000 users × 20 messages ÷ 2 = 1,000,000 turns, of which 200,000 begin a conversation.
Load load() {
  Load load;
  load.users = 100'000;
  load.messages = 20;
  load.conversations = 2;
  load.prompt_bytes = 100;
  load.answer_bytes = 300;
  load.context_messages = 5;
  load.retention_days = 90;
  return load;
}

Line line_of(const Month& month, std::string_view id) {
  auto found = std::find_if(month.lines.begin(), month.lines.end(),
                            [id](const Line& line) { return line.id == id; });
  EXPECT_NE(found, month.lines.end()) << id;
  return found == month.lines.end() ? Line() : *found;
}

Estimate of(const Load& load) { return estimate(load, units(), prices()); }

TEST(Estimate, CountsTheUnitsOfTurnsAndOfFirstTurns) {
  auto made = of(load());
  EXPECT_DOUBLE_EQ(made.turns, 1'000'000);
  // 800,000 × 3 + 200,000 × 4 = 3,200,000, at $1 a million.
  EXPECT_DOUBLE_EQ(line_of(made.first, "writes").quantity, 3'200'000);
  EXPECT_DOUBLE_EQ(line_of(made.first, "writes").dollars(), 3.2);
  // 800,000 × 2 + 200,000 × 3 = 2,200,000.
  EXPECT_DOUBLE_EQ(line_of(made.first, "index_writes").dollars(), 2.2);
  // 800,000 × 2 = 1,600,000, at $0.5 a million.
  EXPECT_DOUBLE_EQ(line_of(made.first, "reads").dollars(), 0.8);
  EXPECT_DOUBLE_EQ(made.first.requests_dollars(), 6.2);
  // The source document's prices are twice those.
  EXPECT_DOUBLE_EQ(line_of(made.first, "reads").document_dollars().value(), 1.6);
  // 2,000,000 messages are 20 times its example of 100,000, for $2.
  EXPECT_DOUBLE_EQ(made.document_tables.value(), 40);
}

TEST(Estimate, AddsWhatIsOpened) {
  auto opened = load();
  opened.opens = 3;
  // 100,000 × 3 × (7 + 4) = 3,300,000 more than 1,600,000.
  EXPECT_DOUBLE_EQ(line_of(of(opened).first, "reads").quantity, 4'900'000);
}

TEST(Estimate, CountsAsManyUnitsMoreAsTheItemsWeighMore) {
  auto longer = load();
  longer.prompt_bytes = 1000;
  longer.answer_bytes = 3000;
  auto made = of(longer);
  // Prompt 400 + 900 = 1,300 bytes: 2 units. Answer 600 + 2,700 = 3,300: 4. Conversation: 1.
  EXPECT_DOUBLE_EQ(made.turn.write, 7);
  EXPECT_DOUBLE_EQ(made.first_turn.write, 8);
  EXPECT_DOUBLE_EQ(made.turn.index_write, 2);
  // Context: 3 answers and 2 prompts, 3 × 3,300 + 2 × 1,300 = 12,500 bytes: 4 units.
  // Conversation: 1.
  EXPECT_DOUBLE_EQ(made.turn.read, 5);
  EXPECT_DOUBLE_EQ(made.first_turn.read, 0);
  longer.context_messages = 0;
  EXPECT_DOUBLE_EQ(of(longer).turn.read, 1);
}

TEST(Estimate, LetsStorageGrowUntilRetentionIsReached) {
  auto made = of(load());
  // A month: 1,000,000 × (400 + 600 + 2 × 100) + 200,000 × (500 + 100) = 1.32 GB.
  EXPECT_DOUBLE_EQ(line_of(made.first, "storage").quantity, 1.32);
  EXPECT_DOUBLE_EQ(line_of(made.first, "storage").dollars(), 0.33);
  // 2,000,000 × (150 + 100) + 200,000 × (50 + 100) = 0.53 GB.
  EXPECT_DOUBLE_EQ(line_of(made.first, "index_storage").quantity, 0.53);
  EXPECT_DOUBLE_EQ(line_of(made.first, "recovery").dollars(), 1.32 * 0.2);
  // Messages stay 180 days, which are 180 × 24 ÷ 730 months; conversations 3 × 90 + 1 = 271, in the
  // ninth month of 30.4 days.
  EXPECT_EQ(made.last.number, 9);
  EXPECT_FALSE(made.grows_on);
  EXPECT_NEAR(line_of(made.last, "storage").quantity, 1.2 * 180 * 24 / 730 + 0.12 * 271 * 24 / 730,
              1e-9);
  EXPECT_DOUBLE_EQ(made.last.requests_dollars(), made.first.requests_dollars());
}

TEST(Estimate, ShowsAYearOfWhatIsKeptForGoodAndOneMonthOfWhatGoesWithinIt) {
  auto kept = load();
  kept.retention_days = 0;
  auto made = of(kept);
  EXPECT_TRUE(made.grows_on);
  EXPECT_EQ(made.last.number, 12);
  EXPECT_DOUBLE_EQ(line_of(made.last, "storage").quantity, 1.32 * 12);
  kept.retention_days = 1;  // conversations: 4 days
  made = of(kept);
  EXPECT_EQ(made.last.number, 1);
  EXPECT_NEAR(line_of(made.last, "storage").quantity, 1.2 * 2 * 24 / 730 + 0.12 * 4 * 24 / 730,
              1e-9);
}

TEST(Estimate, LeavesOutWhatIsSwitchedOff) {
  auto less = load();
  less.recovery = false;
  less.secondary_indexes = false;
  less.files_gib = 50;
  less.snapshots_gib = 10;
  auto made = of(less);
  for (const char* id : {"recovery", "index_writes", "index_storage"}) {
    EXPECT_DOUBLE_EQ(line_of(made.last, id).dollars(), 0) << id;
  }
  EXPECT_DOUBLE_EQ(line_of(made.first, "volume").dollars(), 4);
  EXPECT_DOUBLE_EQ(line_of(made.first, "volume").document_dollars().value(), 5);
  EXPECT_DOUBLE_EQ(made.document_volume.value(), 4);  // half of the example's
  EXPECT_DOUBLE_EQ(line_of(made.first, "snapshots").dollars(), 0.5);
  // 3.2 + 0.8 of requests, 0.33 of storage, 4.5 of volumes.
  EXPECT_DOUBLE_EQ(made.first.dollars(), 8.83);
}

TEST(Estimate, PaysForProvisionedCapacityByTheHour) {
  auto provisioned = load();
  provisioned.mode = Mode::kProvisioned;
  provisioned.utilization = 0.25;
  auto made = of(provisioned);
  // 3,200,000 in 2,628,000 s are 1.22 a second; a quarter is used: 5 units, 730 h, $0.001.
  EXPECT_DOUBLE_EQ(line_of(made.first, "writes").quantity, 5);
  EXPECT_DOUBLE_EQ(line_of(made.first, "writes").dollars(), 3.65);
  // 2,200,000: 0.84 a second: 4. 1,600,000: 0.61: 3, but two tables and two indexes have one each.
  EXPECT_DOUBLE_EQ(line_of(made.first, "index_writes").quantity, 4);
  EXPECT_DOUBLE_EQ(line_of(made.first, "reads").quantity, 4);
  EXPECT_NEAR(line_of(made.first, "reads").dollars(), 0.584, 1e-9);
  EXPECT_FALSE(line_of(made.first, "writes").document_dollars().has_value());
  provisioned.secondary_indexes = false;
  EXPECT_DOUBLE_EQ(line_of(of(provisioned).first, "index_writes").quantity, 0);
  EXPECT_DOUBLE_EQ(line_of(of(provisioned).first, "reads").quantity, 3);
}

TEST(Estimate, OfTheBuiltInUnitsIsWhatWasMeasured) {
  const auto& measured = built_in_units();
  auto same = load();
  same.prompt_bytes = static_cast<double>(measured.prompt_bytes);
  same.answer_bytes = static_cast<double>(measured.answer_bytes);
  auto made = estimate(same, measured, built_in_prices());
  EXPECT_DOUBLE_EQ(made.turn.write, measured.turn.write);
  EXPECT_DOUBLE_EQ(made.turn.read, measured.turn.read);
  EXPECT_DOUBLE_EQ(made.first_turn.write, measured.first_turn.write);
  same.answer_bytes = static_cast<double>(measured.long_answer_bytes);
  made = estimate(same, measured, built_in_prices());
  EXPECT_DOUBLE_EQ(made.turn.write, measured.turn_of_long_answers.write);
  EXPECT_DOUBLE_EQ(made.turn.index_write, measured.turn_of_long_answers.index_write);
  EXPECT_DOUBLE_EQ(made.turn.read, measured.turn_of_long_answers.read);
}

}  // namespace
}  // namespace colloquy::cost
