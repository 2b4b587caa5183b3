// Reads of committed data, as plain functions. With a MemoryOnly (tracked_files.h) on
// the thread they read what is in memory; what they return then counts only when
// nothing was refused. Short-lived: it keeps the database from being reopened. For
// one thread.
#pragma once

#include <rocksdb/iterator.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "store/rocksdb/database.h"
#include "store/rocksdb/value_codec.h"

namespace colloquy::store {

struct IdempotentRequest;

class PathCursor;

class Reader {
 public:
  // `now_s` decides what has expired, `instance` which answers are still running.
  // `access` is granted.
  Reader(const Database& database, Database::Access access, Uuid instance, std::int64_t now_s)
      : database_(database), access_(std::move(access)), instance_(instance), now_s_(now_s) {}

  // Is there such a conversation of this user, expired or not?
  bool exists(const UserId& user, const ConversationId& id) const;
  std::optional<Conversation> conversation(const UserId& user, const ConversationId& id) const;
  ConversationPage conversations(const UserId& user, std::size_t limit,
                                 const std::optional<ConversationId>& after) const;
  // nullopt when the conversation is not there.
  std::optional<MessagePage> messages(const UserId& user, const ConversationId& id,
                                      const MessageRange& range) const;
  std::optional<Message> message(const UserId& user, const ConversationId& id,
                                 const MessageId& message) const;
  // What an earlier create_conversation, append_message or start_turn with this key made, as their
  // repeat would answer; nullopt when the key is unknown.
  std::optional<CreatedConversation> created(const UserId& user,
                                             const IdempotentRequest& idempotent) const;
  std::optional<AppendedMessage> appended(const UserId& user, const ConversationId& id,
                                          const IdempotentRequest& idempotent) const;
  std::optional<StartedTurn> turn(const UserId& user, const std::optional<ConversationId>& id,
                                  const IdempotentRequest& idempotent) const;
  std::optional<RecentMessages> recent(const UserId& user, const ConversationId& id,
                                       const ContextSettings& usual,
                                       const std::optional<TreePlace>& up_to,
                                       bool sealed_contents) const;
  // Sets the parents of messages; none where the conversation is not there any more.
  void find_parents(const UserId& user, const ConversationId& id,
                    const std::vector<Message*>& messages) const;

 private:
  struct Bounds;
  bool get(rocksdb::ColumnFamilyHandle* family, const std::string& key,
           rocksdb::PinnableSlice& value) const;
  // Completes a decoded record; false when its details have gone, because it has just changed.
  bool complete(const UserId& user, const ConversationId& id, ConversationRecord& record) const;
  // The record of a request sent before; nullopt when the key is unknown or its time is over.
  // Throws as check_repeat.
  std::optional<IdempotencyRecord> earlier(const IdempotentRequest& idempotent, IdempotentKind kind,
                                           const std::optional<ConversationId>& id) const;
  // A conversation, and an iterator over its messages that sees it as the record says.
  struct Opened {
    Conversation conversation;
    std::unique_ptr<Bounds> messages;
  };
  std::optional<Opened> open(const UserId& user, const ConversationId& id) const;
  // Of a conversation that is the user's; without its parent.
  std::optional<Message> message_of(const ConversationId& id, const MessageId& message) const;
  // The newest message on the way `before`, if there is any, is the parent of `message`.
  void find_parent(const Opened& opened, const Path& before, Message& message) const;
  Message decode(const rocksdb::Iterator& at) const;
  // Takes messages from the end of the range that it begins at; the cursor stands at the first
  // left.
  PathCursor fill(MessagePage& page, const Opened& opened, const MessageRange& range) const;
  MessagePage newest(const Opened& opened, const MessageRange& range) const;
  MessagePage oldest_after(const Opened& opened, const MessageRange& range) const;

  const Database& database_;
  Database::Access access_;
  Uuid instance_;
  std::int64_t now_s_;
};

}  // namespace colloquy::store
