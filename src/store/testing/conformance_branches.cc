// Conversations whose messages are a tree.
#include <gmock/gmock.h>

#include <map>

#include "base/limits.h"
#include "store/testing/conformance.h"

namespace colloquy::store {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TreePlace after(const Message& message) { return {message.branch, message.id}; }

}  // namespace

Message StoreConformance::append_at(const Conversation& conversation, const TreePlace& place,
                                    const std::string& content, std::optional<IdempotencyKey> key) {
  NewMessage message;
  message.content = content;
  message.place = place;
  return run_task(store().append_message(alice_, conversation.id, message, std::move(key))).message;
}

StartedTurn StoreConformance::answer_again(const Conversation& conversation, const Message& prompt,
                                           std::optional<IdempotencyKey> key) {
  NewTurn turn;
  turn.conversation_id = conversation.id;
  turn.answered = prompt;
  turn.model = "model";
  turn.lease_until_s = clock().now_s() + 600;
  return run_task(store().start_turn(alice_, turn, std::move(key)));
}

Conversation StoreConformance::activate(const Conversation& conversation, const Message& message) {
  ConversationPatch patch;
  patch.active = after(message);
  return run_task(store().update_conversation(alice_, conversation.id, patch, {}));
}

std::vector<Message> StoreConformance::all_branches(const Conversation& conversation) {
  MessageRange range;
  range.limit = limits::kPageMax;
  range.all_branches = true;
  return list(conversation, range).messages;
}

std::vector<std::string> StoreConformance::tree(const Conversation& conversation) {
  std::map<MessageId, std::string> texts;
  std::vector<std::string> shown;
  for (const auto& message : all_branches(conversation)) {
    texts[message.id] = message.content;
    shown.push_back(message.content + "<" + (message.parent ? texts[*message.parent] : ""));
    EXPECT_EQ(get(conversation, message.id), message);
  }
  return shown;
}

std::vector<Message> StoreConformance::in_pages(const Conversation& conversation, std::size_t limit,
                                                bool forward, bool all_branches) {
  std::vector<Message> seen;
  MessageRange range;
  range.limit = limit;
  range.all_branches = all_branches;
  if (forward) range.after = MessageId();
  bool more = true;
  while (more) {
    auto page = list(conversation, range);
    seen.insert(forward ? seen.end() : seen.begin(), page.messages.begin(), page.messages.end());
    more = page.more;
    if (more && forward) range.after = page.messages.back().id;
    if (more && !forward) range.before = page.messages.front().id;
  }
  return seen;
}

void StoreConformance::expect_pages_to_agree(const Conversation& conversation) {
  for (bool all_branches : {false, true}) {
    MessageRange range;
    range.limit = limits::kPageMax;
    range.all_branches = all_branches;
    auto whole = list(conversation, range).messages;
    for (std::size_t limit : {1U, 2U, 3U, 7U}) {
      EXPECT_EQ(in_pages(conversation, limit, true, all_branches), whole) << limit;
      EXPECT_EQ(in_pages(conversation, limit, false, all_branches), whole) << limit;
    }
  }
}

