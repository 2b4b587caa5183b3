#include "store/rocksdb/reader.h"

#include <algorithm>
#include <utility>

#include "store/parents.h"
#include "store/rocksdb/keys.h"
#include "store/rocksdb/operations.h"
#include "store/rocksdb/path_cursor.h"
#include "store/rocksdb/status.h"
#include "store/sealed_sizes.h"

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
    record.conversation.retention_seconds = database_.retention_seconds();
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
    record.conversation.retention_seconds = database_.retention_seconds();
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

std::optional<Reader::Opened> Reader::open(const UserId& user, const ConversationId& id) const {
  // The iterator sees one moment; the conversation is looked up later. If it is still there then,
  // its removal had not begun at that moment.
  auto messages = std::make_unique<Bounds>(*this, database_.messages(), std::string(id.raw()));
  auto found = conversation(user, id);
  if (!found) return std::nullopt;
  if (!found->tree.plain()) {
    // The branches, too, must not be newer than the messages.
    messages = std::make_unique<Bounds>(*this, database_.messages(), std::string(id.raw()));
    if (!exists(user, id)) return std::nullopt;
  }
  return Opened{std::move(*found), std::move(messages)};
}

PathCursor Reader::fill(MessagePage& page, const Opened& opened, const MessageRange& range) const {
  page.messages.reserve(std::min(range.limit, kReservedRows));
  auto& at = *opened.messages->at;
  PathCursor cursor(at, opened.conversation.id,
                    range.all_branches ? Path::all() : Path::active(opened.conversation.tree));
  if (range.after) {
    cursor.seek_oldest(*range.after);
  } else {
    cursor.seek_newest(range.before);
  }
  std::size_t bytes = 0;
  for (; cursor.valid() && page.messages.size() < range.limit; cursor.next()) {
    auto message = decode(at);
    bytes += message.content.size();
    if (bytes > range.max_bytes && !page.messages.empty()) break;
    page.messages.push_back(std::move(message));
  }
  page.more = cursor.valid();
  check(at.status(), "reading");
  return cursor;
}

MessagePage Reader::newest(const Opened& opened, const MessageRange& range) const {
  MessagePage page;
  auto cursor = fill(page, opened, range);
  std::reverse(page.messages.begin(), page.messages.end());
  if (page.messages.empty()) return page;
  const auto& tree = opened.conversation.tree;
  auto missing = link_parents(tree, page.messages);
  if (!range.all_branches || tree.plain()) {
    // What stands before the first is where the walk has come to.
    if (page.more) page.messages.front().parent = cursor.id();
  } else {
    for (const auto& each : missing) find_parent(opened, each.before, page.messages[each.index]);
  }
  return page;
}

MessagePage Reader::oldest_after(const Opened& opened, const MessageRange& range) const {
  MessagePage page;
  fill(page, opened, range);
  auto missing = link_parents(opened.conversation.tree, page.messages);
  if (*range.after != MessageId()) {
    for (const auto& each : missing) find_parent(opened, each.before, page.messages[each.index]);
  }
  return page;
}

void Reader::find_parent(const Opened& opened, const Path& before, Message& message) const {
  PathCursor cursor(*opened.messages->at, opened.conversation.id, before);
  cursor.seek_newest(std::nullopt);
  if (cursor.valid()) message.parent = cursor.id();
  check(opened.messages->at->status(), "reading");
}

void Reader::find_parents(const UserId& user, const ConversationId& id,
                          const std::vector<Message*>& messages) const {
  auto opened = open(user, id);
  if (!opened) return;
  for (auto* message : messages) {
    find_parent(*opened, before(opened->conversation.tree, *message), *message);
  }
}

std::optional<MessagePage> Reader::messages(const UserId& user, const ConversationId& id,
                                            const MessageRange& range) const {
  auto opened = open(user, id);
  if (!opened) return std::nullopt;
  auto page = range.after ? oldest_after(*opened, range) : newest(*opened, range);
  page.conversation = std::move(opened->conversation);
  return page;
}

std::optional<Message> Reader::message(const UserId& user, const ConversationId& id,
                                       const MessageId& message) const {
  auto opened = open(user, id);
  if (!opened) return std::nullopt;
  auto found = message_of(id, message);
  if (found) find_parent(*opened, before(opened->conversation.tree, *found), *found);
  return found;
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
  find_parents(user, id, {&*made});
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
  find_parents(user, record->conversation_id, {&*prompt, &*reply});
  return StartedTurn{std::move(*made_in), std::move(*prompt), std::move(*reply), true};
}

std::optional<RecentMessages> Reader::recent(const UserId& user, const ConversationId& id,
                                             const ContextSettings& usual,
                                             const std::optional<TreePlace>& up_to,
                                             bool sealed_contents) const {
  auto opened = open(user, id);
  if (!opened) return std::nullopt;
  RecentMessages recent;
  recent.conversation = std::move(opened->conversation);
  auto range = recent_range(resolved(recent.conversation.context, usual));
  if (sealed_contents) range = sealed_range(range);
  const auto& tree = recent.conversation.tree;
  auto& at = *opened->messages->at;
  PathCursor everything(at, id, Path::all());
  everything.seek_newest(std::nullopt);
  if (everything.valid()) recent.newest = everything.id();
  PathCursor cursor(at, id, up_to ? Path::to(tree, *up_to) : Path::active(tree));
  cursor.seek_newest(std::nullopt);
  if (cursor.valid()) recent.tip = cursor.id();
  std::size_t rows = 0;
  std::size_t bytes = 0;
  for (; cursor.valid(); cursor.next()) {
    bool enough = recent.messages.size() == range.messages || bytes >= range.content_bytes;
    if (enough || rows++ == recent_rows(range.messages)) break;
    auto message = decode(at);
    if (message.content.empty() || message.status == MessageStatus::kRunning) continue;
    bytes += message.content.size();
    recent.messages.push_back(std::move(message));
  }
  recent.whole = !cursor.valid();
  check(at.status(), "reading");
  std::reverse(recent.messages.begin(), recent.messages.end());
  return recent;
}

}  // namespace colloquy::store
