#include "store/encrypted/encrypted_store.h"

#include <gmock/gmock.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

#include "store/encrypted/encrypted_harness.h"
#include "store/encrypted/sealed_records.h"
#include "store/rocksdb/rocksdb_harness.h"

namespace colloquy::store {
namespace {

namespace fs = std::filesystem;

std::unique_ptr<RocksDbHarness> make_rocksdb() {
  auto harness = std::make_unique<RocksDbHarness>();
  harness->options().sealed_contents = true;
  return harness;
}

INSTANTIATE_TEST_SUITE_P(EncryptedRocksDb, StoreConformance,
                         testing::Values(StoreFactory{
                             "Ample",
                             [] { return std::make_unique<EncryptedHarness>(make_rocksdb()); }}),
                         store_factory_name);

class EncryptedStoreTest : public testing::Test {
 protected:
  EncryptedStoreTest() { open(); }

  void open() {
    store_.reset();
    store_ = harness_.open_encrypted();
  }
  Conversation create(const UserId& user, std::string title = "a secret title") {
    NewConversation fresh;
    fresh.title = std::move(title);
    fresh.system_prompt = "a secret prompt";
    fresh.metadata = {{"secret name", "secret value"}};
    return run_task(store_->create_conversation(user, fresh, std::nullopt)).conversation;
  }
  Message append(const Conversation& conversation, std::string content = "a secret message") {
    NewMessage message;
    message.content = std::move(content);
    message.metadata = {{"secret of", "a message"}};
    message.client_message_id = "a secret client id";
    message.attachments = {"a secret/path", "another"};
    return run_task(store_->append_message(conversation.user_id, conversation.id, message, {}))
        .message;
  }
  Conversation kept(const Conversation& conversation) {
    return *run_task(harness_.inner().get_conversation(conversation.user_id, conversation.id));
  }
  Message kept(const Conversation& conversation, const MessageId& id) {
    return *run_task(harness_.inner().get_message(conversation.user_id, conversation.id, id));
  }
  // The detail of the error that the task must throw, kInternal.
  template <class T>
  std::string detail_of(Task<T> task) {
    try {
      static_cast<void>(run_task(std::move(task)));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInternal) << error.message();
      return error.detail();
    }
    ADD_FAILURE() << "nothing was thrown";
    return {};
  }
  // Of what an intruder does to the store.
  Conversation forge(Conversation conversation, const std::vector<Message>& messages) {
    conversation.id = ConversationId(Uuid::make_v7(5, 5, ++forged_));
    EXPECT_TRUE(run_task(dynamic_cast<Intake&>(harness_.inner()).take(conversation, messages)));
    return conversation;
  }
  std::string get_detail(const Conversation& conversation) {
    return detail_of(store_->get_conversation(conversation.user_id, conversation.id));
  }

  RocksDbHarness* rocksdb_ = nullptr;
  EncryptedHarness harness_{[this] {
    auto inner = make_rocksdb();
    rocksdb_ = inner.get();
    return inner;
  }()};
  std::unique_ptr<EncryptedStore> store_;
  std::uint64_t forged_ = 0;
  const UserId alice_{"alice"};
  const UserId bob_{"bob"};
};

// Whatever the files are called, and whatever is in them.
bool any_file_has(const fs::path& folder, const std::string& text) {
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    std::string content((std::istreambuf_iterator<char>(file)), {});
    if (content.find(text) != std::string::npos) return true;
  }
  return false;
}

