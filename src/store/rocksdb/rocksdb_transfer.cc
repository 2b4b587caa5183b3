#include "store/rocksdb/rocksdb_transfer.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/text.h"
#include "store/rocksdb/change_log.h"
#include "store/rocksdb/keys.h"
#include "store/rocksdb/reader.h"
#include "store/rocksdb/status.h"

namespace colloquy::store {
namespace {

constexpr std::size_t kPageConversations = 100;
constexpr std::size_t kPageBytes = limits::kMiB;
constexpr std::size_t kGroupBytes = 4 * limits::kMiB;
// Of a reader to whom nothing has expired.
constexpr std::int64_t kBeforeAll = 0;

RocksDbOptions options_for(const std::string& folder, RocksDbTransfer::Open how) {
  bool there = std::filesystem::exists(std::filesystem::path(folder) / "CURRENT");
  if (!there && how == RocksDbTransfer::Open::kExisting) {
    throw Error(ErrorCode::kInvalid, "There is no store in " + folder + ".");
  }
  RocksDbOptions options;
  options.path = folder;
  options.block_cache_bytes = 64 * limits::kMiB;
  return options;
}

}  // namespace

RocksDbTransfer::RocksDbTransfer(const std::string& folder, Open how, const Clock& clock,
                                 IdSource& ids)
    : database_(options_for(folder, how)),
      clock_(clock),
      instance_(ids.next(clock.now_ms())),
      group_(database_, ids, instance_) {
  // What is moved in is not kept as a change.
  if (how == Open::kOrNew) change_log::drop(database_);
}

Task<std::uint64_t> RocksDbTransfer::estimate() { co_return group_.counters().conversations; }

std::optional<MovedConversation> RocksDbTransfer::read(const UserId& user,
                                                       const ConversationId& id) const {
  Reader reader(database_, Database::Access(database_, true), instance_, kBeforeAll);
  auto found = reader.conversation(user, id);
  if (!found) return std::nullopt;
  found->held_until_s = 0;
  return MovedConversation{std::move(*found), {}};
}

Task<MovedConversations> RocksDbTransfer::conversations(std::string position) {
  MovedConversations page;
  std::unique_ptr<rocksdb::Iterator> at(
      database_.db().NewIterator(rocksdb::ReadOptions(), database_.conversations()));
  if (position.empty()) {
    at->SeekToFirst();
  } else {
    auto last = from_hex(position);
    if (!last) throw internal_error("a position in the store is garbled");
    at->Seek(*last);
    if (at->Valid() && at->key() == rocksdb::Slice(*last)) at->Next();
  }
  std::string last;
  std::size_t bytes = 0;
  while (at->Valid() && page.conversations.size() < kPageConversations && bytes < kPageBytes) {
    last = at->key().ToString();
    auto key = keys::parse_conversation(last);
    if (!key) throw internal_error("a conversation's key is garbled");
    auto conversation = read(key->user, key->id);
    if (!conversation) throw internal_error("a conversation vanished while it was read");
    bytes += details_bytes(conversation->conversation);
    page.conversations.push_back(std::move(*conversation));
    at->Next();
  }
  check(at->status(), "reading conversations");
  // Keys are any bytes, and a position is a line of text.
  if (at->Valid()) page.next = to_hex(last);
  co_return page;
}

Task<MovedMessages> RocksDbTransfer::messages(MovedConversation of, std::string position) {
  auto range = range_at(position);
  Reader reader(database_, Database::Access(database_, true), instance_, kBeforeAll);
  auto page = reader.messages(of.conversation.user_id, of.conversation.id, range);
  if (!page) throw internal_error("a conversation vanished while it was read");
  MovedMessages moved;
  moved.messages = std::move(page->messages);
  if (page->more) moved.next = moved.messages.back().id.to_string();
  co_return moved;
}

Task<std::optional<MovedConversation>> RocksDbTransfer::find(UserId user, ConversationId id) {
  co_return read(user, id);
}

void RocksDbTransfer::begin_group() {
  if (!group_begun_) group_.begin(clock_.now_ms());
  group_begun_ = true;
}

Task<> RocksDbTransfer::put_messages(Conversation of, std::vector<Message> messages) {
  begin_group();
  for (auto& message : messages) {
    bool is_new = !group_.find_message(of.id, message.id);
    auto id = message.id;
    auto& encoded = encoded_.emplace_back();
    encode(MessageRecord{std::move(message), {}, 0}, encoded);
    group_bytes_ += encoded.size();
    group_.put_message(of.id, id, encoded);
    if (is_new) group_.count_messages(1);
  }
  flush_if_large();
  co_return;
}

Task<> RocksDbTransfer::put_conversation(Conversation conversation,
                                         std::optional<MessageId> newest) {
  auto key = keys::conversation(conversation.user_id, conversation.id);
  if (conversations_added_.contains(key) || read(conversation.user_id, conversation.id)) co_return;
  begin_group();
  // It is not indexed for the retention of a server.
  group_.remove_derived(keys::kRetention);
  group_bytes_ += details_bytes(conversation);
  // One of this id may have been deleted here.
  group_.remove_derived(keys::purge(conversation.id));
  ConversationRecord record;
  record.conversation = std::move(conversation);
  record.last_message_id = newest.value_or(MessageId());
  group_.add_conversation(key, std::move(record));
  conversations_added_.insert(std::move(key));
  flush_if_large();
}

void RocksDbTransfer::flush_if_large() {
  if (group_bytes_ >= kGroupBytes) commit();
}

Task<> RocksDbTransfer::flush() {
  commit();
  co_return;
}

void RocksDbTransfer::commit() {
  if (!group_begun_) return;
  if (group_.prepare()) {
    rocksdb::WriteOptions durable;
    durable.sync = true;
    check(database_.db().Write(durable, &group_.batch()), "writing what is moved");
  }
  group_.commit();
  group_begun_ = false;
  group_bytes_ = 0;
  encoded_.clear();
  conversations_added_.clear();
}

}  // namespace colloquy::store
