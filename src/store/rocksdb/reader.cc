#include "store/rocksdb/reader.h"

#include <algorithm>
#include <utility>

#include "store/rocksdb/keys.h"
#include "store/rocksdb/operations.h"
#include "store/rocksdb/status.h"

namespace colloquy::store {
namespace {

constexpr int kChangedMeanwhileTries = 16;
constexpr std::size_t kReservedRows = 64;  // room made at once for a page of an unknown size

}  // namespace

// An iterator over one prefix, with what its bounds point to.
struct Reader::Bounds {
  Bounds(const Reader& reader, rocksdb::ColumnFamilyHandle* family, std::string prefix)
      : lower(std::move(prefix)),
        upper(keys::after_prefix(lower)),
        lower_slice(lower),
        upper_slice(upper) {
    rocksdb::ReadOptions options;
    options.iterate_lower_bound = &lower_slice;
    if (!upper.empty()) options.iterate_upper_bound = &upper_slice;
    at.reset(reader.database_.db().NewIterator(options, family));
  }

  std::string lower;
  std::string upper;
  rocksdb::Slice lower_slice;
  rocksdb::Slice upper_slice;
  std::unique_ptr<rocksdb::Iterator> at;
};

bool Reader::get(rocksdb::ColumnFamilyHandle* family, const std::string& key,
                 rocksdb::PinnableSlice& value) const {
  auto status = database_.db().Get(rocksdb::ReadOptions(), family, key, &value);
  if (status.IsNotFound()) return false;
  check(status, "reading");
  return true;
}

bool Reader::exists(const UserId& user, const ConversationId& id) const {
  rocksdb::PinnableSlice value;
  return get(database_.conversations(), keys::conversation(user, id), value);
}

bool Reader::complete(const UserId& user, const ConversationId& id,
                      ConversationRecord& record) const {
  record.conversation.user_id = user;
  record.conversation.id = id;
  if (record.details_generation == 0) return true;
  rocksdb::PinnableSlice details;
  if (!get(database_.derived(), keys::details(id, record.details_generation), details))
    return false;
  decode_details(details.ToStringView(), record.conversation);
  return true;
}

std::optional<Conversation> Reader::conversation(const UserId& user,
                                                 const ConversationId& id) const {
  auto key = keys::conversation(user, id);
  for (int tries = 0; tries < kChangedMeanwhileTries; ++tries) {
    rocksdb::PinnableSlice value;
    if (!get(database_.conversations(), key, value)) return std::nullopt;
    auto record = decode_conversation(value.ToStringView());
    if (record.conversation.expired(now_s_)) return std::nullopt;
    if (complete(user, id, record)) return std::move(record.conversation);
  }
  throw internal_error("the details of a conversation are missing");
}

ConversationPage Reader::conversations(const UserId& user, std::size_t limit,
                                       const std::optional<ConversationId>& after) const {
  ConversationPage page;
  if (limit == 0) return page;
  page.conversations.reserve(std::min(limit, kReservedRows));
  Bounds bounds(*this, database_.conversations(), keys::user_prefix(user));
  auto& at = *bounds.at;
  if (after) {
    auto key = keys::conversation(user, *after);
    at.SeekForPrev(key);
    if (at.Valid() && at.key() == rocksdb::Slice(key)) at.Prev();
  } else {
    at.SeekToLast();
  }
  for (; at.Valid(); at.Prev()) {
    auto key = keys::parse_conversation(at.key().ToStringView());
    if (!key) throw internal_error("a conversation's key is garbled");
    auto record = decode_conversation(at.value().ToStringView());
    if (record.conversation.expired(now_s_)) continue;
    if (page.conversations.size() == limit) {
      page.next = page.conversations.back().id;
      return page;
    }
    if (complete(user, key->id, record)) {
      page.conversations.push_back(std::move(record.conversation));
    } else if (auto current = conversation(user, key->id)) {
      page.conversations.push_back(std::move(*current));
    }
  }
  check(at.status(), "reading");
  return page;
}

Message Reader::decode(const rocksdb::Iterator& at) const {
  auto id = keys::parse_message(at.key().ToStringView());
  if (!id) throw internal_error("a message's key is garbled");
  auto record = decode_message(at.value().ToStringView());
  record.message.id = *id;
  return as_seen(std::move(record), instance_, now_s_);
}

MessagePage Reader::newest(rocksdb::Iterator& at, const ConversationId& id,
                           const MessageRange& range) const {
  MessagePage page;
  page.messages.reserve(std::min(range.limit, kReservedRows));
  if (range.before) {
    auto key = keys::message(id, *range.before);
    at.SeekForPrev(key);
    if (at.Valid() && at.key() == rocksdb::Slice(key)) at.Prev();
  } else {
    at.SeekToLast();
  }
  std::size_t bytes = 0;
  for (; at.Valid() && page.messages.size() < range.limit; at.Prev()) {
    auto message = decode(at);
    bytes += message.content.size();
    if (bytes > range.max_bytes && !page.messages.empty()) break;
    page.messages.push_back(std::move(message));
  }
  page.more = at.Valid();
  check(at.status(), "reading");
  std::reverse(page.messages.begin(), page.messages.end());
  return page;
}

MessagePage Reader::oldest_after(rocksdb::Iterator& at, const ConversationId& id,
                                 const MessageRange& range) const {
  MessagePage page;
  page.messages.reserve(std::min(range.limit, kReservedRows));
  auto key = keys::message(id, *range.after);
  at.Seek(key);
  if (at.Valid() && at.key() == rocksdb::Slice(key)) at.Next();
  std::size_t bytes = 0;
  for (; at.Valid() && page.messages.size() < range.limit; at.Next()) {
    auto message = decode(at);
    bytes += message.content.size();
    if (bytes > range.max_bytes && !page.messages.empty()) break;
    page.messages.push_back(std::move(message));
  }
  page.more = at.Valid();
  check(at.status(), "reading");
  return page;
}

std::optional<MessagePage> Reader::messages(const UserId& user, const ConversationId& id,
                                            const MessageRange& range) const {
  // The iterator sees one moment; the conversation is looked up later. If it is still there then,
  // its removal had not begun at that moment.
  Bounds bounds(*this, database_.messages(), std::string(id.raw()));
  auto found = conversation(user, id);
  if (!found) return std::nullopt;
  auto page = range.after ? oldest_after(*bounds.at, id, range) : newest(*bounds.at, id, range);
  page.conversation = std::move(*found);
  return page;
}

std::optional<Message> Reader::message(const UserId& user, const ConversationId& id,
                                       const MessageId& message) const {
  if (!conversation(user, id)) return std::nullopt;
  return message_of(id, message);
}

std::optional<Message> Reader::message_of(const ConversationId& id,
                                          const MessageId& message) const {
  rocksdb::PinnableSlice value;
  if (!get(database_.messages(), keys::message(id, message), value)) return std::nullopt;
  auto record = decode_message(value.ToStringView());
  record.message.id = message;
  return as_seen(std::move(record), instance_, now_s_);
}

std::optional<IdempotencyRecord> Reader::earlier(const IdempotentRequest& idempotent,
                                                 IdempotentKind kind,
                                                 const std::optional<ConversationId>& id) const {
  rocksdb::PinnableSlice value;
  if (!get(database_.derived(), idempotent.record_key, value)) return std::nullopt;
  auto record = decode_idempotency(value.ToStringView());
  if (record.expires_at_s <= now_s_) return std::nullopt;
  check_repeat(record, idempotent.request, kind, id);
  return record;
}

std::optional<CreatedConversation> Reader::created(const UserId& user,
                                                   const IdempotentRequest& idempotent) const {
  auto record = earlier(idempotent, IdempotentKind::kConversation, {});
  if (!record) return std::nullopt;
  auto made = conversation(user, record->conversation_id);
  if (!made) throw result_deleted();
  return CreatedConversation{std::move(*made), true};
}

std::optional<AppendedMessage> Reader::appended(const UserId& user, const ConversationId& id,
                                                const IdempotentRequest& idempotent) const {
  if (!conversation(user, id)) throw not_found();
  auto record = earlier(idempotent, IdempotentKind::kMessage, id);
  if (!record) return std::nullopt;
  auto made = message_of(id, record->message_id);
  if (!made) throw result_deleted();
  return AppendedMessage{std::move(*made), true};
}

std::optional<StartedTurn> Reader::turn(const UserId& user, const std::optional<ConversationId>& id,
                                        const IdempotentRequest& idempotent) const {
  std::optional<Conversation> made_in;
  if (id) {
    made_in = conversation(user, *id);
    if (!made_in) throw not_found();
  }
  auto record = earlier(idempotent, IdempotentKind::kTurn, id);
  if (!record) return std::nullopt;
  // All of it was committed with the record: what is not there has been deleted since.
  if (!made_in) made_in = conversation(user, record->conversation_id);
  if (!made_in) throw result_deleted();
  auto prompt = message_of(record->conversation_id, record->message_id);
  auto reply = message_of(record->conversation_id, record->reply_id);
  if (!prompt || !reply) throw result_deleted();
  return StartedTurn{std::move(*made_in), std::move(*prompt), std::move(*reply), true};
}

std::optional<RecentMessages> Reader::recent(const UserId& user, const ConversationId& id,
                                             const ContextSettings& usual) const {
  Bounds bounds(*this, database_.messages(), std::string(id.raw()));
  auto found = conversation(user, id);
  if (!found) return std::nullopt;
  RecentMessages recent;
  recent.conversation = std::move(*found);
  auto range = recent_range(resolved(recent.conversation.context, usual));
  auto& at = *bounds.at;
  std::size_t rows = 0;
  std::size_t bytes = 0;
  for (at.SeekToLast(); at.Valid(); at.Prev()) {
    if (!recent.newest) {
      recent.newest = keys::parse_message(at.key().ToStringView());
      if (!recent.newest) throw internal_error("a message's key is garbled");
    }
    bool enough = recent.messages.size() == range.messages || bytes >= range.content_bytes;
    if (enough || rows++ == recent_rows(range.messages)) break;
    auto message = decode(at);
    if (message.content.empty() || message.status == MessageStatus::kRunning) continue;
    bytes += message.content.size();
    recent.messages.push_back(std::move(message));
  }
  recent.whole = !at.Valid();
  check(at.status(), "reading");
  std::reverse(recent.messages.begin(), recent.messages.end());
  return recent;
}

}  // namespace colloquy::store
