// What branches cost in DynamoDB, and what becomes of them in its tables.
#include <gmock/gmock.h>

#include <regex>
#include <utility>

#include "store/dynamodb/dynamodb_harness.h"
#include "store/dynamodb/dynamodb_transfer.h"
#include "store/dynamodb/items.h"
#include "store/dynamodb/tree_attributes.h"

namespace colloquy::store {
namespace {

using testing::ElementsAre;

struct Units {
  double read = 0;
  double write = 0;  // of the tables, without their indexes
  bool operator==(const Units&) const = default;
};
void PrintTo(const Units& units, std::ostream* out) {
  *out << units.read << " read, " << units.write << " write";
}

class DynamoDbBranches : public testing::Test {
 protected:
  Conversation create() {
    return run_task(store_->create_conversation(alice_, {}, {})).conversation;
  }
  Message append(const Conversation& conversation, const std::string& content,
                 std::optional<TreePlace> place = {}) {
    NewMessage message;
    message.content = content;
    message.place = place;
    return run_task(store_->append_message(alice_, conversation.id, message, {})).message;
  }
  static TreePlace after(const Message& message) { return {message.branch, message.id}; }
  Conversation get(const Conversation& conversation) {
    return *run_task(store_->get_conversation(alice_, conversation.id));
  }
  Conversation activate(const Conversation& conversation, const Message& message) {
    ConversationPatch patch;
    patch.active = after(message);
    return run_task(store_->update_conversation(alice_, conversation.id, patch, {}));
  }
  std::vector<std::string> contents(const Conversation& conversation, MessageRange range = {}) {
    std::vector<std::string> found;
    auto page = run_task(store_->list_messages(alice_, conversation.id, range));
    for (const auto& message : page.messages) found.push_back(message.content);
    return found;
  }
  // As the server does it: with what was read a moment ago.
  void turn(const Conversation& conversation, std::optional<TreePlace> place,
            std::optional<Message> answered = {}) {
    auto up_to = place;
    if (answered) up_to = after(*answered);
    auto recent = run_task(store_->read_recent(alice_, conversation.id, newest(5), up_to));
    NewTurn turn;
    turn.conversation_id = conversation.id;
    turn.prompt.content = "prompt";
    turn.prompt.place = place;
    turn.answered = std::move(answered);
    turn.lease_until_s = harness_.clock().now_s() + 600;
    turn.seen = recent->conversation;
    turn.newest_seen = recent->newest;
    auto started = run_task(store_->start_turn(alice_, turn, {}));
    auto reply = started.reply;
    reply.content = "answer";
    reply.status = MessageStatus::kComplete;
    run_task(store_->finish_turn(alice_, conversation.id, reply));
  }
  Units units() {
    Units sum;
    std::regex line("colloquy_dynamodb_consumed_units_total\\{([^}]*)\\} ([0-9.]+)");
    auto text = harness_.metrics().render();
    for (std::sregex_iterator at(text.begin(), text.end(), line), end; at != end; ++at) {
      auto labels = (*at)[1].str();
      if (labels.find("index=\"\"") == std::string::npos) continue;
      bool read = labels.find("kind=\"read\"") != std::string::npos;
      (read ? sum.read : sum.write) += std::stod((*at)[2].str());
    }
    return sum;
  }
  template <class Act>
  Units cost(Act act) {
    auto before = units();
    act();
    auto after = units();
    return {after.read - before.read, after.write - before.write};
  }