TEST_F(EncryptedStoreTest, NothingThatAUserWroteStandsInAnyFile) {
  auto conversation = create(alice_);
  append(conversation);
  NewTurn turn;
  turn.conversation_id = conversation.id;
  turn.prompt.content = "a secret question";
  turn.lease_until_s = harness_.clock().now_s() + 600;
  IdempotencyKey key{"a secret key", {}, harness_.clock().now_s() + 600};
  auto started = run_task(store_->start_turn(alice_, turn, key));
  started.reply.content = "a secret beginning";
  EXPECT_TRUE(run_task(store_->save_partial(alice_, conversation.id, started.reply)));
  auto& rocksdb = dynamic_cast<RocksDbStore&>(harness_.inner());
  started.reply.content = "a secret answer";
  started.reply.status = MessageStatus::kComplete;
  run_task(store_->finish_turn(alice_, conversation.id, started.reply));
  ConversationPatch patch;
  patch.summary = ContextSummary{"a secret summary", started.reply.id, 0};
  patch.title = "another secret";
  run_task(store_->update_conversation(alice_, conversation.id, patch, {}));
  // The log has all of it, uncompressed.
  fs::path data = rocksdb_->options().path;
  EXPECT_TRUE(any_file_has(data, "~sealed:"));
  EXPECT_FALSE(any_file_has(data, "secret"));
  rocksdb.flush_and_compact();
  EXPECT_FALSE(any_file_has(data, "secret"));
  EXPECT_FALSE(any_file_has(harness_.folder() / "keyring", "alice"));
  auto found = run_task(store_->get_conversation(alice_, conversation.id));
  EXPECT_EQ(found->summary->text, "a secret summary");
  EXPECT_EQ(found->metadata, (Metadata{{"secret name", "secret value"}}));
}

TEST_F(EncryptedStoreTest, TextsThatChangedPlacesAreRefused) {
  auto conversation = create(alice_);
  auto other = create(alice_, "another title");
  auto message = append(conversation);
  auto first = kept(conversation);
  // Another conversation's, another user's, another field's.
  auto forged = first;
  forged.title = kept(other).title;
  forged.system_prompt = first.title;
  EXPECT_THAT(get_detail(forge(forged, {})), testing::HasSubstr("is not where it was written"));
  // Not even as it was.
  EXPECT_THAT(get_detail(forge(first, {})), testing::HasSubstr("is not where it was written"));
  auto bobs = create(bob_);
  forged = kept(bobs);
  forged.user_id = alice_;
  EXPECT_THAT(get_detail(forge(forged, {})), testing::HasSubstr("not in the keyring"));
  // A message in another conversation.
  forged = forge(other, {kept(conversation, message.id)});
  EXPECT_THAT(detail_of(store_->list_messages(alice_, forged.id, {})),
              testing::HasSubstr(message.id.to_string()));
  EXPECT_EQ(detail_of(store_->get_message(alice_, forged.id, message.id)),
            detail_of(store_->list_messages(alice_, forged.id, {})));
}

TEST_F(EncryptedStoreTest, AnAnswerCannotTakeThePlaceOfAnother) {
  auto conversation = create(alice_);
  std::vector<Message> answers;
  for (const auto* text : {"yes", "no"}) {
    NewTurn turn;
    turn.conversation_id = conversation.id;
    turn.prompt.content = "well?";
    auto started = run_task(store_->start_turn(alice_, turn, {}));
    started.reply.content = text;
    started.reply.status = MessageStatus::kComplete;
    answers.push_back(run_task(store_->finish_turn(alice_, conversation.id, started.reply)).reply);
  }
  auto second = kept(conversation, answers[1].id);
  TextSealer sealer(seal_prefix(harness_.keyring().id()), alice_,
                    run_task(harness_.keyring().find(alice_)));
  auto prefix = seal_prefix(harness_.keyring().id());
  EXPECT_NO_THROW({
    auto copy = second;
    store::open(sealer, prefix, conversation.id, copy);
    EXPECT_EQ(copy.content, "no");
  });
  second.id = answers[0].id;
  EXPECT_THROW(store::open(sealer, prefix, conversation.id, second), Error);
}