namespace {

std::vector<std::string> texts(const std::vector<Message>& messages) {
  std::vector<std::string> texts;
  for (const auto& message : messages) texts.push_back(message.content);
  return texts;
}

TEST_P(StoreConformance, EveryMessageTellsWhatStandsBeforeIt) {
  auto conversation = create(alice_);
  auto first = append(conversation, "a");
  auto second = append(conversation, "b");
  auto turn = start(conversation, "c");
  EXPECT_FALSE(first.parent);
  EXPECT_EQ(second.parent, first.id);
  EXPECT_EQ(turn.prompt.parent, second.id);
  EXPECT_EQ(turn.reply.parent, turn.prompt.id);
  EXPECT_THAT(tree(conversation), ElementsAre("a<", "b<a", "c<b", "<c"));
  finish(turn, "d");
  EXPECT_THAT(tree(conversation), ElementsAre("a<", "b<a", "c<b", "d<c"));
  run_task(store().delete_message(alice_, conversation.id, second.id));
  EXPECT_THAT(tree(conversation), ElementsAre("a<", "c<a", "d<c"));
  run_task(store().delete_message(alice_, conversation.id, turn.reply.id));
  EXPECT_EQ(append(conversation, "e").parent, turn.prompt.id);
  EXPECT_TRUE(get(conversation)->tree.plain());
  expect_pages_to_agree(conversation);
}

TEST_P(StoreConformance, AMessageAtAnEarlierPlaceBeginsABranchThatIsActive) {
  auto conversation = create(alice_);
  auto first = append(conversation, "a");
  append(conversation, "b");
  append(conversation, "c");
  auto sibling = append_at(conversation, after(first), "B");
  EXPECT_EQ(sibling.parent, first.id);
  EXPECT_NE(sibling.branch, first.branch);
  EXPECT_THAT(contents(conversation), ElementsAre("a", "B"));
  append(conversation, "C");
  EXPECT_THAT(contents(conversation), ElementsAre("a", "B", "C"));
  EXPECT_THAT(tree(conversation), ElementsAre("a<", "b<a", "c<b", "B<a", "C<B"));
  EXPECT_EQ(get(conversation)->message_count, 5U);
  EXPECT_EQ(get(conversation)->tree.branches.size(), 1U);
  expect_pages_to_agree(conversation);
}

TEST_P(StoreConformance, AtTheEndOfTheActiveWayNoneBegins) {
  auto conversation = create(alice_);
  auto first = append(conversation, "a");
  auto second = append_at(conversation, after(first), "b");
  EXPECT_EQ(second.parent, first.id);
  EXPECT_TRUE(get(conversation)->tree.plain());
}

TEST_P(StoreConformance, TheFirstMessageHasSiblingsToo) {
  auto conversation = create(alice_);
  append(conversation, "a");
  append(conversation, "b");
  auto other = append_at(conversation, {}, "A");
  EXPECT_FALSE(other.parent);
  append(conversation, "B");
  EXPECT_THAT(contents(conversation), ElementsAre("A", "B"));
  EXPECT_THAT(tree(conversation), ElementsAre("a<", "b<a", "A<", "B<A"));
  expect_pages_to_agree(conversation);
}

TEST_P(StoreConformance, AnotherAnswerStandsBesideTheFirst) {
  auto conversation = create(alice_);
  append(conversation, "a");
  auto turn = start(conversation, "prompt");
  finish(turn, "first");
  auto again = answer_again(conversation, turn.prompt);
  EXPECT_EQ(again.prompt, turn.prompt);
  EXPECT_EQ(again.reply.status, MessageStatus::kRunning);
  EXPECT_EQ(again.reply.parent, turn.prompt.id);
  EXPECT_EQ(again.conversation.message_count, 4U);
  EXPECT_THAT(contents(conversation), ElementsAre("a", "prompt", ""));
  EXPECT_EQ(list(conversation).messages.back(), again.reply);
  EXPECT_TRUE(save_partial(again, "sec"));
  finish(again, "second");
  auto third = answer_again(conversation, turn.prompt);
  finish(third, "third");
  EXPECT_THAT(contents(conversation), ElementsAre("a", "prompt", "third"));
  EXPECT_THAT(tree(conversation),
              ElementsAre("a<", "prompt<a", "first<prompt", "second<prompt", "third<prompt"));
  EXPECT_EQ(get(conversation)->message_count, 5U);
  EXPECT_EQ(stats().messages, 5U);
  expect_pages_to_agree(conversation);
}

TEST_P(StoreConformance, AnAnswerToAMessageThatHasNoneGoesOn) {
  auto conversation = create(alice_);
  auto question = append(conversation, "question");
  auto turn = answer_again(conversation, question);
  finish(turn, "answer");
  EXPECT_TRUE(get(conversation)->tree.plain());
  EXPECT_THAT(tree(conversation), ElementsAre("question<", "answer<question"));
}

TEST_P(StoreConformance, AnotherAnswerCanBeginWhileTheFirstIsMade) {
  auto conversation = create(alice_);
  auto turn = start(conversation, "prompt");
  auto again = answer_again(conversation, turn.prompt);
  EXPECT_EQ(list(conversation).messages.size(), 2U);
  EXPECT_EQ(list(conversation).messages.back().id, again.reply.id);
  finish(turn, "first");
  EXPECT_THAT(contents(conversation), ElementsAre("prompt", ""));
  finish(again, "second");
  EXPECT_THAT(contents(conversation), ElementsAre("prompt", "second"));
  EXPECT_THAT(tree(conversation), ElementsAre("prompt<", "first<prompt", "second<prompt"));
}

TEST_P(StoreConformance, AnAnswerMadeAgainIsInterruptedOnceItsLeaseHasPassed) {
  auto conversation = create(alice_);
  auto turn = start(conversation, "prompt");
  finish(turn, "first");
  auto again = answer_again(conversation, turn.prompt);
  save_partial(again, "so far");
  advance_s(601);
  EXPECT_EQ(get(conversation, again.reply.id)->status, MessageStatus::kInterrupted);
  run_task(store().delete_message(alice_, conversation.id, again.reply.id));
  EXPECT_THAT(tree(conversation), ElementsAre("prompt<", "first<prompt"));
}

TEST_P(StoreConformance, TheNewestWayThroughAMessageCanBeMadeActive) {
  auto conversation = create(alice_);
  auto first = append(conversation, "a");
  auto second = append(conversation, "b");
  append(conversation, "c");
  auto other = append_at(conversation, after(first), "B");
  append(conversation, "C");
  auto version = get(conversation)->version;
  auto changed = activate(conversation, second);
  EXPECT_GT(changed.version, version);
  EXPECT_THAT(contents(conversation), ElementsAre("a", "b", "c"));
  auto recent = run_task(store().read_recent(alice_, conversation.id, newest(2), {}));
  EXPECT_THAT(texts(recent->messages), ElementsAre("b", "c"));
  expect_pages_to_agree(conversation);
  append(conversation, "d");
  EXPECT_THAT(contents(conversation), ElementsAre("a", "b", "c", "d"));
  activate(conversation, other);
  EXPECT_THAT(contents(conversation), ElementsAre("a", "B", "C"));
  finish(start(conversation, "D"), "E");
  EXPECT_THAT(contents(conversation), ElementsAre("a", "B", "C", "D", "E"));
  activate(conversation, first);
  EXPECT_THAT(contents(conversation), ElementsAre("a", "B", "C", "D", "E"));
  EXPECT_THAT(tree(conversation),
              ElementsAre("a<", "b<a", "c<b", "B<a", "C<B", "d<c", "D<C", "E<D"));
  expect_pages_to_agree(conversation);
}

TEST_P(StoreConformance, RecentMessagesAreThoseOfTheWay) {
  auto conversation = create(alice_);
  auto first = append(conversation, "a");
  auto second = append(conversation, "b");
  for (int i = 0; i < 30; ++i) append(conversation, "long " + std::to_string(i));
  auto other = append_at(conversation, after(second), "c");
  auto recent = [&](std::size_t limit, std::optional<TreePlace> up_to = {}) {
    return *run_task(store().read_recent(alice_, conversation.id, newest(limit), up_to));
  };
  auto active = recent(5);
  EXPECT_THAT(texts(active.messages), ElementsAre("a", "b", "c"));
  EXPECT_TRUE(active.whole);
  EXPECT_EQ(active.tip, other.id);
  EXPECT_EQ(active.newest, other.id);
  auto before = recent(5, after(second));
  EXPECT_THAT(texts(before.messages), ElementsAre("a", "b"));
  EXPECT_EQ(before.tip, second.id);
  EXPECT_EQ(before.newest, other.id);
  auto none = recent(5, TreePlace{});
  EXPECT_THAT(none.messages, IsEmpty());
  EXPECT_TRUE(none.whole);
  EXPECT_FALSE(none.tip);
  activate(conversation, all_branches(conversation)[20]);
  EXPECT_THAT(texts(recent(2).messages), ElementsAre("long 28", "long 29"));
}

TEST_P(StoreConformance, AMessageDeletedAtAForkLeavesTheWaysThroughIt) {
  auto conversation = create(alice_);
  append(conversation, "a");
  auto second = append(conversation, "b");
  append(conversation, "c");
  append_at(conversation, after(second), "C");
  append_at(conversation, after(second), "D");
  run_task(store().delete_message(alice_, conversation.id, second.id));
  EXPECT_THAT(tree(conversation), ElementsAre("a<", "c<a", "C<a", "D<a"));
  EXPECT_THAT(contents(conversation), ElementsAre("a", "D"));
  // It is still a place.
  EXPECT_EQ(append_at(conversation, after(second), "E").parent, list(conversation).messages[0].id);
  expect_pages_to_agree(conversation);
  auto active = list(conversation).messages.back();
  run_task(store().delete_message(alice_, conversation.id, active.id));
  EXPECT_THAT(contents(conversation), ElementsAre("a"));
  EXPECT_THAT(append(conversation, "F").content, "F");
  EXPECT_THAT(contents(conversation), ElementsAre("a", "F"));
}

TEST_P(StoreConformance, ARepeatBeginsNoSecondBranch) {
  auto conversation = create(alice_);
  auto turn = start(conversation, "a");
  finish(turn, "b");
  append(conversation, "c");
  auto place = after(turn.prompt);
  auto made = append_at(conversation, place, "B", key("append"));
  EXPECT_EQ(append_at(conversation, place, "B", key("append")), made);
  auto again = answer_again(conversation, turn.prompt, key("answer"));
  auto repeat = answer_again(conversation, turn.prompt, key("answer"));
  EXPECT_TRUE(repeat.replayed);
  EXPECT_EQ(repeat.reply, again.reply);
  EXPECT_EQ(repeat.prompt, again.prompt);
  auto found = run_task(store().find_turn(alice_, conversation.id, key("answer")));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->reply, again.reply);
  finish(again, "C");
  EXPECT_EQ(get(conversation)->tree.branches.size(), 2U);
  EXPECT_THAT(tree(conversation), ElementsAre("a<", "b<a", "c<b", "B<a", "C<a"));
}

