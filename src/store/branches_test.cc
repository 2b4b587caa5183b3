#include "store/branches.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/limits.h"
#include "store/parents.h"

namespace colloquy::store {
namespace {

// The n-th id that was given.
MessageId id(std::uint64_t n) {
  return MessageId(Uuid::make_v7(1'700'000'000'000 + static_cast<std::int64_t>(n), 0, 7));
}

// 1 ─ 2 ─ 3 ─ 4         branch 0
//     ├─ 5 ─ 6          branch 1
//     │  └─ 8           branch 3
//     └─ 7              branch 2
BranchTable tree() {
  BranchTable table;
  table.branches = {{0, id(2), id(5)}, {0, id(2), id(7)}, {1, id(5), id(8)}};
  table.active = 3;
  return table;
}

Message message(std::uint32_t branch, std::uint64_t n) {
  Message made;
  made.id = id(n);
  made.branch = branch;
  return made;
}
std::vector<Message> all() {
  return {message(0, 1), message(0, 2), message(0, 3), message(0, 4),
          message(1, 5), message(1, 6), message(2, 7), message(3, 8)};
}

// The numbers of the messages of a way, oldest first.
std::vector<std::uint64_t> on(const Path& path) {
  std::vector<std::uint64_t> found;
  std::uint64_t n = 0;
  for (const auto& each : all()) {
    ++n;
    if (path.contains(each.branch, each.id)) found.push_back(n);
  }
  return found;
}
using Numbers = std::vector<std::uint64_t>;

TEST(Branches, ConversationWithoutBranchesIsOneRange) {
  BranchTable plain;
  EXPECT_EQ(Path::active(plain).segments().size(), 1U);
  EXPECT_EQ(on(Path::active(plain)).size(), 8U);
  EXPECT_EQ(branch_at_end(plain, id(9)), 0U);
  EXPECT_EQ(branch_after(plain, {0, id(8)}, id(9), id(8)), 0U);
  EXPECT_TRUE(plain.plain());
}

TEST(Branches, WayHasItsBranchAndOfEachParentWhatIsBeforeTheFork) {
  auto table = tree();
  EXPECT_EQ(on(Path::active(table)), (Numbers{1, 2, 5, 8}));
  EXPECT_EQ(on(Path::to(table, {1, id(6)})), (Numbers{1, 2, 5, 6}));
  EXPECT_EQ(on(Path::to(table, {2, last_message_id()})), (Numbers{1, 2, 7}));
  EXPECT_EQ(on(Path::to(table, {0, id(3)})), (Numbers{1, 2, 3}));
  EXPECT_EQ(on(Path::to(table, {0, MessageId()})), Numbers{});
  EXPECT_EQ(on(Path::all()), (Numbers{1, 2, 3, 4, 5, 6, 7, 8}));
  EXPECT_EQ(Path::to(table, {3, last_message_id()}).segments().size(), 3U);
}

TEST(Branches, WhatABranchWasNotThereForIsNotOnItsWay) {
  // Written into branch 0 by another server, at the moment in which branch 1 began.
  EXPECT_FALSE(Path::active(tree()).contains(0, id(6)));
}

TEST(Branches, GoingOnElsewhereBeginsABranchThatIsActive) {
  auto table = tree();
  EXPECT_EQ(branch_at_end(table, id(9)), 3U);
  EXPECT_EQ(table, tree());
  EXPECT_EQ(branch_after(table, {3, id(8)}, id(9), id(8)), 3U);
  EXPECT_EQ(table, tree());
  EXPECT_EQ(branch_after(table, {0, id(4)}, id(9), id(8)), 4U);
  EXPECT_EQ(table.active, 4U);
  EXPECT_EQ(table.branches.back(), (Branch{0, id(4), id(9)}));
  // The end is not known for certain: a branch that begins there is the same way.
  table = tree();
  EXPECT_EQ(branch_after(table, {3, id(8)}, id(9), std::nullopt), 4U);
}

TEST(Branches, ActivatingAMessageTakesTheNewestWayThroughIt) {
  auto table = tree();
  activate(table, 0, id(3));
  EXPECT_EQ(on(Path::active(table)), (Numbers{1, 2, 3, 4}));
  activate(table, 0, id(2));
  EXPECT_EQ(table, tree());
  activate(table, 1, id(6));
  EXPECT_EQ(on(Path::active(table)), (Numbers{1, 2, 5, 6}));
  activate(table, 1, id(5));
  EXPECT_EQ(table, tree());
  activate(table, 2, id(7));
  EXPECT_EQ(on(Path::active(table)), (Numbers{1, 2, 7}));
}

TEST(Branches, GoingOnInAnOlderBranchBeginsANewOneAtItsEnd) {
  auto table = tree();
  activate(table, 0, id(4));
  EXPECT_EQ(branch_at_end(table, id(9)), 4U);
  EXPECT_EQ(on(Path::active(table)), (Numbers{1, 2, 3, 4}));
  EXPECT_TRUE(Path::active(table).contains(4, id(9)));
  EXPECT_FALSE(table.active_up_to);
}

TEST(Branches, FullTableTakesNoMoreAndStaysAsItWas) {
  BranchTable table;
  for (std::size_t n = 1; n <= limits::kBranches; ++n) {
    branch_after(table, {0, MessageId()}, id(n), std::nullopt);
  }
  auto before = table;
  EXPECT_THROW(branch_after(table, {0, MessageId()}, id(999), std::nullopt), Error);
  EXPECT_EQ(table, before);
  EXPECT_EQ(branch_at_end(table, id(999)), limits::kBranches);
}

TEST(Parents, AreTheMessagesBeforeOnTheWay) {
  auto messages = all();
  EXPECT_EQ(link_parents(tree(), messages).size(), 1U);  // of the first, which has none
  std::vector<std::optional<MessageId>> parents;
  for (const auto& each : messages) parents.push_back(each.parent);
  EXPECT_EQ(parents, (std::vector<std::optional<MessageId>>{std::nullopt, id(1), id(2), id(3),
                                                            id(2), id(5), id(2), id(5)}));
}

TEST(Parents, OfAPieceAreMissingWhereTheyAreOlder) {
  auto messages = all();
  messages.erase(messages.begin(), messages.begin() + 3);
  auto missing = link_parents(tree(), messages);
  ASSERT_EQ(missing.size(), 3U);  // of 4, 5 and 7
  EXPECT_EQ(on(missing[0].before), (Numbers{1, 2, 3}));
  EXPECT_EQ(on(missing[1].before), (Numbers{1, 2}));
  EXPECT_EQ(missing[2].index, 3U);
  EXPECT_EQ(messages[4].parent, id(5));
}

TEST(Parents, WhoseForkIsDeletedHaveTheOneBefore) {
  auto messages = all();
  messages.erase(messages.begin() + 1);
  EXPECT_EQ(link_parents(tree(), messages).size(), 1U);  // of the first, which has none
  EXPECT_EQ(messages[3].id, id(5));
  EXPECT_EQ(messages[3].parent, id(1));
}

}  // namespace
}  // namespace colloquy::store
