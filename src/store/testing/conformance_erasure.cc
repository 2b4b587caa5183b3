// Erasing users (store/erasure.h).
#include <gmock/gmock.h>

#include "store/erasure.h"
#include "store/testing/conformance.h"

namespace colloquy::store {
namespace {

using testing::Contains;
using testing::IsEmpty;

// Without and with a crash before every piece: by a store that is opened anew.
TEST_P(StoreConformance, AnErasedUserHasNothingLeftAndNobodyElseLosesAnything) {
  auto make = [&](const UserId& user, const std::string& name) {
    return run_task(
        store().create_conversation(user, {"title", std::string(1000, 's'), {}, {}}, key(name)));
  };
  auto fill = [&](const UserId& user) {
    for (const auto* name : {"first", "second", "third"}) {
      auto conversation = make(user, name).conversation;
      NewMessage message;
      message.content = "kept by a key";
      run_task(
          store().append_message(user, conversation.id, message, key(std::string("said ") + name)));
      append(conversation, std::string(700'000, 'x'));
      finish(start(conversation, "prompt"), "answer");
    }
    create(user, "expires", 1);
    advance_s(5);
  };
  fill(bob_);
  settle();
  const auto of_bob = stats();
  const auto kept = run_task(store().list_conversations(bob_, 10, {})).conversations;
  for (bool reopening : {false, true}) {
    // An id that begins as another's, too.
    const UserId user(reopening ? "bo" : "alice");
    fill(user);
    EXPECT_GT(stats().messages, of_bob.messages);
    run_task(erasures().begin_erasure(user));
    auto left = Erasures::Left::kMore;
    Erasure erasure;
    for (int i = 0; left != Erasures::Left::kNothing; ++i) {
      ASSERT_LT(i, 200);
      if (reopening) reopen();
      auto unfinished = run_task(erasures().unfinished_erasures());
      ASSERT_EQ(unfinished.size(), 1U);
      erasure = unfinished.front();
      EXPECT_EQ(erasure.user, user);
      left = run_task(erasures().erase_some(erasure));
      if (left != Erasures::Left::kLater && !reopening) continue;
      advance_s(120);  // past what a server that is gone has claimed
      if (left == Erasures::Left::kLater) settle();
    }
    auto at_ms = run_task(erasures().seal_erasure(erasure));
    advance_s(1);
    EXPECT_EQ(run_task(erasures().seal_erasure(erasure)), at_ms);
    run_task(erasures().end_erasure(erasure, at_ms));
    EXPECT_THAT(run_task(erasures().unfinished_erasures()), IsEmpty());
    EXPECT_THAT(run_task(erasures().erased_users("")),
                Contains(ErasedUser{erased_name(user), at_ms}));
    EXPECT_EQ(stats().messages, of_bob.messages);
    EXPECT_THAT(run_task(store().list_conversations(user, 10, {})).conversations, IsEmpty());
    EXPECT_EQ(run_task(store().list_conversations(bob_, 10, {})).conversations, kept);
    // What made something makes another thing now.
    auto again = make(user, "first");
    EXPECT_FALSE(again.replayed);
    run_task(store().delete_conversation(user, again.conversation.id, {}));
    settle();
  }
  EXPECT_TRUE(make(bob_, "first").replayed);
}

}  // namespace
}  // namespace colloquy::store
