#include "chat/conversations.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "chat/chat_harness.h"

namespace colloquy::chat {
namespace {

TEST(TitleFromPrompt, IsTheFirstLine) {
  EXPECT_EQ(title_from_prompt("  What is AI?\nTell me all."), "What is AI?");
  EXPECT_EQ(title_from_prompt(" \n\t "), "New Conversation");
}

TEST(TitleFromPrompt, IsCutAtAWordAndNeverWithinACharacter) {
  std::string words;
  for (int i = 0; i < 40; ++i) words += "word ";
  auto title = title_from_prompt(words);
  EXPECT_LE(title.size(), 64U);
  EXPECT_TRUE(title.ends_with("word…"));
  std::string accents;
  for (int i = 0; i < 100; ++i) accents += "é";
  title = title_from_prompt("x" + accents);
  EXPECT_EQ((title.size() - 1 - std::string("…").size()) % 2, 0U);
  EXPECT_NO_THROW(check_title(title));
}

TEST(Checks, RefuseWhatIsOutsideTheLimits) {
  EXPECT_THROW(check_title(""), Error);
  EXPECT_THROW(check_title(std::string(limits::kTitleBytes + 1, 'a')), Error);
  EXPECT_NO_THROW(check_title(std::string(limits::kTitleBytes, 'a')));
  EXPECT_THROW(check_ttl_seconds(0), Error);
  EXPECT_NO_THROW(check_ttl_seconds(1));
  store::Metadata metadata;
  for (std::size_t i = 0; i < limits::kMetadataPairs; ++i) metadata[std::to_string(i)] = "";
  EXPECT_NO_THROW(check_metadata(metadata));
  metadata["one more"] = "";
  EXPECT_THROW(check_metadata(metadata), Error);
  EXPECT_THROW(check_metadata(store::Metadata{{"", "v"}}), Error);
  EXPECT_THROW(check_metadata(store::Metadata{{std::string(65, 'k'), "v"}}), Error);
}

TEST(Checks, ContentThatIsTooLongIsTooLargeAndNotInvalid) {
  try {
    check_content("content", "12345", 4);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kTooLarge);
    ASSERT_EQ(error.fields().size(), 1U);
    EXPECT_EQ(error.fields()[0].field, "content");
  }
}

class TemporaryTest : public LoopTest {
 protected:
  store::Conversation create(std::optional<std::int64_t> ttl_seconds, bool temporary) {
    store::NewConversation fresh;
    fresh.title = "title";
    fresh.ttl_seconds = ttl_seconds;
    fresh.temporary = temporary;
    return run(conversations_.create(kAlice, fresh, std::nullopt)).conversation;
  }
  store::Conversation set_temporary(const store::Conversation& of, bool temporary) {
    store::ConversationPatch patch;
    patch.temporary = temporary;
    return run(conversations_.update(kAlice, of.id, patch, std::nullopt));
  }

  store::ModelStore model_store_{clock, ids};
  Conversations conversations_{model_store_, ChatOptions{}};
};

TEST_F(TemporaryTest, OneThatIsNotKeepsItsOwnTimeToLive) {
  auto conversation = create(1000, false);
  EXPECT_EQ(set_temporary(conversation, false).ttl_seconds, 1000);
  auto temporary = set_temporary(conversation, true);
  EXPECT_EQ(temporary.ttl_seconds, ChatOptions{}.temporary_ttl_seconds);
  EXPECT_EQ(set_temporary(conversation, false).ttl_seconds, std::nullopt);
}

TEST_F(TemporaryTest, OneThatIsKeepsTheTimeToLiveThatItHas) {
  auto conversation = create(1000, true);
  EXPECT_EQ(set_temporary(conversation, true).ttl_seconds, 1000);
}

}  // namespace
}  // namespace colloquy::chat
