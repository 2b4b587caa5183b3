#include "chat/context_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/testing/run_task.h"
#include "llm/demo/demo_provider.h"
#include "store/testing/model_store.h"

namespace colloquy::chat {
namespace {

using ::testing::ElementsAre;

const UserId kAlice("alice");

class ContextBuilderTest : public ::testing::Test {
 protected:
  ContextBuilderTest() {
    store::NewConversation fresh;
    fresh.title = "title";
    conversation_ = run_task(store.create_conversation(kAlice, fresh, {})).conversation;
  }

  MessageId say(store::Role role, const std::string& content) {
    store::NewMessage message;
    message.role = role;
    message.content = content;
    return run_task(store.append_message(kAlice, conversation_.id, message, {})).message.id;
  }
  void set(store::ContextPatch context) {
    store::ConversationPatch patch;
    patch.context = context;
    run_task(store.update_conversation(kAlice, conversation_.id, patch, {}));
  }
  ExplainedContext explain(const std::string& prompt, ChatOptions options = {}) {
    ContextBuilder builder(store, provider, options);
    return run_task(builder.explain(kAlice, conversation_.id, "", prompt, {}));
  }
  static std::vector<std::string> given(const ExplainedContext& explained) {
    std::vector<std::string> contents;
    for (const auto& message : explained.prepared.context.messages) {
      contents.push_back(message.content);
    }
    return contents;
  }

  ManualClock clock{1'700'000'000'000};
  SeededIdSource ids{1};
  store::ModelStore store{clock, ids};
  llm::DemoProvider provider;
  store::Conversation conversation_;
};

TEST_F(ContextBuilderTest, ShowsWhatIsGivenAndWhyTheRestIsNot) {
  auto first = say(store::Role::kUser, "one");
  auto second = say(store::Role::kAssistant, "two");
  auto failed = say(store::Role::kAssistant, "");
  say(store::Role::kUser, "three");
  auto explained = explain("now it is", {.context_messages = 1});
  EXPECT_THAT(given(explained), ElementsAre("three", "now it is"));
  EXPECT_EQ(explained.model, "demo");
  EXPECT_FALSE(explained.prepared.estimated);
  EXPECT_EQ(explained.prepared.context.tokens, 4U);
  ASSERT_EQ(explained.left_out.size(), 3U);
  EXPECT_EQ(explained.left_out[0].id, first);
  EXPECT_EQ(explained.left_out[0].reason, LeftOutReason::kMessages);
  EXPECT_EQ(explained.left_out[1].id, second);
  EXPECT_EQ(explained.left_out[2].id, failed);
  EXPECT_EQ(explained.left_out[2].reason, LeftOutReason::kNoText);
  EXPECT_FALSE(explained.more_left_out);
}

TEST_F(ContextBuilderTest, AConversationsOwnNumbersTakeThePlaceOfTheServers) {
  for (const char* text : {"a", "b", "c", "d"}) say(store::Role::kUser, text);
  store::ContextPatch own;
  own.tokens = std::optional<std::uint32_t>(3);
  set(own);
  auto explained = explain("now", {.context_messages = 1});
  EXPECT_THAT(given(explained), ElementsAre("c", "d", "now"));
  EXPECT_EQ(explained.left_out.front().reason, LeftOutReason::kTokens);
  own.tokens.emplace(std::nullopt);
  own.messages = std::optional<std::uint32_t>(3);
  set(own);
  EXPECT_THAT(given(explain("now", {.context_messages = 1, .context_tokens = 2})),
              ElementsAre("b", "c", "d", "now"));
}

TEST_F(ContextBuilderTest, ASummaryIsGivenWhereItIsWantedOnly) {
  auto first = say(store::Role::kUser, "one");
  say(store::Role::kUser, "two");
  store::ConversationPatch patch;
  patch.summary.emplace(store::ContextSummary{"of one", first});
  run_task(store.update_conversation(kAlice, conversation_.id, patch, {}));
  EXPECT_THAT(given(explain("now", {.context_messages = 1})), ElementsAre("two", "now"));
  auto explained = explain("now", {.context_messages = 1, .context_summary = true});
  EXPECT_THAT(given(explained),
              ElementsAre("Summary of the earlier conversation:\nof one", "two", "now"));
  EXPECT_TRUE(explained.left_out.front().summarized);
}

TEST_F(ContextBuilderTest, OfALongConversationTheNewestIsCountedAndTheRestEstimated) {
  const std::string content(60'000, 'x');  // 16 of them are a token of the demonstration model
  for (int i = 0; i < 6; ++i) say(store::Role::kUser, content);
  auto explained = explain("now it is", {.context_messages = 6});
  const auto& messages = explained.prepared.context.messages;
  ASSERT_EQ(messages.size(), 7U);
  EXPECT_TRUE(explained.prepared.estimated);
  EXPECT_GT(messages[0].tokens, 10'000U);
  EXPECT_GT(messages[1].tokens, 10'000U);
  for (std::size_t i = 2; i < 6; ++i) EXPECT_EQ(messages[i].tokens, 3750U);
  EXPECT_EQ(messages[6].tokens, 3U);
  EXPECT_FALSE(explain("now it is", {.context_messages = 4}).prepared.estimated);
}

TEST_F(ContextBuilderTest, RefusesWhatATurnWouldRefuse) {
  auto code = [&](ConversationId id, std::string model, std::string prompt) {
    ContextBuilder builder(store, provider, {.context_tokens = 3, .max_content_bytes = 1000});
    try {
      run_task(builder.explain(kAlice, id, std::move(model), std::move(prompt), {}));
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::kInternal;
  };
  EXPECT_EQ(code(ConversationId(), "", "now"), ErrorCode::kNotFound);
  EXPECT_EQ(code(conversation_.id, "gpt-9", "now"), ErrorCode::kInvalid);
  EXPECT_EQ(code(conversation_.id, "", ""), ErrorCode::kInvalid);
  EXPECT_EQ(code(conversation_.id, "", "more than three tokens"), ErrorCode::kTooLarge);
}

}  // namespace
}  // namespace colloquy::chat