TEST_F(EncryptedStoreTest, AMessageCannotTakeThePlaceOfAnother) {
  NewTurn turn;
  turn.new_conversation.emplace().title = "new";
  turn.prompt.content = "the first prompt";
  turn.prompt.client_message_id = "one";
  turn.prompt.metadata = {{"number", "one"}};
  auto started = run_task(store_->start_turn(alice_, turn, {}));
  EXPECT_EQ(started.prompt.content, "the first prompt");
  EXPECT_EQ(started.prompt.metadata, turn.prompt.metadata);
  EXPECT_EQ(started.conversation.title, "new");
  const auto& conversation = started.conversation;
  started.reply.status = MessageStatus::kComplete;
  run_task(store_->finish_turn(alice_, conversation.id, started.reply));
  turn.new_conversation.reset();
  turn.conversation_id = conversation.id;
  turn.prompt.content = "the second prompt";
  auto second = run_task(store_->start_turn(alice_, turn, {})).prompt;
  std::vector<MessageId> ids{started.prompt.id, second.id, append(conversation, "a").id,
                             append(conversation, "b").id};
  TextSealer sealer(seal_prefix(harness_.keyring().id()), alice_,
                    run_task(harness_.keyring().find(alice_)));
  auto prefix = seal_prefix(harness_.keyring().id());
  for (const auto& from : ids) {
    for (const auto& to : ids) {
      // Each of the three alone.
      for (int part = 0; part < 3; ++part) {
        auto moved = kept(conversation, from);
        ASSERT_FALSE(find_sealed(prefix, moved).empty());
        moved.id = to;
        if (part != 0) moved.content.clear();
        if (part != 1) moved.metadata.clear();
        if (part != 2) moved.client_message_id.clear();
        if (from == to) {
          EXPECT_NO_THROW(store::open(sealer, prefix, conversation.id, moved));
        } else {
          EXPECT_THROW(store::open(sealer, prefix, conversation.id, moved), Error);
        }
      }
    }
  }
}

TEST_F(EncryptedStoreTest, WhatARepeatFindsIsReadAsItWasWritten) {
  NewTurn turn;
  turn.new_conversation.emplace().title = "new";
  turn.prompt.content = "a prompt";
  turn.prompt.metadata = {{"a", "b"}};
  IdempotencyKey key{"turn", {}, harness_.clock().now_s() + 600};
  auto started = run_task(store_->start_turn(alice_, turn, key));
  auto again = run_task(store_->start_turn(alice_, turn, key));
  EXPECT_TRUE(again.replayed);
  EXPECT_EQ(again.prompt, started.prompt);
  EXPECT_EQ(again.conversation.title, "new");
  NewMessage message;
  message.content = seal_prefix(harness_.keyring().id()) + "looks sealed";
  key.key = "message";
  auto id = started.conversation.id;
  auto appended = run_task(store_->append_message(alice_, id, message, key));
  EXPECT_EQ(run_task(store_->append_message(alice_, id, message, key)).message, appended.message);
  EXPECT_EQ(run_task(store_->get_message(alice_, id, appended.message.id))->content,
            message.content);
}

TEST_F(EncryptedStoreTest, PlainTextsStayReadableAndAreEncryptedWhenTheyAreWritten) {
  NewConversation fresh;
  fresh.title = "plain title";
  fresh.metadata = {{"a", "1"}, {"b", "2"}};
  auto made = run_task(harness_.inner().create_conversation(alice_, fresh, {})).conversation;
  NewMessage message;
  message.content = "plain message";
  IdempotencyKey key{"key", {}, harness_.clock().now_s() + 600};
  run_task(harness_.inner().append_message(alice_, made.id, message, key));
  EXPECT_EQ(run_task(store_->get_conversation(alice_, made.id))->title, "plain title");
  // A request from before is known when it is sent again.
  EXPECT_TRUE(run_task(store_->find_appended(alice_, made.id, key)));
  EXPECT_TRUE(run_task(store_->append_message(alice_, made.id, message, key)).replayed);
  auto page = run_task(store_->list_messages(alice_, made.id, {}));
  ASSERT_EQ(page.messages.size(), 1U);
  EXPECT_EQ(page.messages[0].content, "plain message");
  ConversationPatch patch;
  patch.metadata.emplace();
  patch.metadata->pairs = {{"b", std::nullopt}, {"c", "3"}};
  patch.title = "sealed title";
  auto changed = run_task(store_->update_conversation(alice_, made.id, patch, {}));
  EXPECT_EQ(changed.metadata, (Metadata{{"a", "1"}, {"c", "3"}}));
  EXPECT_EQ(changed.title, "sealed title");
  EXPECT_THAT(kept(made).title, testing::StartsWith("~sealed:"));
  EXPECT_EQ(kept(made).metadata.size(), 1U);
  // What looks sealed, but by another keyring, is a text as any other.
  auto strange = create(alice_, "~sealed:AAAAAAAAAAAA:AAAA");
  open();
  EXPECT_EQ(run_task(store_->get_conversation(alice_, strange.id))->title,
            "~sealed:AAAAAAAAAAAA:AAAA");
}