TEST_P(StoreConformance, AConversationHasOnlySoManyBranches) {
  auto conversation = create(alice_);
  auto first = append(conversation, "a");
  append(conversation, "b");
  for (std::size_t i = 0; i < limits::kBranches; ++i) append_at(conversation, after(first), "x");
  auto before = *get(conversation);
  NewMessage more;
  more.content = "y";
  more.place = after(first);
  EXPECT_EQ(error_of(store().append_message(alice_, conversation.id, more, {})),
            ErrorCode::kConflict);
  EXPECT_EQ(error_of(store().append_message(alice_, conversation.id, more, key("more"))),
            ErrorCode::kConflict);
  EXPECT_EQ(error_of(store().append_message(alice_, conversation.id, more, key("more"))),
            ErrorCode::kConflict);
  NewTurn turn;
  turn.conversation_id = conversation.id;
  turn.answered = first;
  EXPECT_EQ(error_of(store().start_turn(alice_, turn, {})), ErrorCode::kConflict);
  EXPECT_EQ(get(conversation), before);
  append(conversation, "at the end");
  EXPECT_THAT(contents(conversation), ElementsAre("a", "x", "at the end"));
}

TEST_P(StoreConformance, AllOfItIsThereAfterAReopening) {
  auto conversation = create(alice_);
  auto turn = start(conversation, "a");
  finish(turn, "b");
  finish(answer_again(conversation, turn.prompt), "B");
  append(conversation, "c");
  activate(conversation, turn.reply);
  auto before = *get(conversation);
  auto messages = all_branches(conversation);
  reopen();
  EXPECT_EQ(get(conversation), before);
  EXPECT_EQ(all_branches(conversation), messages);
  EXPECT_THAT(contents(conversation), ElementsAre("a", "b"));
  EXPECT_EQ(append(conversation, "d").parent, turn.reply.id);
}

}  // namespace
}  // namespace colloquy::store
