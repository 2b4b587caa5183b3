// Writes that begin a branch, cut at each of their calls, and sent again with their key.
#include <gmock/gmock.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "base/testing/next_call.h"
#include "store/dynamodb/dynamodb_harness.h"
#include "store/dynamodb/faulty_service_harness.h"

namespace colloquy::store {
namespace {

using dynamodb::FaultyService;

// A conversation "a", "b", "c", and what is made after the prompt "a".
struct State {
  Conversation conversation;
  Message prompt;
  IdempotencyKey key;
  std::int64_t lease_until_s = 0;
};

// What a write has made, to be compared with what its repeat says.
struct Made {
  std::vector<MessageId> ids;
  std::optional<StartedTurn> turn;
};

struct Write {
  std::string name;
  std::function<Task<Made>(Store&, State)> act;
  bool is_turn = false;
  std::size_t messages = 0;
};

Task<Made> append_elsewhere(Store& store, State state) {
  NewMessage message;
  message.content = "B";
  message.place = TreePlace{state.prompt.branch, state.prompt.id};
  auto appended =
      co_await store.append_message(UserId("alice"), state.conversation.id, message, state.key);
  Made made;
  made.ids.push_back(appended.message.id);
  co_return made;
}

NewTurn turn_of(const State& state) {
  NewTurn turn;
  turn.conversation_id = state.conversation.id;
  turn.lease_until_s = state.lease_until_s;
  turn.prompt.content = "B";
  return turn;
}

Task<Made> start(Store& store, State state, NewTurn turn) {
  auto started = co_await store.start_turn(UserId("alice"), std::move(turn), state.key);
  Made made;
  made.ids.push_back(started.prompt.id);
  made.ids.push_back(started.reply.id);
  made.turn = std::move(started);
  co_return made;
}

Task<Made> turn_elsewhere(Store& store, State state) {
  auto turn = turn_of(state);
  turn.prompt.place = TreePlace{state.prompt.branch, state.prompt.id};
  return start(store, std::move(state), std::move(turn));
}

Task<Made> answer_again(Store& store, State state) {
  auto turn = turn_of(state);
  turn.answered = state.prompt;
  return start(store, std::move(state), std::move(turn));
}

const std::vector<Write>& writes() {
  static const std::vector<Write> all{{"append", append_elsewhere, false, 1},
                                      {"turn", turn_elsewhere, true, 2},
                                      {"another answer", answer_again, true, 1}};
  return all;
}

class BranchFaults : public testing::Test {
 protected:
  State prepare() {
    State state;
    state.conversation = run_task(healthy_->create_conversation(alice_, {}, {})).conversation;
    state.prompt = append(state, "a");
    append(state, "b");
    append(state, "c");
    state.key.key = "key " + std::to_string(++keys_);
    state.key.expires_at_s = harness_.clock().now_s() + 86'400;
    state.lease_until_s = harness_.clock().now_s() + 600;
    return state;
  }
  Message append(const State& state, const std::string& content) {
    NewMessage message;
    message.content = content;
    return run_task(healthy_->append_message(alice_, state.conversation.id, message, {})).message;
  }
  std::unique_ptr<dynamodb::Client> through_faults(int attempts) {
    return harness_.connect(service_.url(),
                            {.attempts = attempts, .base = std::chrono::milliseconds(1)});
  }
  std::size_t count_calls(const Write& write) {
    auto client = through_faults(8);
    auto store = harness_.open_dynamodb(*client);
    auto state = prepare();
    service_.heal();
    run_task(write.act(*store, state));
    return service_.calls();
  }
  // What was made is there once, whole, and on a branch of its own.
  void check(const State& state, const Write& write, const Made& made) {
    auto conversation = *run_task(healthy_->get_conversation(alice_, state.conversation.id));
    ASSERT_EQ(conversation.tree.branches.size(), 1U);
    EXPECT_EQ(conversation.tree.active, 1U);
    MessageRange all;
    all.all_branches = true;
    auto messages = run_task(healthy_->list_messages(alice_, conversation.id, all)).messages;
    ASSERT_EQ(messages.size(), 3 + write.messages);
    for (std::size_t i = 3; i < messages.size(); ++i) {
      EXPECT_EQ(messages[i].branch, 1U);
      EXPECT_NE(messages[i].status, MessageStatus::kRunning);
      EXPECT_EQ(messages[i].parent, i == 3 ? state.prompt.id : messages[i - 1].id);
      bool told = std::find(made.ids.begin(), made.ids.end(), messages[i].id) != made.ids.end();
      EXPECT_TRUE(told);
    }
    auto active = run_task(healthy_->list_messages(alice_, conversation.id, {})).messages;
    EXPECT_EQ(active.size(), 1 + write.messages);
  }
  // By the server that made it, or past the lease of one that is gone.
  void end_turn(const State& state, const Made& made) {
    if (!made.turn) return;
    if (made.turn->replayed) {
      harness_.clock().advance_ms(601'000);
      return;
    }
    auto reply = made.turn->reply;
    reply.content = "C";
    reply.status = MessageStatus::kComplete;
    run_task(healthy_->finish_turn(alice_, state.conversation.id, reply));
  }

  DynamoDbHarness harness_;
  FaultyService service_{harness_.client().endpoint()};
  std::unique_ptr<DynamoDbStore> healthy_ = harness_.open_dynamodb();
  const UserId alice_{"alice"};
  int keys_ = 0;
};

TEST_F(BranchFaults, OneCallFailsAndNobodyNotices) {
  for (const auto& write : writes()) {
    auto calls = count_calls(write);
    auto client = through_faults(8);
    for (auto fault : {FaultyService::Fault::kNotDone, FaultyService::Fault::kAnswerLost}) {
      for (std::size_t nth = 1; nth <= calls; nth = next_call(nth)) {
        SCOPED_TRACE(write.name + ", call " + std::to_string(nth));
        auto state = prepare();
        auto store = harness_.open_dynamodb(*client);
        service_.spoil(nth, fault, FaultyService::Lasting::kOnce);
        auto made = run_task(write.act(*store, state));
        service_.heal();
        if (made.turn) {
          EXPECT_FALSE(made.turn->replayed);
          auto reply = made.turn->reply;
          reply.status = MessageStatus::kComplete;
          run_task(store->finish_turn(alice_, state.conversation.id, reply));
        }
        check(state, write, made);
      }
    }
  }
}

TEST_F(BranchFaults, CutAtACallAndSentAgainItIsThereOnce) {
  for (const auto& write : writes()) {
    auto calls = count_calls(write);
    EXPECT_GE(calls, 5U);
    for (auto fault : {FaultyService::Fault::kNotDone, FaultyService::Fault::kAnswerLost}) {
      for (std::size_t nth = 1; nth <= calls; nth = next_call(nth)) {
        SCOPED_TRACE(write.name + ", call " + std::to_string(nth));
        auto state = prepare();
        {
          auto client = through_faults(2);
          auto dying = harness_.open_dynamodb(*client);
          service_.spoil(nth, fault, FaultyService::Lasting::kAndAllAfterIt);
          EXPECT_EQ(error_of(write.act(*dying, state)), ErrorCode::kUnavailable);
          service_.heal();
        }
        auto made = run_task(write.act(*healthy_, state));
        end_turn(state, made);
        check(state, write, made);
        EXPECT_EQ(run_task(write.act(*healthy_, state)).ids, made.ids);
        check(state, write, made);
      }
    }
  }
}

}  // namespace
}  // namespace colloquy::store
