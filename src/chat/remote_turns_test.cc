// Turns that another server runs: followed, stopped and taken up again through this one.
#include "chat/remote_turns.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <deque>
#include <string>
#include <vector>

#include "base/signal.h"
#include "chat/turns.h"
#include "store/testing/model_store.h"

namespace colloquy::chat {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;

const UserId kAlice("alice");

// Whose running answers are all another server's.
class SharedStore final : public store::ModelStore {
 public:
  using ModelStore::ModelStore;
  Task<std::optional<std::string>> find_owner(UserId /*user*/, ConversationId /*id*/,
                                              MessageId /*reply*/) override {
    co_return "other";
  }
};

class SilentProvider final : public llm::Provider {
 public:
  const std::vector<std::string>& models() const override { return models_; }
  Task<llm::CompletionResult> complete(llm::CompletionRequest /*request*/,
                                       const llm::TextSink& /*sink*/,
                                       llm::Cancellation& /*cancellation*/) override {
    throw unavailable("It is not this server's turn.");
    co_return llm::CompletionResult{};
  }

 private:
  std::vector<std::string> models_{"silent"};
};

// What comes over one connection: its pieces, and then the end or, without one, a break.
struct Script {
  PeerState state = PeerState::kRunning;
  std::string so_far;
  std::deque<std::string> pieces;
  std::optional<PeerEnd> end;
  std::function<void()> before_end;
  bool waits = false;  // for close()
};

class ScriptedAnswer final : public PeerAnswer {
 public:
  explicit ScriptedAnswer(Script script) : script_(std::move(script)) {}
  const std::string& so_far() const override { return script_.so_far; }
  Task<std::optional<std::string>> next() override {
    if (!script_.pieces.empty()) {
      auto piece = std::move(script_.pieces.front());
      script_.pieces.pop_front();
      co_return piece;
    }
    while (script_.waits && !closed_) co_await go_.wait(go_.ticket(), milliseconds(5));
    if (script_.before_end) script_.before_end();
    if (script_.end) co_return std::nullopt;
    throw unavailable("broken");
  }
  const PeerEnd& end() const override { return *script_.end; }
  void close() override {
    closed_ = true;
    go_.notify_all();
  }

 private:
  Script script_;
  bool closed_ = false;
  Signal go_;
};

class ScriptedPeers final : public Peers {
 public:
  Task<Opened> follow(std::string /*owner*/, AnswerName /*name*/) override {
    ++follows;
    if (scripts.empty()) co_return Opened();
    auto script = std::move(scripts.front());
    scripts.pop_front();
    Opened opened;
    opened.state = script.state;
    if (script.state == PeerState::kRunning) {
      opened.answer = std::make_shared<ScriptedAnswer>(std::move(script));
    }
    co_return opened;
  }
  Task<Stopped> cancel(std::string /*owner*/, AnswerName /*name*/) override {
    if (on_cancel) on_cancel();
    co_return stopped;
  }
  std::deque<Script> scripts;
  int follows = 0;
  std::function<void()> on_cancel;
  Stopped stopped;
};

class RemoteTurnsTest : public ::testing::Test {
 protected:
  template <class T>
  T run(Task<T> task) {
    auto result = asio::co_spawn(loop, std::move(task), asio::use_future);
    loop.restart();
    while (result.wait_for(milliseconds(0)) != std::future_status::ready) loop.run_one();
    return result.get();
  }
  void SetUp() override {
    store::NewTurn turn;
    turn.new_conversation.emplace();
    turn.prompt.content = "prompt";
    turn.model = "silent";
    turn.lease_until_s = clock.now_s() + 600;
    started = run(store.start_turn(kAlice, turn, key));
  }
  void save(std::string content, store::MessageStatus status = store::MessageStatus::kComplete) {
    auto reply = started.reply;
    reply.content = std::move(content);
    reply.status = status;
    auto saved = asio::co_spawn(saving, store.finish_turn(kAlice, started.conversation.id, reply),
                                asio::use_future);
    saving.restart();
    saving.run();
    saved.get();
  }
  Turn follow() { return run(turns.follow(kAlice, started.conversation.id, started.reply.id, {})); }
  GenerationOutcome end_of(const Turn& turn) { return run(turn.generation->outcome()); }

