// Conversations that are taken while other servers do so too, or remove what they find.
#include <gmock/gmock.h>

#include "base/error.h"
#include "base/testing/next_call.h"
#include "store/dynamodb/dynamodb_harness.h"
#include "store/dynamodb/faulty_service_harness.h"

namespace colloquy::store {
namespace {

using dynamodb::FaultyService;

constexpr std::size_t kMessages = 60;  // three batches

class TakerTest : public testing::Test {
 protected:
  TakerTest() {
    conversation_.user_id = alice_;
    conversation_.id = ConversationId(Uuid::make_v7(1'600'000'000'000, 7, 7));
    conversation_.title = "taken";
    conversation_.created_at_s = 1'600'000'000;
    conversation_.updated_at_s = 1'600'000'000;
    conversation_.version = 1;
    auto id = MessageId(Uuid::make_v7(1'600'000'000'000, 8, 8));
    for (std::size_t i = 0; i < kMessages; ++i) {
      Message message;
      message.id = id;
      message.content = "message " + std::to_string(i);
      message.timestamp_s = 1'600'000'000;
      messages_.push_back(message);
      id = id.successor();
    }
    client_ = harness_.connect(service_.url());
    disturbed_ = harness_.open_dynamodb(*client_);
    service_.heal();
  }

  std::size_t kept() {
    MessageRange range;
    range.limit = limits::kPageMax;
    return run_task(store_->list_messages(alice_, conversation_.id, range)).messages.size();
  }
  std::size_t records() {
    std::size_t count = 0;
    for (const auto& row : run_task(harness_.rows(harness_.options().tables.messages))) {
      auto hash = dynamodb::AttributeReader(row).string("conversation_id");
      if (hash && hash->starts_with("purge#")) ++count;
    }
    return count;
  }
  // What the service does for `take`, with `act` before its `nth` call; false when there were
  // fewer.
  bool take_disturbed(std::size_t nth, const std::function<void()>& act, bool& taken) {
    bool disturbed = false;
    service_.interrupt(nth, [&] {
      disturbed = true;
      act();
    });
    taken = run_task(disturbed_->take(conversation_, messages_));
    return disturbed;
  }
  // Whether a reader finds it, which is whole then.
  bool is_there() {
    if (!run_task(store_->get_conversation(alice_, conversation_.id))) return false;
    EXPECT_EQ(kept(), kMessages);
    return true;
  }
  void remove_it() {
    run_task(store_->delete_conversation(alice_, conversation_.id, {}));
    harness_.clock().advance_ms(3'600'000);
    run_task(store_->settle_now());
  }

  const UserId alice_{"alice"};
  DynamoDbHarness harness_;
  FaultyService service_{std::getenv("COLLOQUY_TEST_DYNAMODB")};  // NOLINT(concurrency-mt-unsafe)
  std::unique_ptr<dynamodb::Client> client_;
  std::unique_ptr<DynamoDbStore> store_ = harness_.open_dynamodb();
  std::unique_ptr<DynamoDbStore> disturbed_;
  Conversation conversation_;
  std::vector<Message> messages_;
};

TEST_F(TakerTest, OneWhoseUserIsErasedMeanwhileIsWholeOrNotThere) {
  const std::function<void()> erase = [this] {
    run_task(store_->begin_erasure(alice_));
    auto erasure = run_task(store_->unfinished_erasures()).front();
    auto left = Erasures::Left::kMore;
    while (left == Erasures::Left::kMore) left = run_task(store_->erase_some(erasure));
    ASSERT_EQ(left, Erasures::Left::kNothing);
    run_task(store_->end_erasure(erasure, run_task(store_->seal_erasure(erasure))));
  };
  bool disturbed = true;
  for (std::size_t nth = 1; disturbed; ++nth) {
    bool taken = false;
    try {
      disturbed = take_disturbed(nth, erase, taken);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kConflict) << error.detail();
    }
    auto there = run_task(store_->get_conversation(alice_, conversation_.id));
    EXPECT_EQ(there.has_value(), taken) << nth;
    EXPECT_EQ(there ? kept() : kMessages, kMessages) << nth;
    if (there) run_task(store_->delete_conversation(alice_, conversation_.id, {}));
    harness_.clock().advance_ms(3'600'000);
    run_task(store_->settle_now());
    EXPECT_EQ(records(), 0U) << nth;
  }
}

TEST_F(TakerTest, OneThatAnotherServerHasTakenMeanwhileKeepsItsMessages) {
  // Before its first call that is the whole of the other's taking; after its claim the other waits.
  for (std::size_t call = 1; call <= 2; ++call) {
    bool taken = true;
    bool other = false;
    ASSERT_TRUE(take_disturbed(
        call, [&] { other = run_task(store_->take(conversation_, messages_)); }, taken));
    EXPECT_TRUE(other) << "call " << call;
    EXPECT_FALSE(taken) << "call " << call;
    EXPECT_EQ(kept(), kMessages) << "call " << call;
    EXPECT_EQ(records(), 0U) << "call " << call;
    remove_it();
  }
}

TEST_F(TakerTest, OneThatWasTooSlowIsWholeAllTheSame) {
  bool more = true;
  std::size_t call = 1;
  for (; more; call = next_call(call)) {
    bool taken = false;
    auto purge = [&] {
      harness_.clock().advance_ms(200'000);
      run_task(store_->settle_now());
    };
    try {
      more = take_disturbed(call, purge, taken);
    } catch (const Error& error) {
      // Its record has become a deletion's.
      ASSERT_EQ(error.code(), ErrorCode::kConflict) << "call " << call;
      ASSERT_FALSE(run_task(store_->get_conversation(alice_, conversation_.id)));
      harness_.clock().advance_ms(3'600'000);
      run_task(store_->settle_now());
      ASSERT_TRUE(run_task(store_->take(conversation_, messages_)));
      taken = true;
    }
    ASSERT_TRUE(taken) << "call " << call;
    ASSERT_EQ(kept(), kMessages) << "call " << call;
    remove_it();
    ASSERT_EQ(records(), 0U) << "call " << call;
  }
  EXPECT_GT(call, 7U);
}

TEST_F(TakerTest, OneWhoseServerDiedIsWholeOrNotThereAndIsTakenAgain) {
  auto client = harness_.connect(service_.url(), {.attempts = 1});
  bool died = true;
  std::size_t call = 1;
  for (; died; call = next_call(call)) {
    SCOPED_TRACE(call);
    auto dying = harness_.open_dynamodb(*client);
    service_.spoil(call, FaultyService::Fault::kNotDone, FaultyService::Lasting::kAndAllAfterIt);
    bool taken = false;
    try {
      taken = run_task(dying->take(conversation_, messages_));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnavailable) << error.detail();
    }
    died = service_.calls() >= call;
    dying.reset();
    service_.heal();
    ASSERT_EQ(is_there(), taken);
    // Past its claim: it is taken over as it is, or once what there is of it has been removed.
    harness_.clock().advance_ms(200'000);
    ASSERT_EQ(is_there(), taken);
    for (int i = 0; call % 2 == 0 && i < 2; ++i) {
      run_task(store_->settle_now());
      ASSERT_EQ(is_there(), taken);
      harness_.clock().advance_ms(3'600'000);
    }
    ASSERT_EQ(run_task(store_->take(conversation_, messages_)), !taken);
    ASSERT_TRUE(is_there());
    ASSERT_EQ(records(), 0U);
    remove_it();
    ASSERT_TRUE(run_task(harness_.rows(harness_.options().tables.messages)).empty());
  }
  EXPECT_GT(call, 7U);
}

}  // namespace
}  // namespace colloquy::store