TEST_F(EncryptedStoreTest, APatchThatChangesNothingChangesNothing) {
  auto before = create(alice_);
  harness_.clock().advance_ms(5000);
  ConversationPatch patch;
  patch.title = before.title;
  patch.if_title = before.title;
  patch.system_prompt = before.system_prompt;
  patch.metadata.emplace();
  patch.metadata->pairs = {{"secret name", "secret value"}};
  auto after = run_task(store_->update_conversation(alice_, before.id, patch, before.version));
  EXPECT_EQ(after, before);
  patch.if_title = "another";
  EXPECT_EQ(error_of(store_->update_conversation(alice_, before.id, patch, {})),
            ErrorCode::kPreconditionFailed);
}

TEST_F(EncryptedStoreTest, AfterAnErasureNothingCanBeReadAndTheUserMayBeginAnew) {
  auto conversation = create(alice_);
  auto message = append(conversation);
  auto bobs = create(bob_);
  EXPECT_TRUE(run_task(harness_.keyring().erase(alice_)));
  EXPECT_FALSE(run_task(harness_.keyring().erase(alice_)));
  EXPECT_THAT(get_detail(conversation), testing::HasSubstr("not in the keyring"));
  auto listed = run_task(store_->list_conversations(alice_, 10, {})).conversations;
  ASSERT_EQ(listed.size(), 1U);
  EXPECT_EQ(listed.front().id, conversation.id);
  EXPECT_EQ(listed.front().title, "");
  auto copy = kept(conversation);
  auto copied = kept(conversation, message.id);
  run_task(store_->delete_conversation(alice_, conversation.id, {}));
  auto fresh = create(alice_, "anew");
  EXPECT_EQ(run_task(store_->get_conversation(alice_, fresh.id))->title, "anew");
  auto forged = forge(copy, {copied});
  EXPECT_THAT(get_detail(forged), testing::HasSubstr("not in the keyring any more"));
  EXPECT_THAT(detail_of(store_->list_messages(alice_, forged.id, {})),
              testing::HasSubstr("not in the keyring any more"));
  open();
  EXPECT_THAT(get_detail(forged), testing::HasSubstr("not in the keyring any more"));
  EXPECT_EQ(run_task(store_->get_conversation(bob_, bobs.id))->title, bobs.title);
  // It can still be removed.
  run_task(store_->delete_conversation(alice_, forged.id, {}));
}

TEST_F(EncryptedStoreTest, AKeyThatIsMissingIsNotReplacedWhileItsTextsAreThere) {
  const auto keys = harness_.folder() / "keyring";
  create(bob_);
  fs::copy(keys, harness_.folder() / "older", fs::copy_options::recursive);
  // One with nothing of its own that would be sealed.
  auto conversation =
      run_task(store_->create_conversation(alice_, NewConversation{}, {})).conversation;
  append(conversation);
  fs::rename(keys, harness_.folder() / "newer");
  fs::rename(harness_.folder() / "older", keys);
  open();
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(detail_of(store_->create_conversation(alice_, NewConversation{}, {})),
                testing::HasSubstr("no key in the keyring " + harness_.keyring().id()));
  }
  NewMessage message;
  message.content = "more";
  EXPECT_THAT(detail_of(store_->append_message(alice_, conversation.id, message, {})),
              testing::HasSubstr("is it an older copy?"));
  create(bob_);
  fs::rename(keys, harness_.folder() / "older");
  fs::rename(harness_.folder() / "newer", keys);
  append(conversation);
  EXPECT_EQ(run_task(store_->list_messages(alice_, conversation.id, {})).messages.size(), 2U);
}

