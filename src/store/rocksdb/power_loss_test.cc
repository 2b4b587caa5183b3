// Power is lost at random points under concurrent load: every acknowledged write is there
// afterwards.
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <random>
#include <thread>

#include "base/error.h"
#include "store/rocksdb/faulty_harness.h"

namespace colloquy::store {
namespace {

constexpr int kClients = 4;

// What one client was told, and may therefore rely on.
struct Client {
  Conversation conversation;
  std::map<MessageId, Message> acknowledged;
};

// Appends, and runs a turn now and then, until the store fails.
void write_until_failure(FaultyHarness& harness, Client& client, unsigned seed,
                         std::atomic<int>& acknowledged) {
  std::mt19937 random(seed);
  const auto& user = client.conversation.user_id;
  const auto& id = client.conversation.id;
  try {
    for (;;) {
      if (random() % 4 != 0) {
        auto made = harness.append(client.conversation, std::string(random() % 2000, 'm'));
        client.acknowledged[made.id] = made;
      } else {
        NewTurn turn;
        turn.conversation_id = id;
        turn.prompt.content = "prompt";
        auto started = run_task(harness.store().start_turn(user, turn, std::nullopt));
        client.acknowledged[started.prompt.id] = started.prompt;
        auto reply = started.reply;
        reply.status = MessageStatus::kComplete;
        reply.content = "answer";
        run_task(harness.store().finish_turn(user, id, reply));
        client.acknowledged[reply.id] = reply;
      }
      ++acknowledged;
    }
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnavailable) << error.detail();
  }
}

void expect_all_there(FaultyHarness& harness, const Client& client) {
  auto stored = harness.messages(client.conversation);
  std::map<MessageId, Message> by_id;
  for (auto& message : stored) by_id[message.id] = message;
  for (const auto& [id, message] : client.acknowledged) {
    ASSERT_TRUE(by_id.contains(id)) << "an acknowledged message is gone";
    EXPECT_EQ(by_id[id].content, message.content);
    EXPECT_EQ(by_id[id].status, message.status);
  }
  auto conversation = run_task(
      harness.store().get_conversation(client.conversation.user_id, client.conversation.id));
  ASSERT_TRUE(conversation);
  EXPECT_EQ(conversation->message_count, stored.size());
}

void lose_power_again_and_again(bool torn, int rounds) {
  FaultyHarness harness;
  std::mt19937 random(torn ? 11 : 12);
  std::vector<Client> clients(kClients);
  harness.open();
  for (auto& client : clients) client.conversation = harness.create(UserId("alice"), "title");
  for (int round = 0; round < rounds; ++round) {
    std::atomic<int> acknowledged{0};
    std::vector<std::thread> threads;
    for (auto& client : clients) {
      auto seed = static_cast<unsigned>(random());
      threads.emplace_back([&harness, &client, seed, &acknowledged] {
        write_until_failure(harness, client, seed, acknowledged);
      });
    }
    harness.files().fail(FaultyFileSystem::Fault::kIoError, 1 + random() % 400);
    for (auto& thread : threads) thread.join();
    harness.close();
    harness.files().lose_power(torn ? &random : nullptr);
    try {
      harness.open();
    } catch (const Error& error) {
      FAIL() << "round " << round << ": " << error.detail();
    }
    std::size_t messages = 0;
    for (auto& client : clients) {
      expect_all_there(harness, client);
      messages += harness.messages(client.conversation).size();
    }
    EXPECT_EQ(harness.store().stats().messages, messages);
    if (testing::Test::HasFailure()) FAIL() << "round " << round;
  }
}

TEST(PowerLoss, EveryAcknowledgedWriteIsThereWhenWhatWasNotSyncedIsGone) {
  lose_power_again_and_again(false, 15);
}

TEST(PowerLoss, EveryAcknowledgedWriteIsThereWhenWhatWasNotSyncedIsTorn) {
  lose_power_again_and_again(true, 15);
}

}  // namespace
}  // namespace colloquy::store
