#include "store/testing/conformance.h"

#include <gmock/gmock.h>

namespace colloquy::store {

using testing::ElementsAre;

std::optional<ErrorCode> error_of(Task<> task) {
  try {
    run_task(std::move(task));
    return std::nullopt;
  } catch (const Error& error) {
    return error.code();
  }
}

void StoreConformance::SetUp() {
  harness_ = GetParam().make();
  store_ = harness_->open();
}

Conversation StoreConformance::known_at_once(Conversation conversation) const {
  if (counts_at_once()) return conversation;
  conversation.message_count = 0;
  conversation.updated_at_s = 0;
  conversation.version = 0;
  return conversation;
}

void StoreConformance::reopen() {
  store_.reset();
  store_ = harness_->open();
}

void StoreConformance::reopen_retaining(std::optional<std::int64_t> seconds) {
  harness_->retain(seconds);
  reopen();
}

Conversation StoreConformance::create(const UserId& user, const std::string& title,
                                      std::optional<std::int64_t> ttl_seconds) {
  NewConversation fresh{title, "", {}, ttl_seconds};
  return run_task(store().create_conversation(user, fresh, std::nullopt)).conversation;
}

Message StoreConformance::append(const Conversation& conversation, const std::string& content) {
  NewMessage message{Role::kUser, content, {}, ""};
  return run_task(
             store().append_message(conversation.user_id, conversation.id, message, std::nullopt))
      .message;
}

StartedTurn StoreConformance::start(const Conversation& conversation, const std::string& prompt,
                                    std::int64_t lease_seconds) {
  NewTurn turn;
  turn.conversation_id = conversation.id;
  turn.prompt.content = prompt;
  turn.model = "model";
  turn.lease_until_s = clock().now_s() + lease_seconds;
  return run_task(store().start_turn(conversation.user_id, turn, std::nullopt));
}

bool StoreConformance::save_partial(const StartedTurn& turn, const std::string& so_far) {
  auto reply = turn.reply;
  reply.content = so_far;
  return run_task(store().save_partial(alice_, turn.conversation.id, reply));
}

Conversation StoreConformance::finish(const StartedTurn& turn, const std::string& answer) {
  auto reply = turn.reply;
  reply.content = answer;
  reply.status = MessageStatus::kComplete;
  reply.finish_reason = FinishReason::kStop;
  reply.usage = Usage{3, 4};
  auto finished =
      run_task(store().finish_turn(turn.conversation.user_id, turn.conversation.id, reply));
  auto saved = get(turn.conversation, reply.id);
  EXPECT_EQ(finished.reply.parent, reply.parent);
  // Deleted meanwhile, perhaps.
  if (saved) finished.reply.parent = saved->parent;
  EXPECT_EQ(finished.reply, saved);
  return finished.conversation;
}

std::optional<Conversation> StoreConformance::get(const Conversation& conversation) {
  return run_task(store().get_conversation(conversation.user_id, conversation.id));
}

std::optional<Message> StoreConformance::get(const Conversation& conversation,
                                             const MessageId& id) {
  return run_task(store().get_message(conversation.user_id, conversation.id, id));
}

MessagePage StoreConformance::list(const Conversation& conversation, MessageRange range) {
  return run_task(store().list_messages(conversation.user_id, conversation.id, range));
}

std::vector<std::string> StoreConformance::contents(const Conversation& conversation) {
  std::vector<std::string> all;
  MessageRange range;
  range.after = MessageId();
  for (;;) {
    auto page = list(conversation, range);
    for (auto& message : page.messages) all.push_back(message.content);
    if (!page.more) return all;
    range.after = page.messages.back().id;
  }
}

IdempotencyKey StoreConformance::key(const std::string& name, std::uint8_t fingerprint) {
  IdempotencyKey key;
  key.key = name;
  key.fingerprint.fill(fingerprint);
  key.expires_at_s = clock().now_s() + limits::kIdempotencySeconds;
  return key;
}

namespace {

TEST_P(StoreConformance, AConversationIsReadBackAsItWasMade) {
  NewConversation fresh{"title", std::string(3000, 's'), {{"a", "1"}, {"b", ""}}, 100};
  auto made = run_task(store().create_conversation(alice_, fresh, std::nullopt));
  EXPECT_FALSE(made.replayed);
  const auto& conversation = made.conversation;
  EXPECT_EQ(conversation.user_id, alice_);
  EXPECT_EQ(conversation.title, "title");
  EXPECT_EQ(conversation.system_prompt, fresh.system_prompt);
  EXPECT_EQ(conversation.metadata, fresh.metadata);
  EXPECT_EQ(conversation.ttl_seconds, 100);
  EXPECT_EQ(conversation.created_at_s, clock().now_s());
  EXPECT_EQ(conversation.updated_at_s, clock().now_s());
  EXPECT_EQ(conversation.message_count, 0U);
  EXPECT_EQ(conversation.id.uuid().unix_ms(), clock().now_ms());
  EXPECT_EQ(get(conversation), conversation);
  reopen();
  EXPECT_EQ(get(conversation), conversation);
}

TEST_P(StoreConformance, AMessageIsReadBackAsItWasAppended) {
  auto conversation = create(alice_);
  advance_s(5);
  NewMessage fresh{Role::kSystem, std::string("nul \0 and é", 12), {{"k", "v"}}, "client-1"};
  fresh.attachments = {"z/\"é\".txt", "a", std::string(1000, 'p')};
  auto made = run_task(store().append_message(alice_, conversation.id, fresh, std::nullopt));
  EXPECT_FALSE(made.replayed);
  EXPECT_EQ(made.message.role, Role::kSystem);
  EXPECT_EQ(made.message.content, fresh.content);
  EXPECT_EQ(made.message.metadata, fresh.metadata);
  EXPECT_EQ(made.message.client_message_id, "client-1");
  EXPECT_EQ(made.message.attachments, fresh.attachments);
  EXPECT_EQ(made.message.timestamp_s, clock().now_s());
  EXPECT_EQ(made.message.status, MessageStatus::kComplete);
  EXPECT_EQ(get(conversation, made.message.id), made.message);
  auto after = get(conversation);
  EXPECT_EQ(after->message_count, 1U);
  EXPECT_EQ(after->updated_at_s, clock().now_s());
  EXPECT_GT(after->version, conversation.version);
  reopen();
  EXPECT_EQ(get(conversation, made.message.id), made.message);
  EXPECT_EQ(get(conversation), after);
}

TEST_P(StoreConformance, WhatIsNotThereIsNotFound) {
  auto conversation = create(alice_);
  auto message = append(conversation, "hello");
  NewTurn turn;
  turn.conversation_id = no_conversation_;
  EXPECT_EQ(run_task(store().get_conversation(alice_, no_conversation_)), std::nullopt);
  EXPECT_EQ(run_task(store().get_message(alice_, conversation.id, no_message_)), std::nullopt);
  EXPECT_EQ(run_task(store().get_message(alice_, no_conversation_, message.id)), std::nullopt);
  EXPECT_FALSE(run_task(store().read_recent(alice_, no_conversation_, newest(5), {})));
  constexpr auto kNotFound = ErrorCode::kNotFound;
  EXPECT_EQ(error_of(store().list_messages(alice_, no_conversation_, {})), kNotFound);
  EXPECT_EQ(error_of(store().update_conversation(alice_, no_conversation_, {}, {})), kNotFound);
  EXPECT_EQ(error_of(store().delete_conversation(alice_, no_conversation_, {})), kNotFound);
  EXPECT_EQ(error_of(store().append_message(alice_, no_conversation_, {}, {})), kNotFound);
  EXPECT_EQ(error_of(store().delete_message(alice_, no_conversation_, message.id)), kNotFound);
  EXPECT_EQ(error_of(store().delete_message(alice_, conversation.id, no_message_)), kNotFound);
  EXPECT_EQ(error_of(store().start_turn(alice_, turn, {})), kNotFound);
  EXPECT_EQ(error_of(store().finish_turn(alice_, conversation.id, Message{})), kNotFound);
  EXPECT_EQ(error_of(store().finish_turn(alice_, no_conversation_, message)), kNotFound);
}

TEST_P(StoreConformance, AForeignConversationAnswersAsOneThatIsNotThere) {
  auto conversation = create(alice_);
  auto turn = start(conversation, "prompt");
  auto before = get(conversation);
  auto id = conversation.id;
  NewTurn other_turn;
  other_turn.conversation_id = id;
  EXPECT_EQ(run_task(store().get_conversation(bob_, id)), std::nullopt);
  EXPECT_EQ(run_task(store().get_message(bob_, id, turn.prompt.id)), std::nullopt);
  EXPECT_FALSE(run_task(store().read_recent(bob_, id, newest(5), {})));
  constexpr auto kNotFound = ErrorCode::kNotFound;
  EXPECT_EQ(error_of(store().list_messages(bob_, id, {})), kNotFound);
  EXPECT_EQ(error_of(store().update_conversation(bob_, id, {}, {})), kNotFound);
  EXPECT_EQ(error_of(store().delete_conversation(bob_, id, {})), kNotFound);
  EXPECT_EQ(error_of(store().append_message(bob_, id, {}, {})), kNotFound);
  EXPECT_EQ(error_of(store().append_message(bob_, id, {}, key("k"))), kNotFound);
  EXPECT_EQ(error_of(store().delete_message(bob_, id, turn.prompt.id)), kNotFound);
  EXPECT_EQ(error_of(store().start_turn(bob_, other_turn, {})), kNotFound);
  auto reply = turn.reply;
  reply.status = MessageStatus::kComplete;
  EXPECT_EQ(error_of(store().finish_turn(bob_, id, reply)), kNotFound);
  EXPECT_EQ(get(conversation), before);
  EXPECT_THAT(contents(conversation), ElementsAre("prompt", ""));
}

TEST_P(StoreConformance, UsersWhoseNamesBeginAlikeAreApart) {
  std::vector<UserId> users{UserId("a"), UserId("aa"), UserId(std::string("a\0", 2)),
                            UserId(std::string(256, 'a')), UserId("\xf4\x8f\xbf\xbf")};
  for (const auto& user : users) create(user, user.value());
  for (const auto& user : users) {
    auto page = run_task(store().list_conversations(user, 10, std::nullopt));
    ASSERT_EQ(page.conversations.size(), 1U);
    EXPECT_EQ(page.conversations[0].title, user.value());
  }
}

TEST_P(StoreConformance, ConversationsAreListedNewestFirstAndInPages) {
  std::vector<ConversationId> made;
  for (int i = 0; i < 7; ++i) {
    made.push_back(create(alice_, std::to_string(i)).id);
    if (i % 2 == 0) clock().advance_ms(1);
  }
  create(bob_);
  std::vector<ConversationId> listed;
  std::optional<ConversationId> after;
  do {
    auto page = run_task(store().list_conversations(alice_, 3, after));
    EXPECT_LE(page.conversations.size(), 3U);
    for (auto& conversation : page.conversations) listed.push_back(conversation.id);
    after = page.next;
  } while (after);
  std::reverse(made.begin(), made.end());
  EXPECT_EQ(listed, made);
  // A full last page has no next.
  EXPECT_FALSE(run_task(store().list_conversations(alice_, 7, std::nullopt)).next);
  EXPECT_TRUE(run_task(store().list_conversations(UserId("carol"), 7, {})).conversations.empty());
}

TEST_P(StoreConformance, TheListByActivityHasTheLastActiveFirst) {
  std::vector<Conversation> made;
  for (int i = 0; i < 5; ++i) {
    made.push_back(create(alice_, std::to_string(i)));
    advance_s(1);
  }
  create(alice_, "expires", 3);
  create(bob_, "another user's");
  append(made[1], "hello");
  advance_s(1);
  finish(start(made[3], "prompt"), "answer");
  advance_s(10);
  std::vector<std::string> titles;
  std::optional<ActivityPosition> after;
  do {
    auto page = run_task(store().list_by_activity(alice_, 2, after));
    EXPECT_LE(page.conversations.size(), 2U);
    for (const auto& conversation : page.conversations) titles.push_back(conversation.title);
    after = page.next;
  } while (after);
  EXPECT_THAT(titles, ElementsAre("3", "1", "4", "2", "0"));
  EXPECT_FALSE(run_task(store().list_by_activity(alice_, 5, std::nullopt)).next);
}

TEST_P(StoreConformance, TheListGoesOnAfterAConversationThatIsGone) {
  auto first = create(alice_, "1");
  clock().advance_ms(1);
  auto second = create(alice_, "2");
  clock().advance_ms(1);
  create(alice_, "3");
  run_task(store().delete_conversation(alice_, second.id, {}));
  auto page = run_task(store().list_conversations(alice_, 10, second.id));
  ASSERT_EQ(page.conversations.size(), 1U);
  EXPECT_EQ(page.conversations[0].id, first.id);
}

TEST_P(StoreConformance, APatchChangesWhatItNamesAndNothingElse) {
  NewConversation fresh{"old", "prompt", {{"a", "1"}}, std::nullopt};
  auto before = run_task(store().create_conversation(alice_, fresh, {})).conversation;
  advance_s(10);
  ConversationPatch flags;
  flags.pinned = true;
  flags.archived = true;
  auto expected = before;
  expected.pinned = true;
  expected.archived = true;
  auto after = run_task(store().update_conversation(alice_, before.id, flags, {}));
  EXPECT_GT(after.version, before.version);
  expected.version = after.version;
  EXPECT_EQ(after, expected);  // updated_at too: no title was set

  ConversationPatch rest;
  rest.title = "new";
  rest.system_prompt = std::string(5000, 'p');
  rest.metadata.emplace();
  rest.metadata->clear_first = true;
  rest.metadata->pairs["b"] = std::string(2000, 'm');
  rest.ttl_seconds = std::optional<std::int64_t>(60);
  expected.title = "new";
  expected.system_prompt = *rest.system_prompt;
  expected.metadata = {{"b", std::string(2000, 'm')}};
  expected.ttl_seconds = 60;
  expected.updated_at_s = clock().now_s();
  auto last = run_task(store().update_conversation(alice_, before.id, rest, {}));
  EXPECT_GT(last.version, after.version);
  expected.version = last.version;
  EXPECT_EQ(last, expected);
  EXPECT_EQ(get(before), expected);
  reopen();
  EXPECT_EQ(get(before), expected);
}

TEST_P(StoreConformance, AnotherVersionThanTheOneNamedIsRefused) {
  auto conversation = create(alice_);
  append(conversation, "a change");
  auto current = get(conversation)->version;
  ConversationPatch patch;
  patch.title = "new";
  constexpr auto kFailed = ErrorCode::kPreconditionFailed;
  auto old = conversation.version;
  EXPECT_EQ(error_of(store().update_conversation(alice_, conversation.id, patch, old)), kFailed);
  EXPECT_EQ(error_of(store().delete_conversation(alice_, conversation.id, old)), kFailed);
  EXPECT_EQ(get(conversation)->title, "title");
  auto after = run_task(store().update_conversation(alice_, conversation.id, patch, current));
  EXPECT_EQ(after.title, "new");
  run_task(store().delete_conversation(alice_, conversation.id, after.version));
  EXPECT_EQ(get(conversation), std::nullopt);
}

TEST_P(StoreConformance, ADeletedConversationIsGoneAtOnceAndItsMessagesInTime) {
  auto keep = create(alice_);
  append(keep, "kept");
  auto gone = create(alice_);
  std::vector<MessageId> ids;
  for (int i = 0; i < 50; ++i) ids.push_back(append(gone, "gone").id);
  run_task(store().delete_conversation(alice_, gone.id, {}));
  EXPECT_EQ(get(gone), std::nullopt);
  EXPECT_EQ(get(gone, ids.front()), std::nullopt);
  EXPECT_EQ(error_of(store().append_message(alice_, gone.id, {}, {})), ErrorCode::kNotFound);
  EXPECT_EQ(error_of(store().delete_conversation(alice_, gone.id, {})), ErrorCode::kNotFound);
  reopen();
  settle();
  EXPECT_EQ(get(gone), std::nullopt);
  EXPECT_EQ(stats().conversations, 1U);
  EXPECT_EQ(stats().messages, 1U);
  EXPECT_THAT(contents(keep), ElementsAre("kept"));
}

TEST_P(StoreConformance, ADeletedMessageIsGoneAndNotCounted) {
  auto conversation = create(alice_);
  auto first = append(conversation, "1");
  auto second = append(conversation, "2");
  auto before = get(conversation);
  advance_s(10);
  run_task(store().delete_message(alice_, conversation.id, second.id));
  EXPECT_EQ(get(conversation, second.id), std::nullopt);
  auto after = get(conversation);
  EXPECT_EQ(after->message_count, 1U);
  EXPECT_GT(after->version, before->version);
  EXPECT_EQ(after->updated_at_s, before->updated_at_s);
  EXPECT_THAT(contents(conversation), ElementsAre("1"));
  // The next id is greater than the one that is gone.
  EXPECT_GT(append(conversation, "3").id, second.id);
  EXPECT_EQ(error_of(store().delete_message(alice_, conversation.id, second.id)),
            ErrorCode::kNotFound);
}

TEST_P(StoreConformance, TheStoreIsReadyAndCountsWhatItHolds) {
  EXPECT_EQ(store().not_ready_reason(), "");
  auto conversation = create(alice_);
  append(conversation, "1");
  append(conversation, "2");
  EXPECT_EQ(stats().conversations, 1U);
  EXPECT_EQ(stats().messages, 2U);
}

}  // namespace
}  // namespace colloquy::store