  DynamoDbHarness harness_;
  std::unique_ptr<DynamoDbStore> store_ = harness_.open_dynamodb();
  const UserId alice_{"alice"};
};

TEST_F(DynamoDbBranches, ATurnThatBeginsABranchCostsOneWriteAndTwoReadsMore) {
  auto conversation = create();
  std::vector<Message> made;
  for (int i = 0; i < 20; ++i) made.push_back(append(conversation, std::to_string(i)));
  EXPECT_EQ(cost([&] { turn(conversation, {}); }), (Units{2, 3}));
  EXPECT_EQ(cost([&] { turn(conversation, after(made[10])); }), (Units{4, 4}));
  // One more for as long as the context reaches back over the fork.
  EXPECT_EQ(cost([&] { turn(conversation, {}); }), (Units{3, 3}));
  EXPECT_EQ(cost([&] { turn(conversation, {}); }), (Units{3, 3}));
  EXPECT_EQ(cost([&] { turn(conversation, {}); }), (Units{2, 3}));
  EXPECT_EQ(cost([&] { turn(conversation, {}, made[12]); }), (Units{3, 4}));
}

TEST_F(DynamoDbBranches, GoingOnAtTheVeryEndBeginsNone) {
  auto conversation = create();
  append(conversation, "a");
  auto last = append(conversation, "b");
  EXPECT_EQ(cost([&] { turn(conversation, after(last)); }).write, 3);
  EXPECT_TRUE(get(conversation).tree.plain());
}

TEST_F(DynamoDbBranches, ReadingTheActiveWayCostsAQueryForEachPieceOfItThatIsShown) {
  auto conversation = create();
  auto first = append(conversation, "a");
  auto read = [&](std::size_t limit) {
    MessageRange range;
    range.limit = limit;
    return cost([&] { contents(conversation, range); });
  };
  for (int i = 0; i < 30; ++i) append(conversation, "b");
  EXPECT_EQ(read(3), (Units{2, 0}));
  append(conversation, "c", after(first));
  for (int i = 0; i < 5; ++i) append(conversation, "d");
  EXPECT_EQ(read(3), (Units{2, 0}));
  EXPECT_EQ(read(10), (Units{3, 0}));
  EXPECT_THAT(contents(conversation), ElementsAre("a", "c", "d", "d", "d", "d", "d"));
}

TEST_F(DynamoDbBranches, AForkAtAPromptDoesNotShowItsAnswerThatRuns) {
  auto conversation = create();
  NewTurn turn;
  turn.conversation_id = conversation.id;
  turn.prompt.content = "prompt";
  turn.lease_until_s = harness_.clock().now_s() + 600;
  auto started = run_task(store_->start_turn(alice_, turn, {}));
  append(conversation, "other", after(started.prompt));
  EXPECT_THAT(contents(conversation), ElementsAre("prompt", "other"));
  MessageRange forward;
  forward.after = MessageId();
  EXPECT_THAT(contents(conversation, forward), ElementsAre("prompt", "other"));
  forward.after = started.prompt.id;
  EXPECT_THAT(contents(conversation, forward), ElementsAre("other"));
  forward.all_branches = true;
  EXPECT_THAT(contents(conversation, forward), ElementsAre("", "other"));
  auto recent =
      run_task(store_->read_recent(alice_, conversation.id, newest(5), after(started.prompt)));
  EXPECT_EQ(recent->tip, started.prompt.id);
  activate(conversation, started.reply);
  EXPECT_THAT(contents(conversation), ElementsAre("prompt", ""));
}

TEST_F(DynamoDbBranches, AMoveCarriesThemAll) {
  auto conversation = create();
  auto first = append(conversation, "a");
  auto second = append(conversation, "b");
  auto other = append(conversation, "B", after(first));
  ConversationPatch patch;
  patch.summary.emplace(ContextSummary{"summary", other.id, other.branch});
  run_task(store_->update_conversation(alice_, conversation.id, patch, {}));
  activate(conversation, second);
  auto whole = get(conversation);
  ASSERT_TRUE(whole.tree.active_up_to);
  ASSERT_EQ(whole.summary->branch, 1U);

  DynamoDbHarness target;
  DynamoDbTransfer from(harness_.client(), harness_.options().tables, harness_.clock());
  DynamoDbTransfer to(target.client(), target.options().tables, target.clock());
  auto page = run_task(from.conversations(""));
  ASSERT_EQ(page.conversations.size(), 1U);
  auto& moved = page.conversations.front();
  auto messages = run_task(from.messages(moved, "")).messages;
  run_task(to.put_messages(moved.conversation, messages));
  run_task(to.put_conversation(moved.conversation, other.id));

  auto copy = target.open_dynamodb();
  EXPECT_EQ(run_task(copy->get_conversation(alice_, conversation.id)), whole);
  MessageRange all;
  all.all_branches = true;
  EXPECT_EQ(run_task(copy->list_messages(alice_, conversation.id, all)).messages,
            run_task(store_->list_messages(alice_, conversation.id, all)).messages);
}

TEST_F(DynamoDbBranches, ARepeatThatOthersHaveOvertakenIsWrittenWhereItsFirstAttemptWouldHave) {
  auto conversation = create();
  auto first = append(conversation, "a");
  append(conversation, "b");
  // Of an attempt that got no further than its key's record.
  dynamodb::Rows rows(harness_.client(), harness_.options().tables);
  IdempotencyKey key;
  key.key = "key";
  key.expires_at_s = harness_.clock().now_s() + 3600;
  dynamodb::KeyedItem record;
  record.hash_key = dynamodb::keyed_hash_key(alice_, key.key);
  record.kind = dynamodb::KeyedKind::kMessage;
  record.expires_at_s = key.expires_at_s;
  record.made_at_s = harness_.clock().now_s();
  record.conversation_id = conversation.id;
  harness_.clock().advance_ms(10);
  record.message_id = MessageId(Uuid::make_v7(harness_.clock().now_ms(), 0, 0));
  ASSERT_FALSE(run_task(rows.claim(record, harness_.clock().now_s())));
  harness_.clock().advance_ms(10);
  append(conversation, "B", after(first));

  NewMessage message;
  message.content = "c";
  auto repeat = run_task(store_->append_message(alice_, conversation.id, message, key));
  EXPECT_EQ(repeat.message.id, record.message_id);
  EXPECT_EQ(repeat.message.branch, 0U);
  EXPECT_EQ(get(conversation).tree.branches.size(), 1U);
  EXPECT_THAT(contents(conversation), ElementsAre("a", "B"));
  activate(conversation, repeat.message);
  EXPECT_THAT(contents(conversation), ElementsAre("a", "b", "c"));
}

TEST_F(DynamoDbBranches, AnEmptyBranchOfAServerWhoseClockIsAheadTakesWhatComesNext) {
  auto conversation = create();
  auto first = append(conversation, "a");
  append(conversation, "b");
  harness_.clock().advance_ms(60'000);
  auto gone = append(conversation, "B", after(first));
  run_task(store_->delete_message(alice_, conversation.id, gone.id));
  harness_.clock().advance_ms(-60'000);
  append(conversation, "C");
  EXPECT_THAT(contents(conversation), ElementsAre("a", "C"));
}

TEST_F(DynamoDbBranches, AServerThatHasReadAnOlderTreeDecidesAnew) {
  auto conversation = create();
  auto first = append(conversation, "a");
  auto second = append(conversation, "b");
  NewTurn turn;
  turn.conversation_id = conversation.id;
  turn.prompt.content = "C";
  turn.prompt.place = after(first);
  turn.seen = get(conversation);
  turn.newest_seen = second.id;
  turn.lease_until_s = harness_.clock().now_s() + 600;
  append(conversation, "B", after(first));
  auto started = run_task(store_->start_turn(alice_, turn, {}));
  EXPECT_EQ(started.prompt.parent, first.id);
  EXPECT_EQ(get(conversation).tree.branches.size(), 2U);
  EXPECT_THAT(contents(conversation), ElementsAre("a", "C", ""));
}

}  // namespace
}  // namespace colloquy::store
