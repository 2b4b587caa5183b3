#include "store/rocksdb/rocksdb_change_feed.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/error.h"
#include "store/rocksdb/change_log.h"
#include "store/rocksdb/keys.h"
#include "store/rocksdb/operations.h"
#include "store/rocksdb/status.h"
#include "store/rocksdb/sweep_operations.h"

namespace colloquy::store {
namespace {

constexpr std::size_t kForgottenPiece = 1000;
// Of a reader to whom nothing has expired.
constexpr std::int64_t kBeforeAll = 0;

std::unique_ptr<rocksdb::Iterator> iterate(const Database& database,
                                           rocksdb::ColumnFamilyHandle* family,
                                           const rocksdb::Slice* upper) {
  rocksdb::ReadOptions options;
  options.iterate_upper_bound = upper;
  options.fill_cache = false;  // what users read stays in it
  return std::unique_ptr<rocksdb::Iterator>(database.db().NewIterator(options, family));
}

}  // namespace

std::uint64_t RocksDbChangeFeed::forgotten() {
  Database::Access access(database_, true);
  std::string value;
  const rocksdb::Slice key(keys::kChangesForgotten.data(), keys::kChangesForgotten.size());
  auto status = database_.db().Get(rocksdb::ReadOptions(), database_.derived(), key, &value);
  if (status.IsNotFound()) return 0;
  check(status, "reading how far changes were forgotten");
  // Garbled, it is as good as all.
  return keys::parse_changes(value).value_or(database_.db().GetLatestSequenceNumber());
}

std::uint64_t RocksDbChangeFeed::newest() {
  Database::Access access(database_, true);
  auto latest = database_.db().GetLatestSequenceNumber();
  // A backup may write a lineage between a commit's being numbered and its being written.
  return latest > 0 ? latest - 1 : 0;
}

std::vector<ChangeSet> RocksDbChangeFeed::changes(std::uint64_t after, std::size_t most) {
  Database::Access access(database_, true);
  const auto end = keys::after_prefix(std::string(keys::kChangesPrefix));
  const rocksdb::Slice upper(end);
  auto at = iterate(database_, database_.derived(), &upper);
  std::vector<ChangeSet> found;
  std::size_t count = 0;
  for (at->Seek(keys::changes(std::max(after, forgotten_) + 1)); at->Valid() && count < most;
       at->Next()) {
    auto number = keys::parse_changes(at->key().ToStringView());
    if (!number) throw internal_error("the key of a row of changes is garbled");
    found.push_back(change_log::decode(*number, at->value().ToStringView()));
    count += found.back().changes.size();
  }
  check(at->status(), "reading changes");
  return found;
}

bool RocksDbChangeFeed::forget_some(std::uint64_t up_to) {
  std::vector<std::string> rows;
  {
    Database::Access access(database_, true);
    const auto end = keys::changes(up_to + 1);
    const rocksdb::Slice upper(end);
    auto at = iterate(database_, database_.derived(), &upper);
    for (at->Seek(keys::changes(forgotten_)); at->Valid() && rows.size() < kForgottenPiece;
         at->Next()) {
      rows.push_back(at->key().ToString());
    }
    check(at->status(), "reading changes");
  }
  bool more = rows.size() == kForgottenPiece;
  auto last = up_to;
  if (more) last = keys::parse_changes(rows.back()).value_or(forgotten_);
  if (!rows.empty()) {
    auto operation = std::make_shared<ForgetChanges>(std::move(rows), keys::changes(last));
    auto done = operation->future();
    writer_.submit(std::move(operation));
    done.get();
  }
  forgotten_ = std::max(forgotten_, last);
  return more;
}

std::optional<Conversation> RocksDbChangeFeed::conversation(const UserId& user, ConversationId id) {
  Reader reader(database_, Database::Access(database_, true), instance_, kBeforeAll);
  return reader.conversation(user, id);
}

Message RocksDbChangeFeed::seen(const MessageId& id, std::string_view value) const {
  auto record = decode_message(value);
  record.message.id = id;
  return as_seen(std::move(record), instance_, clock_.now_s());
}

std::optional<Message> RocksDbChangeFeed::message(ConversationId conversation, MessageId id) {
  Database::Access access(database_, true);
  rocksdb::PinnableSlice value;
  auto status = database_.db().Get(rocksdb::ReadOptions(), database_.messages(),
                                   keys::message(conversation, id), &value);
  if (status.IsNotFound()) return std::nullopt;
  check(status, "reading a message");
  return seen(id, value.ToStringView());
}

ConversationBatch RocksDbChangeFeed::conversations(const std::string& position, std::size_t most) {
  ConversationBatch batch;
  Database::Access access(database_, true);
  auto at = iterate(database_, database_.conversations(), nullptr);
  if (position.empty()) {
    at->SeekToFirst();
  } else {
    at->Seek(position);
    if (at->Valid() && at->key() == rocksdb::Slice(position)) at->Next();
  }
  std::string last;
  for (std::size_t rows = 0; at->Valid() && rows < most; at->Next(), ++rows) {
    last = at->key().ToString();
    auto key = keys::parse_conversation(last);
    if (key) {
      batch.conversations.push_back({std::move(key->user), key->id});
    } else {
      ++batch.unreadable;
    }
  }
  check(at->status(), "reading conversations");
  if (at->Valid()) batch.next = last;
  return batch;
}

MessageBatch RocksDbChangeFeed::messages(ConversationId conversation, MessageId after,
                                         std::size_t bytes) {
  Database::Access access(database_, true);
  const auto end = keys::after_prefix(std::string(conversation.raw()));
  const rocksdb::Slice upper(end);
  auto at = iterate(database_, database_.messages(), end.empty() ? nullptr : &upper);
  MessageBatch batch;
  batch.last = after;
  std::size_t read = 0;
  for (at->Seek(keys::message(conversation, after) + '\0'); at->Valid() && read < bytes;
       at->Next()) {
    constexpr std::size_t kRowBytes = 256;  // so that empty ones count too
    read += at->value().size() + kRowBytes;
    auto id = keys::parse_message(at->key().ToStringView());
    if (id) batch.last = *id;
    try {
      if (!id) throw internal_error("a message's key is garbled");
      batch.messages.push_back(seen(*id, at->value().ToStringView()));
    } catch (const Error&) {
      ++batch.unreadable;
    }
  }
  check(at->status(), "reading messages");
  batch.more = at->Valid();
  return batch;
}

}  // namespace colloquy::store
