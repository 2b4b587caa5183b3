#include "chat/places.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/testing/run_task.h"
#include "store/testing/model_store.h"

namespace colloquy::chat {
namespace {

const UserId kAlice("alice");

class PlacesTest : public ::testing::Test {
 protected:
  PlacesTest() {
    store::NewConversation fresh;
    fresh.title = "title";
    id = run_task(store.create_conversation(kAlice, fresh, {})).conversation.id;
  }

  store::Message say(store::Role role, const std::string& content) {
    store::NewMessage message;
    message.role = role;
    message.content = content;
    return run_task(store.append_message(kAlice, id, message, {})).message;
  }
  // The error's code and the field that it names.
  template <class T>
  static std::string refused(Task<T> task) {
    try {
      run_task(std::move(task));
    } catch (const Error& error) {
      auto field = error.fields().empty() ? "" : " " + error.fields().front().field;
      return std::string(error_code_name(error.code())) + field;
    }
    return "not refused";
  }

  ManualClock clock{1'700'000'000'000};
  SeededIdSource ids{1};
  store::ModelStore store{clock, ids};
  ConversationId id;
};

TEST_F(PlacesTest, AnEditStandsInThePlaceOfWhatItEdits) {
  say(store::Role::kUser, "one");
  auto answer = say(store::Role::kAssistant, "two");
  auto edited = say(store::Role::kUser, "three");
  PlaceRequest asked;
  EXPECT_FALSE(run_task(find_place(store, kAlice, id, asked)));
  asked.edit_of = edited.id;
  auto beside = run_task(find_place(store, kAlice, id, asked));
  ASSERT_TRUE(beside);
  auto way = store::Path::to({}, *beside);
  EXPECT_TRUE(way.contains(0, answer.id));
  EXPECT_FALSE(way.contains(0, edited.id));
}

TEST_F(PlacesTest, AParentIsThePlaceAfterItAndNoneIsTheBeginning) {
  auto first = say(store::Role::kUser, "one");
  PlaceRequest asked;
  asked.parent = first.id;
  EXPECT_EQ(run_task(find_place(store, kAlice, id, asked)), (store::TreePlace{0, first.id}));
  asked.parent.emplace();
  EXPECT_EQ(run_task(find_place(store, kAlice, id, asked)), store::TreePlace());
}

TEST_F(PlacesTest, WhatIsNotThereIsRefusedByName) {
  auto answer = say(store::Role::kAssistant, "two");
  PlaceRequest unknown_parent;
  unknown_parent.parent = MessageId();
  EXPECT_EQ(refused(find_place(store, kAlice, id, unknown_parent)), "invalid parent_id");
  PlaceRequest unknown_edit;
  unknown_edit.edit_of = MessageId();
  EXPECT_EQ(refused(find_place(store, kAlice, id, unknown_edit)), "invalid edit_of");
  PlaceRequest not_the_users;
  not_the_users.edit_of = answer.id;
  EXPECT_EQ(refused(find_place(store, kAlice, id, not_the_users)), "invalid edit_of");
  EXPECT_EQ(refused(find_place(store, kAlice, ConversationId(), not_the_users)), "not_found");
  EXPECT_EQ(refused(find_place(store, UserId("bob"), id, not_the_users)), "not_found");
}

TEST_F(PlacesTest, APromptIsTheUsersMessageOrTheOneBeforeItsAnswer) {
  auto prompt = say(store::Role::kUser, "one");
  auto answer = say(store::Role::kAssistant, "two");
  auto another = say(store::Role::kAssistant, "two and a half");
  auto system = say(store::Role::kSystem, "be brief");
  EXPECT_EQ(run_task(find_prompt(store, kAlice, id, prompt.id)), prompt);
  EXPECT_EQ(run_task(find_prompt(store, kAlice, id, answer.id)), prompt);
  EXPECT_EQ(refused(find_prompt(store, kAlice, id, another.id)), "invalid message_id");
  EXPECT_EQ(refused(find_prompt(store, kAlice, id, system.id)), "invalid message_id");
  EXPECT_EQ(refused(find_prompt(store, kAlice, id, MessageId())), "not_found");
  EXPECT_EQ(refused(find_prompt(store, UserId("bob"), id, answer.id)), "not_found");
  run_task(store.delete_message(kAlice, id, prompt.id));
  EXPECT_EQ(refused(find_prompt(store, kAlice, id, answer.id)), "invalid message_id");
}

}  // namespace
}  // namespace colloquy::chat
