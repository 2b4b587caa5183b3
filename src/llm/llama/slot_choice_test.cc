#include "llm/llama/slot_choice.h"

#include <gtest/gtest.h>

namespace colloquy::llm {
namespace {

using Tokens = std::vector<Token>;

TEST(SlotChoiceTest, ACommonPrefixEndsAtTheFirstDifference) {
  EXPECT_EQ(common_prefix({1, 2, 3}, {1, 2, 4, 5}), 2U);
  EXPECT_EQ(common_prefix({1, 2}, {1, 2, 3}), 2U);
  EXPECT_EQ(common_prefix({1, 2, 3}, {}), 0U);
}

TEST(SlotChoiceTest, AConversationFindsItsOwnPlaceAgain) {
  const Tokens first{1, 2, 3, 4};
  const Tokens second{1, 2, 9, 9};
  const std::vector<SlotView> slots{{false, &first, 5}, {false, &second, 1}};
  EXPECT_EQ(choose_slot(slots, {1, 2, 3, 4, 5, 6}), 0U);
  EXPECT_EQ(choose_slot(slots, {1, 2, 9, 9, 7}), 1U);
}

TEST(SlotChoiceTest, ABranchTakesTheLongestCommonBeginning) {
  const Tokens first{1, 2, 3, 4, 5, 6};
  const Tokens second{1, 2, 3, 4};
  const std::vector<SlotView> slots{{false, &second, 1}, {false, &first, 2}};
  EXPECT_EQ(choose_slot(slots, {1, 2, 3, 4, 5, 9}), 1U);
}

TEST(SlotChoiceTest, ASharedSystemPromptAloneTakesNobodysPlaceButTheOldest) {
  const Tokens longer{1, 2, 3, 4, 5, 6, 7};
  const Tokens empty;
  const std::vector<SlotView> slots{{false, &longer, 3}, {false, &empty, 0}};
  EXPECT_EQ(choose_slot(slots, {1, 2, 9}), 1U);
}

TEST(SlotChoiceTest, TheOneUsedLongestAgoIsGivenUp) {
  const Tokens a{1, 1};
  const Tokens b{2, 2};
  const Tokens c{3, 3};
  const std::vector<SlotView> slots{{false, &a, 7}, {false, &b, 5}, {false, &c, 6}};
  EXPECT_EQ(choose_slot(slots, {4, 4}), 1U);
}

TEST(SlotChoiceTest, BusyPlacesAreNotTaken) {
  const Tokens a{1, 2};
  const Tokens b{9};
  EXPECT_EQ(choose_slot({{true, &a, 1}, {false, &b, 2}}, {1, 2, 3}), 1U);
  EXPECT_EQ(choose_slot({{true, &a, 1}}, {1, 2, 3}), std::nullopt);
}

TEST(SlotChoiceTest, BackgroundWorkTakesThePlaceWhereItWasDoneLast) {
  const Tokens title{1, 2, 3};
  const Tokens other{1, 5};
  const Tokens conversation{7, 8, 9};
  const Tokens empty;
  const std::vector<SlotView> slots{{false, &conversation, 1},
                                    {false, &title, 4, true},
                                    {false, &other, 3, true},
                                    {false, &empty, 0}};
  EXPECT_EQ(choose_background_slot(slots), 1U);
}

TEST(SlotChoiceTest, BackgroundWorkWithoutAPlaceTakesAnEmptyOneAndThenTheOldest) {
  const Tokens title{1, 2, 3};
  const Tokens a{4, 4};
  const Tokens b{5, 5};
  const Tokens empty;
  EXPECT_EQ(choose_background_slot({{true, &title, 9, true}, {false, &a, 1}, {false, &empty, 2}}),
            2U);
  EXPECT_EQ(choose_background_slot({{true, &title, 9, true}, {false, &a, 2}, {false, &b, 1}}), 2U);
  EXPECT_EQ(choose_background_slot({{true, &title, 9, true}}), std::nullopt);
}

TEST(SlotChoiceTest, ANewConversationTakesThePlaceOfBackgroundWorkBeforeAnothersMemory) {
  const Tokens conversation{1, 2, 3};
  const Tokens title{4, 5, 6};
  const std::vector<SlotView> slots{{false, &conversation, 1}, {false, &title, 2, true}};
  EXPECT_EQ(choose_slot(slots, {9, 9}), 1U);
  EXPECT_EQ(choose_slot(slots, {1, 2, 3, 9}), 0U);
}

TEST(SlotChoiceTest, OneFreePlaceIsTakenWhateverItRemembers) {
  const Tokens conversation{1, 2, 3};
  const Tokens title{4, 5, 6};
  EXPECT_EQ(choose_background_slot({{false, &conversation, 1}}), 0U);
  EXPECT_EQ(choose_slot({{false, &title, 1, true}}, {9}), 0U);
}

}  // namespace
}  // namespace colloquy::llm
