#include "exchange/draft.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "store/parents.h"

namespace colloquy::exchange {
namespace {

using testing::ElementsAre;

const UserId kAlice("alice");

DraftMessage message(const std::string& id, const std::string& parent) {
  DraftMessage draft;
  draft.id = id;
  draft.parent = parent;
  draft.message.content = id;
  draft.message.timestamp_s = 1'700'000'000;
  return draft;
}

Draft draft(std::vector<DraftMessage> messages, const std::string& active = "") {
  Draft draft;
  draft.source = "chatgpt";
  draft.id = "1";
  draft.conversation.title = "title";
  draft.conversation.created_at_s = 1'700'000'000;
  draft.messages = std::move(messages);
  draft.active = active;
  return draft;
}

// What a reader of the active way sees.
std::vector<std::string> active_way(const Placed& placed) {
  auto path = store::Path::active(placed.conversation.tree);
  std::vector<std::string> contents;
  for (const auto& each : placed.messages) {
    if (path.contains(each.branch, each.id)) contents.push_back(each.content);
  }
  return contents;
}

// Every message as its content, "<" and its parent's, as the stores find it.
std::vector<std::string> tree(Placed placed) {
  store::link_parents(placed.conversation.tree, placed.messages);
  std::vector<std::string> all;
  for (const auto& each : placed.messages) {
    auto parent = std::find_if(placed.messages.begin(), placed.messages.end(),
                               [&](const auto& other) { return other.id == each.parent; });
    all.push_back(each.content + "<" + (parent == placed.messages.end() ? "" : parent->content));
  }
  return all;
}

TEST(Place, IsTheSameForTheSameUserAndAnotherForAnother) {
  auto one = place(kAlice, draft({message("a", "")}));
  auto again = place(kAlice, draft({message("a", "")}));
  auto other = place(UserId("bob"), draft({message("a", "")}));
  EXPECT_EQ(one.conversation.id, again.conversation.id);
  EXPECT_EQ(one.messages[0].id, again.messages[0].id);
  EXPECT_NE(one.conversation.id, other.conversation.id);
  EXPECT_TRUE(ConversationId::parse(one.conversation.id.to_string()));
  EXPECT_EQ(one.conversation.id.uuid().unix_ms(), 1'700'000'000'000);
}

TEST(Place, KeepsATreeAndItsActiveWay) {
  auto placed = place(kAlice, draft({message("q", ""), message("old", "q"), message("new", "q"),
                                     message("q2", "old"), message("a2", "q2")},
                                    "a2"));
  EXPECT_THAT(tree(placed), ElementsAre("q<", "old<q", "q2<old", "a2<q2", "new<q"));
  EXPECT_THAT(active_way(placed), ElementsAre("q", "old", "q2", "a2"));
  EXPECT_EQ(placed.conversation.message_count, 5U);
  EXPECT_EQ(placed.left_out, 0U);
  EXPECT_TRUE(std::is_sorted(placed.messages.begin(), placed.messages.end(),
                             [](const auto& a, const auto& b) { return a.id < b.id; }));
}

TEST(Place, KeepsSeveralFirstMessages) {
  auto placed = place(kAlice, draft({message("a", ""), message("b", ""), message("c", "b")}, "a"));
  EXPECT_THAT(tree(placed), ElementsAre("a<", "b<", "c<b"));
  EXPECT_THAT(active_way(placed), ElementsAre("a"));
}

TEST(Place, LeavesOutWhatIsACircleOrThereTwice) {
  auto placed = place(kAlice, draft({message("a", ""), message("x", "y"), message("y", "x"),
                                     message("a", "a"), message("self", "self")},
                                    "x"));
  EXPECT_THAT(tree(placed), ElementsAre("a<"));
  EXPECT_EQ(placed.left_out, 4U);
}

TEST(Place, LeavesOutTheBranchesPastTheMost) {
  std::vector<DraftMessage> messages{message("q", "")};
  for (int i = 0; i < 200; ++i) messages.push_back(message("a" + std::to_string(i), "q"));
  messages.push_back(message("end", "a199"));
  auto placed = place(kAlice, draft(std::move(messages), "end"));
  EXPECT_EQ(placed.conversation.tree.branches.size(), limits::kBranches);
  EXPECT_THAT(active_way(placed), ElementsAre("q", "a199", "end"));
  EXPECT_EQ(placed.messages.size() + placed.left_out, 202U);
}

TEST(Place, KeepsColloquysOwnIdsOfMessages) {
  auto first = MessageId(Uuid::make_v7(5000, 1, 1));
  auto second = first.successor();
  auto own =
      draft({message(second.to_string(), first.to_string()), message(first.to_string(), "")});
  own.source = "colloquy";
  auto placed = place(kAlice, own);
  EXPECT_EQ(placed.messages[0].id, first);
  EXPECT_EQ(placed.messages[1].id, second);
  EXPECT_TRUE(placed.conversation.tree.plain());
}

}  // namespace
}  // namespace colloquy::exchange
