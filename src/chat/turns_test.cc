#include "chat/turns.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "chat/chat_harness.h"

namespace colloquy::chat {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using ::testing::ElementsAre;

// A store whose answers cannot be saved for a while, as on a full disk, and one that a start of a
// turn waits for and then fails.
class FullStore final : public store::ModelStore {
 public:
  using ModelStore::ModelStore;
  Task<store::FinishedTurn> finish_turn(UserId user, ConversationId id,
                                        store::Message reply) override {
    if (full) throw unavailable("The disk is full.");
    return ModelStore::finish_turn(std::move(user), id, std::move(reply));
  }
  Task<store::StartedTurn> start_turn(UserId user, store::NewTurn turn,
                                      std::optional<store::IdempotencyKey> key) override {
    if (holds_start) {
      co_await release_start.wait(release_start.ticket(), milliseconds(30'000));
      throw unavailable("The disk is full.");
    }
    co_return co_await ModelStore::start_turn(std::move(user), std::move(turn), std::move(key));
  }
  bool full = false;
  bool holds_start = false;
  Signal release_start;
};

// A model that waits for the test at each step.
class ScriptedProvider final : public llm::Provider {
 public:
  const std::vector<std::string>& models() const override { return models_; }
  Task<llm::CompletionResult> complete(llm::CompletionRequest request, const llm::TextSink& sink,
                                       llm::Cancellation& cancellation) override {
    ++calls;
    seen = std::move(request);
    for (const auto& piece : pieces) sink(piece);
    if (waits) {
      Signal stopped;
      cancellation.on_request([&stopped] { stopped.notify_all(); });
      auto ticket = go.ticket();
      while (!cancellation.requested() && go.ticket() == ticket) {
        co_await stopped.wait(stopped.ticket(), milliseconds(5));
      }
      cancellation.on_request({});
    }
    if (fails) throw unavailable("The model is out.");
    co_return llm::CompletionResult{llm::StopReason::kStop, 7, 2};
  }

  std::vector<std::string> pieces{"Hel", "lo"};
  bool waits = false;
  bool fails = false;
  int calls = 0;
  llm::CompletionRequest seen;
  Signal go;

 private:
  std::vector<std::string> models_{"scripted", "other"};
};

class TurnsTest : public LoopTest {
 protected:
  void build(const ChatOptions& options = {}) {
    turns = std::make_unique<Turns>(store, provider, clock, metrics, options, charge);
  }

  Turn start(std::string prompt, std::optional<ConversationId> in = {},
             std::optional<store::IdempotencyKey> key = {}) {
    TurnRequest request;
    request.conversation_id = in;
    request.prompt = std::move(prompt);
    return run(turns->start(kAlice, std::move(request), std::move(key)));
  }

  std::vector<store::Message> saved(ConversationId id) {
    return run(store.list_messages(kAlice, id, {})).messages;
  }

  FullStore store{clock, ids};
  ScriptedProvider provider;
  std::unique_ptr<Turns> turns;
};

TEST_F(TurnsTest, ANewConversationIsTitledFromThePromptAndHoldsBothMessages) {
  build();
  auto turn = start("What is AI?");
  auto outcome = run(turn.generation->outcome());
  EXPECT_FALSE(outcome.error);
  EXPECT_EQ(turn.conversation.title, "What is AI?");
  auto messages = saved(turn.conversation.id);
  ASSERT_EQ(messages.size(), 2U);
  EXPECT_EQ(messages[0].content, "What is AI?");
  EXPECT_EQ(messages[1].content, "Hello");
  EXPECT_EQ(messages[1].status, store::MessageStatus::kComplete);
  EXPECT_EQ(messages[1].finish_reason, store::FinishReason::kStop);
  EXPECT_EQ(messages[1].usage, (store::Usage{7, 2}));
  EXPECT_EQ(messages[1].model, "scripted");
  run_all();
  EXPECT_EQ(charged, 9);
  EXPECT_EQ(turns->running(), 0U);
}

TEST_F(TurnsTest, ThePromptAndAPlaceForItsAnswerAreSavedBeforeTheModelIsCalled) {
  build();
  provider.waits = true;
  auto turn = start("Hi");
  auto messages = saved(turn.conversation.id);
  ASSERT_EQ(messages.size(), 2U);
  EXPECT_EQ(messages[0].id, turn.prompt->id);
  EXPECT_EQ(messages[1].status, store::MessageStatus::kRunning);
  provider.go.notify_all();
  run(turn.generation->outcome());
  EXPECT_EQ(saved(turn.conversation.id)[1].status, store::MessageStatus::kComplete);
}

TEST_F(TurnsTest, TheModelIsGivenTheNewestMessagesAndThePrompt) {
  build({.context_messages = 3});
  auto first = start("one");
  run(first.generation->outcome());
  auto id = first.conversation.id;
  run(start("two", id).generation->outcome());
  run(start("three", id).generation->outcome());
  std::vector<std::string> contents;
  for (const auto& message : provider.seen.messages) contents.push_back(message.content);
  EXPECT_THAT(contents, ElementsAre("Hello", "two", "Hello", "three"));
}

TEST_F(TurnsTest, AnswersWithoutATextTakeNoPlaceInTheContext) {
  build({.context_messages = 3});
  auto id = start("one").conversation.id;
  run_all();
  provider.fails = true;
  provider.pieces = {};
  for (const char* prompt : {"two", "three"}) run(start(prompt, id).generation->outcome());
  provider.fails = false;
  run(start("four", id).generation->outcome());
  std::vector<std::string> contents;
  for (const auto& message : provider.seen.messages) contents.push_back(message.content);
  EXPECT_THAT(contents, ElementsAre("Hello", "two", "three", "four"));
}

TEST_F(TurnsTest, AnotherUsersConversationIsNotThereAndTheModelIsNotCalled) {
  build();
  auto turn = start("mine");
  run(turn.generation->outcome());
  TurnRequest request;
  request.conversation_id = turn.conversation.id;
  request.prompt = "yours";
  try {
    run(turns->start(UserId("mallory"), std::move(request), {}));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
  }
  EXPECT_EQ(provider.calls, 1);
  EXPECT_EQ(saved(turn.conversation.id).size(), 2U);
}

TEST_F(TurnsTest, ARepeatJoinsTheRunningTurnAndLaterGetsTheSavedAnswer) {
  build();
  provider.waits = true;
  store::IdempotencyKey key{"k", {}, clock.now_s() + 100};
  auto first = start("Hi", {}, key);
  auto again = start("Hi", {}, key);
  EXPECT_TRUE(again.replayed);
  EXPECT_EQ(again.generation, first.generation);
  provider.go.notify_all();
  run(again.generation->outcome());
  run_all();
  auto late = start("Hi", {}, key);
  EXPECT_FALSE(late.generation);
  EXPECT_EQ(late.reply.content, "Hello");
  EXPECT_EQ(provider.calls, 1);
  EXPECT_EQ(saved(first.conversation.id).size(), 2U);
}

TEST_F(TurnsTest, WhatWasSaidBeforeAFailureIsKept) {
  build();
  provider.fails = true;
  auto turn = start("Hi");
  auto outcome = run(turn.generation->outcome());
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->code(), ErrorCode::kUnavailable);
  auto reply = saved(turn.conversation.id)[1];
  EXPECT_EQ(reply.content, "Hello");
  EXPECT_EQ(reply.status, store::MessageStatus::kFailed);
  EXPECT_EQ(reply.finish_reason, store::FinishReason::kError);
}

TEST_F(TurnsTest, AnAnswerThatTakesTooLongIsCutAndSaved) {
  build({.turn_timeout = milliseconds(20)});
  provider.waits = true;
  auto turn = start("Hi");
  auto outcome = run(turn.generation->outcome());
  EXPECT_TRUE(outcome.error);
  auto reply = saved(turn.conversation.id)[1];
  EXPECT_EQ(reply.content, "Hello");
  EXPECT_EQ(reply.status, store::MessageStatus::kInterrupted);
}

TEST_F(TurnsTest, AnAnswerPastTheSizeOfAMessageEndsAtAWholeCharacter) {
  build({.max_content_bytes = 6});
  provider.pieces = {"abc", "déé"};
  provider.waits = true;
  auto turn = start("Hi");
  auto outcome = run(turn.generation->outcome());
  EXPECT_FALSE(outcome.error);
  EXPECT_EQ(outcome.reply.content, "abcdé");
  EXPECT_EQ(outcome.reply.finish_reason, store::FinishReason::kLength);
}

TEST_F(TurnsTest, NoMoreTurnsThanAllowedRunAtOnce) {
  build({.max_turns = 1});
  provider.waits = true;
  auto turn = start("Hi");
  EXPECT_THROW(start("Hi"), Error);
  provider.go.notify_all();
  run(turn.generation->outcome());
  run_all();
  provider.waits = false;
  EXPECT_NO_THROW(start("Hi"));
}

TEST_F(TurnsTest, ARepeatIsJoinedWhereANewTurnWouldBeOneTooMany) {
  build({.max_turns = 1});
  provider.waits = true;
  store::IdempotencyKey key{"k", {}, clock.now_s() + 100};
  auto first = start("Hi", {}, key);
  auto again = start("Hi", {}, key);
  EXPECT_EQ(again.generation, first.generation);
  EXPECT_EQ(turns->running(), 1U);
  store::IdempotencyKey unknown{"other", {}, clock.now_s() + 100};
  EXPECT_THROW(start("Hi", {}, unknown), Error);
  store::IdempotencyKey reused = key;
  reused.fingerprint.fill(1);
  try {
    start("Hello", {}, reused);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalid);
  }
  provider.go.notify_all();
  run(again.generation->outcome());
  run_all();
  EXPECT_EQ(turns->running(), 0U);
  EXPECT_EQ(provider.calls, 1);
}

TEST_F(TurnsTest, ARepeatThatWaitsForAnotherServerHoldsNoPlace) {
  build();
  provider.waits = true;
  Turns elsewhere(store, provider, clock, metrics, {});
  store::IdempotencyKey key{"k", {}, clock.now_s() + 100};
  TurnRequest request;
  request.prompt = "Hi";
  auto first = run(elsewhere.start(kAlice, request, key));
  std::optional<Turn> again;
  asio::co_spawn(loop, turns->start(kAlice, request, key),
                 [&](std::exception_ptr, Turn turn) { again = std::move(turn); });
  loop.poll();
  EXPECT_FALSE(again);
  EXPECT_EQ(turns->running(), 0U);
  provider.go.notify_all();
  run_all();
  ASSERT_TRUE(again);
  EXPECT_EQ(again->reply.content, "Hello");
  EXPECT_EQ(provider.calls, 1);
}

TEST_F(TurnsTest, DrainingJoinsRepeatsAndRefusesNewTurns) {
  build();
  provider.waits = true;
  store::IdempotencyKey key{"k", {}, clock.now_s() + 100};
  auto first = start("Hi", {}, key);
  asio::co_spawn(loop, turns->drain(milliseconds(10'000)), asio::detached);
  loop.restart();
  loop.poll();
  auto again = start("Hi", {}, key);
  EXPECT_EQ(again.generation, first.generation);
  EXPECT_THROW(start("Hi"), Error);
  provider.go.notify_all();
  run_all();
  auto late = start("Hi", {}, key);
  EXPECT_EQ(late.reply.content, "Hello");
  EXPECT_EQ(provider.calls, 1);
}

TEST_F(TurnsTest, DrainingWaitsNoLongerThanAStartThatFails) {
  build();
  store.holds_start = true;
  TurnRequest request;
  request.prompt = "Hi";
  std::exception_ptr failure;
  asio::co_spawn(loop, turns->start(kAlice, request, {}),
                 [&](std::exception_ptr error, const Turn&) { failure = error; });
  bool drained = false;
  auto began = std::chrono::steady_clock::now();
  asio::co_spawn(loop, turns->drain(milliseconds(60'000)),
                 [&](std::exception_ptr) { drained = true; });
  loop.restart();
  loop.poll();
  EXPECT_FALSE(drained);
  store.release_start.notify_all();
  run_all();
  EXPECT_TRUE(failure);
  EXPECT_TRUE(drained);
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(30));
}

TEST_F(TurnsTest, DrainingEndsWhatRunsKeepsWhatWasSaidAndRefusesMore) {
  build();
  provider.waits = true;
  auto turn = start("Hi");
  asio::co_spawn(loop, turns->drain(milliseconds(20)), asio::detached);
  run_all();
  auto reply = saved(turn.conversation.id)[1];
  EXPECT_EQ(reply.content, "Hello");
  EXPECT_EQ(reply.status, store::MessageStatus::kInterrupted);
  EXPECT_THROW(start("Hi"), Error);
}

TEST_F(TurnsTest, AnAnswerThatCannotBeSavedIsAnErrorAndIsSavedOnceThereIsRoom) {
  build();
  store.full = true;
  auto turn = start("Hi");
  auto outcome = run(turn.generation->outcome());
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->code(), ErrorCode::kUnavailable);
  EXPECT_FALSE(outcome.durable);
  EXPECT_EQ(saved(turn.conversation.id)[1].status, store::MessageStatus::kRunning);
  store.full = false;
  run_all();
  auto reply = saved(turn.conversation.id)[1];
  EXPECT_EQ(reply.status, store::MessageStatus::kComplete);
  EXPECT_EQ(reply.content, "Hello");
}

TEST_F(TurnsTest, AConversationDeletedMeanwhileStaysDeleted) {
  build();
  provider.waits = true;
  auto turn = start("Hi");
  asio::co_spawn(loop, store.delete_conversation(kAlice, turn.conversation.id, {}), asio::detached);
  provider.go.notify_all();
  auto outcome = run(turn.generation->outcome());
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->code(), ErrorCode::kNotFound);
  EXPECT_FALSE(run(store.get_conversation(kAlice, turn.conversation.id)));
}

TEST_F(TurnsTest, AConversationThatWouldExpireMeanwhileGetsItsAnswer) {
  build();
  store::NewConversation fresh;
  fresh.ttl_seconds = 30;
  auto id = run(store.create_conversation(kAlice, fresh, {})).conversation.id;
  provider.waits = true;
  auto turn = start("Hi", id);
  clock.advance_ms(300'000);
  provider.go.notify_all();
  EXPECT_FALSE(run(turn.generation->outcome()).error);
  EXPECT_EQ(saved(id).back().content, "Hello");
  clock.advance_ms(30'000);
  EXPECT_FALSE(run(store.get_conversation(kAlice, id)));
}

TEST_F(TurnsTest, RefusesAnEmptyPromptAndAModelThatIsNotListed) {
  build();
  EXPECT_THROW(start(""), Error);
  TurnRequest request;
  request.prompt = "Hi";
  request.model = "gpt-9";
  EXPECT_THROW(run(turns->start(kAlice, request, {})), Error);
  request.model = "other";
  EXPECT_NO_THROW(run(turns->start(kAlice, request, {})));
}

TEST_F(TurnsTest, WhatIsSaidIsSavedAtIntervalsWhileTheModelSpeaks) {
  ChatOptions options;
  options.partial_save_interval = milliseconds(5);
  build(options);
  provider.waits = true;
  auto turn = start("Hi");
  auto reply = turn.reply;
  while (reply.content != "Hello") {
    reply = *run(store.get_message(kAlice, turn.conversation.id, turn.reply.id));
  }
  EXPECT_EQ(reply.status, store::MessageStatus::kRunning);
  provider.go.notify_all();
  run(turn.generation->outcome());
  EXPECT_EQ(saved(turn.conversation.id)[1].status, store::MessageStatus::kComplete);
  run_all();
}

TEST_F(TurnsTest, ACancelledAnswerKeepsWhatWasSaid) {
  build();
  provider.waits = true;
  auto turn = start("Hi");
  auto reply = run(turns->cancel(kAlice, turn.conversation.id, turn.reply.id, {}));
  EXPECT_EQ(reply.content, "Hello");
  EXPECT_EQ(reply.status, store::MessageStatus::kCancelled);
  EXPECT_EQ(reply.finish_reason, store::FinishReason::kCancelled);
  EXPECT_EQ(saved(turn.conversation.id)[1], reply);
  auto outcome = run(turn.generation->outcome());
  EXPECT_FALSE(outcome.error);
  EXPECT_EQ(run(turns->cancel(kAlice, turn.conversation.id, turn.reply.id, {})), reply);
}

TEST_F(TurnsTest, AFollowerOfAnEndedAnswerGetsItsPromptToo) {
  build();
  auto turn = start("Hi");
  run(turn.generation->outcome());
  run_all();
  auto followed = run(turns->follow(kAlice, turn.conversation.id, turn.reply.id, {}));
  EXPECT_FALSE(followed.generation);
  EXPECT_EQ(followed.prompt->content, "Hi");
  EXPECT_EQ(followed.reply.content, "Hello");
  EXPECT_THROW(run(turns->follow(kAlice, turn.conversation.id, turn.prompt->id, {})), Error);
  EXPECT_THROW(run(turns->follow(UserId("bob"), turn.conversation.id, turn.reply.id, {})), Error);
}

}  // namespace
}  // namespace colloquy::chat