TEST_F(EncryptedStoreTest, ADamagedTextHidesNoOther) {
  auto first = create(alice_, "first");
  auto second = create(alice_, "second");
  append(first);
  auto forged = kept(first);
  forged.title = kept(second).title;
  forged.created_at_s = first.created_at_s;
  forged = forge(forged, {});
  auto check = [&](const std::vector<Conversation>& conversations) {
    ASSERT_EQ(conversations.size(), 3U);
    for (const auto& conversation : conversations) {
      if (conversation.id == forged.id) {
        EXPECT_EQ(conversation.title, "");
        EXPECT_EQ(conversation.system_prompt, "");
        EXPECT_EQ(conversation.metadata, Metadata{});
      } else {
        EXPECT_EQ(conversation.title, conversation.id == first.id ? "first" : "second");
        EXPECT_EQ(conversation.metadata, first.metadata);
      }
    }
  };
  check(run_task(store_->list_conversations(alice_, 10, {})).conversations);
  check(run_task(store_->list_by_activity(alice_, 10, {})).conversations);
  // It alone is an error.
  EXPECT_THAT(get_detail(forged), testing::HasSubstr(forged.id.to_string()));
  ConversationPatch patch;
  patch.title = "overwritten";
  EXPECT_THAT(detail_of(store_->update_conversation(alice_, forged.id, patch, {})),
              testing::HasSubstr(forged.id.to_string()));
  auto page = run_task(store_->list_messages(alice_, forged.id, {}));
  EXPECT_EQ(page.conversation.title, "");
}

// What takes the sealed conversation, and asks how often others had their turn until then.
class CountingIntake final : public Intake {
 public:
  CountingIntake(Intake& inner, const int& turns) : inner_(inner), turns_(turns) {}
  Task<bool> take(Conversation conversation, std::vector<Message> messages) override {
    turns_before_ = turns_;
    co_return co_await inner_.take(std::move(conversation), std::move(messages));
  }
  int turns_before() const { return turns_before_; }

 private:
  Intake& inner_;
  const int& turns_;
  int turns_before_ = 0;
};

TEST_F(EncryptedStoreTest, OthersHaveTheirTurnWhileALargeConversationIsSealed) {
  int turns = 0;
  CountingIntake intake(dynamic_cast<Intake&>(harness_.inner()), turns);
  EncryptedStore store(harness_.inner(), dynamic_cast<SealedWrites&>(harness_.inner()), intake,
                       harness_.keyring(), harness_.clock());
  run_task(harness_.keyring().find_or_make(alice_));  // so that nothing else is waited for
  Conversation conversation;
  conversation.user_id = alice_;
  conversation.id = ConversationId(Uuid::make_v7(5, 5, 1));
  std::vector<Message> messages;
  for (std::uint64_t i = 0; i < 16; ++i) {
    auto& message = messages.emplace_back();
    message.id = MessageId(Uuid::make_v7(6, 6, i));
    message.content = std::string(512 * limits::kKiB, 'x');
  }
  conversation.message_count = messages.size();
  boost::asio::io_context loop;
  bool ended = false;
  std::function<void()> tick = [&] {
    ++turns;
    if (!ended) boost::asio::post(loop, tick);
  };
  boost::asio::co_spawn(loop, store.take(conversation, messages),
                        [&](std::exception_ptr failure, bool taken) {
                          ended = true;
                          EXPECT_EQ(failure, nullptr);
                          EXPECT_TRUE(taken);
                        });
  boost::asio::post(loop, tick);
  loop.run();
  EXPECT_GE(intake.turns_before(), 15);
}

TEST_F(EncryptedStoreTest, AKeyThatAnotherServerErasedIsForgottenHereToo) {
  auto conversation = create(alice_);
  keyring::Keyring other(harness_.keyring().id(), harness_.storage(), harness_.masters(),
                         harness_.clock());
  run_task(other.erase(alice_));
  harness_.clock().advance_ms(60'000);
  EXPECT_THAT(get_detail(conversation), testing::HasSubstr("not in the keyring"));
}

TEST_F(EncryptedStoreTest, ContextBudgetsAreOfTheTextsAndNotOfWhatTheyAreSealedAs) {
  auto conversation = create(alice_);
  for (int i = 0; i < 40; ++i) append(conversation, "0123456789");
  ContextSettings budget;
  budget.tokens = 50;  // 300 bytes
  auto recent = run_task(store_->read_recent(alice_, conversation.id, budget, {}));
  EXPECT_EQ(recent->messages.size(), 30U);
  EXPECT_FALSE(recent->whole);
  MessageRange range;
  range.max_bytes = 105;
  auto page = run_task(store_->list_messages(alice_, conversation.id, range));
  EXPECT_EQ(page.messages.size(), 10U);
  EXPECT_TRUE(page.more);
}

}  // namespace
}  // namespace colloquy::store