  asio::io_context loop;
  asio::io_context saving;
  ManualClock clock{1'700'000'000'000};
  SeededIdSource ids{1};
  SharedStore store{clock, ids};
  SilentProvider provider;
  telemetry::Metrics metrics;
  ScriptedPeers peers;
  Turns turns{store, provider, clock, metrics, ChatOptions(), {}, &peers};
  store::IdempotencyKey key{"key", {}, clock.now_s() + 3600};
  store::StartedTurn started;
};

TEST_F(RemoteTurnsTest, AnAnswerElsewhereIsFollowedToItsSavedEnd) {
  peers.scripts.push_back(
      {PeerState::kRunning, "so ", {"", "far"}, PeerEnd(), [this] { save("so far"); }});
  auto turn = follow();
  EXPECT_TRUE(turn.elsewhere);
  EXPECT_EQ(turn.prompt->content, "prompt");
  auto outcome = end_of(turn);
  EXPECT_TRUE(outcome.durable);
  EXPECT_FALSE(outcome.error);
  EXPECT_EQ(outcome.reply.status, store::MessageStatus::kComplete);
  EXPECT_EQ(turn.generation->text(), "so far");
}

TEST_F(RemoteTurnsTest, ManyFollowersShareOneConnection) {
  peers.scripts.push_back({PeerState::kRunning, "x", {}, PeerEnd(), [this] { save("x"); }, true});
  std::vector<Turn> followers;
  for (int i = 0; i < 10; ++i) followers.push_back(follow());
  for (const auto& one : followers) EXPECT_EQ(one.generation, followers[0].generation);
  EXPECT_EQ(peers.follows, 1);
  run(turns.drain(milliseconds(0)));
  end_of(followers[0]);
}

TEST_F(RemoteTurnsTest, ABrokenConnectionIsTakenUpAgain) {
  peers.scripts.push_back({PeerState::kRunning, "ab", {"c"}, {}, {}});
  peers.scripts.push_back(
      {PeerState::kRunning, "abcde", {"f"}, PeerEnd(), [this] { save("abcdef"); }});
  auto turn = follow();
  EXPECT_FALSE(end_of(turn).error);
  EXPECT_EQ(turn.generation->text(), "abcdef");
}

TEST_F(RemoteTurnsTest, WhatWasSavedBeforeTheServerWentIsTheRest) {
  peers.scripts.push_back({PeerState::kRunning, "ab", {"c"}, {}, [this] { save("abcdef"); }});
  auto turn = follow();
  auto outcome = end_of(turn);
  EXPECT_FALSE(outcome.error);
  EXPECT_EQ(outcome.reply.content, "abcdef");
  EXPECT_EQ(turn.generation->text(), "abcdef");
}

TEST_F(RemoteTurnsTest, AServerThatIsGoneLeavesAnInterruptedAnswer) {
  peers.scripts.push_back({PeerState::kGone, {}, {}, {}, {}});
  auto turn = follow();
  EXPECT_EQ(turn.reply.status, store::MessageStatus::kInterrupted);
  EXPECT_FALSE(turn.generation);

  peers.scripts.push_back({PeerState::kRunning, "ab", {}, {}, {}});
  peers.scripts.push_back({PeerState::kGone, {}, {}, {}, {}});
  turn = follow();
  auto outcome = end_of(turn);
  EXPECT_TRUE(outcome.error);
  EXPECT_EQ(outcome.reply.status, store::MessageStatus::kInterrupted);
}

TEST_F(RemoteTurnsTest, AServerThatCannotBeReachedLeavesWhatIsSavedAndMayGoOn) {
  auto reply = started.reply;
  reply.content = "saved so far";
  run(store.save_partial(kAlice, started.conversation.id, reply));
  auto turn = follow();
  EXPECT_EQ(turn.reply.status, store::MessageStatus::kRunning);
  EXPECT_EQ(turn.generation->text(), "saved so far");
  auto outcome = end_of(turn);
  EXPECT_TRUE(outcome.may_go_on);
  EXPECT_FALSE(outcome.durable);
  EXPECT_EQ(outcome.error->code(), ErrorCode::kUnavailable);
  EXPECT_THROW(run(turns.cancel(kAlice, started.conversation.id, started.reply.id, {})), Error);
}

TEST_F(RemoteTurnsTest, AnAnswerThatHasJustEndedElsewhereIsReadAgain) {
  peers.scripts.push_back({PeerState::kNotRunning, {}, {}, {}, {}});
  peers.scripts.push_back({PeerState::kRunning, "x", {}, PeerEnd(), [this] { save("x"); }});
  auto turn = follow();
  EXPECT_EQ(end_of(turn).reply.content, "x");
}

TEST_F(RemoteTurnsTest, CancellingElsewhereGivesWhatIsSaved) {
  peers.on_cancel = [this] { save("said", store::MessageStatus::kCancelled); };
  peers.stopped.state = PeerState::kRunning;
  auto reply = run(turns.cancel(kAlice, started.conversation.id, started.reply.id, {}));
  EXPECT_EQ(reply.status, store::MessageStatus::kCancelled);
  EXPECT_EQ(reply.content, "said");
}

TEST_F(RemoteTurnsTest, ACancelThatCouldNotBeSavedIsAnError) {
  peers.stopped.state = PeerState::kRunning;
  peers.stopped.end.durable = false;
  peers.stopped.end.error = unavailable("The disk is full.");
  EXPECT_THROW(run(turns.cancel(kAlice, started.conversation.id, started.reply.id, {})), Error);
}

TEST_F(RemoteTurnsTest, ARepeatAttachesToTheTurnElsewhere) {
  peers.scripts.push_back({PeerState::kRunning, "x", {}, PeerEnd(), [this] { save("x"); }});
  auto turn = run(turns.join(kAlice, std::nullopt, key, {}));
  ASSERT_TRUE(turn);
  EXPECT_EQ(end_of(*turn).reply.content, "x");
}

}  // namespace
}  // namespace colloquy::chat
