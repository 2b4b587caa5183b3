// What a conversation says of its own context: settings, and the summary of what fell out.
#include <gmock/gmock.h>

#include "store/testing/conformance.h"

namespace colloquy::store {
namespace {

using testing::ElementsAre;

std::vector<std::string> texts(const std::vector<Message>& messages) {
  std::vector<std::string> all;
  for (const auto& message : messages) all.push_back(message.content);
  return all;
}

ConversationPatch settings(std::optional<std::uint32_t> messages,
                           std::optional<std::uint32_t> tokens) {
  ConversationPatch patch;
  patch.context.emplace();
  patch.context->messages = messages;
  patch.context->tokens = tokens;
  return patch;
}

ConversationPatch summary(const std::string& text, const MessageId& up_to) {
  ConversationPatch patch;
  patch.summary.emplace(ContextSummary{text, up_to});
  return patch;
}

TEST_P(StoreConformance, ContextSettingsAreKeptAndChangedFieldByField) {
  NewConversation fresh{"title", "", {}, {}, {7, {}, true}};
  auto made = run_task(store().create_conversation(alice_, fresh, {})).conversation;
  EXPECT_EQ(made.context, (ContextSettings{7, {}, true}));
  EXPECT_EQ(get(made), made);
  auto changed =
      run_task(store().update_conversation(alice_, made.id, settings({}, 4'000'000'000), {}));
  EXPECT_EQ(changed.context, (ContextSettings{{}, 4'000'000'000, true}));
  EXPECT_EQ(changed.version, made.version + 1);
  EXPECT_EQ(changed.updated_at_s, made.updated_at_s);
  reopen();
  EXPECT_EQ(get(made), changed);
  ConversationPatch off;
  off.context.emplace();
  off.context->clear_first = true;
  off.context->summary = std::optional(false);
  changed = run_task(store().update_conversation(alice_, made.id, off, {}));
  EXPECT_EQ(changed.context, (ContextSettings{{}, {}, false}));
  EXPECT_EQ(get(made), changed);
}

TEST_P(StoreConformance, TheNewestMessagesAreAsManyAsTheConversationWants) {
  auto conversation = create(alice_);
  for (int i = 10; i < 50; ++i) append(conversation, std::to_string(i));
  auto recent = [&] {
    return *run_task(store().read_recent(alice_, conversation.id, newest(3), {}));
  };
  EXPECT_THAT(texts(recent().messages), ElementsAre("47", "48", "49"));
  EXPECT_FALSE(recent().whole);
  auto set = [&](const ConversationPatch& patch) {
    run_task(store().update_conversation(alice_, conversation.id, patch, {}));
  };
  set(settings(1, {}));
  EXPECT_THAT(texts(recent().messages), ElementsAre("49"));
  set(settings(0, {}));
  EXPECT_THAT(texts(recent().messages), ElementsAre());
  set(settings(5, {}));
  EXPECT_THAT(texts(recent().messages), ElementsAre("45", "46", "47", "48", "49"));
  set(settings(30, {}));
  EXPECT_EQ(recent().messages.size(), 30U);
  EXPECT_EQ(recent().messages.front().content, "20");
  // With a budget it ends with the message that reaches the bytes that may be so many tokens.
  set(settings(std::optional<std::uint32_t>(), 1));
  EXPECT_THAT(texts(recent().messages), ElementsAre("47", "48", "49"));
  set(settings(std::optional<std::uint32_t>(), 10));
  EXPECT_EQ(recent().messages.size(), 30U);
  set(settings(4, 10));
  EXPECT_EQ(recent().messages.size(), 4U);
  set(settings(std::optional<std::uint32_t>(), 1000));
  EXPECT_EQ(recent().messages.size(), 40U);
  EXPECT_TRUE(recent().whole);
}

TEST_P(StoreConformance, ASummaryGoesWithAMessageThatItCovers) {
  auto conversation = create(alice_);
  auto first = append(conversation, "1");
  auto second = append(conversation, "2");
  auto third = append(conversation, "3");
  const std::string text(1900, 's');
  auto with =
      run_task(store().update_conversation(alice_, conversation.id, summary(text, second.id), {}));
  EXPECT_EQ(with.summary, (ContextSummary{text, second.id}));
  EXPECT_EQ(get(conversation), with);
  EXPECT_EQ(run_task(store().read_recent(alice_, conversation.id, newest(1), {}))->conversation,
            with);
  run_task(store().delete_message(alice_, conversation.id, third.id));
  EXPECT_EQ(get(conversation)->summary, with.summary);
  run_task(store().delete_message(alice_, conversation.id, first.id));
  EXPECT_EQ(get(conversation)->summary, std::nullopt);
  reopen();
  EXPECT_EQ(get(conversation)->summary, std::nullopt);
  EXPECT_EQ(get(conversation)->message_count, 1U);
}

TEST_P(StoreConformance, ATitleThatWasChangedMeanwhileStays) {
  auto conversation = create(alice_, "from the prompt");
  ConversationPatch made;
  made.title = "from the model";
  made.if_title = "from the prompt";
  auto titled = run_task(store().update_conversation(alice_, conversation.id, made, {}));
  EXPECT_EQ(titled.title, "from the model");
  EXPECT_EQ(error_of(store().update_conversation(alice_, conversation.id, made, {})),
            ErrorCode::kPreconditionFailed);
  EXPECT_EQ(get(conversation), titled);
}

}  // namespace
}  // namespace colloquy::store
