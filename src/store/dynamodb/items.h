// Conversations and messages as items of the two tables (docs/architecture.md, "The DynamoDB
// store"). The source document's attributes keep their names and types; ours stand beside them and
// are left out where they say nothing. Pure; any thread.
#pragma once

#include <array>
#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/json_writer.h"
#include "store/types.h"

namespace colloquy::store::dynamodb {

// A conversation remembers its last few changes, so that one that is sent again is not made twice.
// Each change has one of these slots, by its name.
inline constexpr std::size_t kChangeSlots = 8;
std::string change_slot(std::string_view change);  // the attribute's name

struct ConversationItem {
  Conversation conversation;
  std::string idempotency;  // the hash key of the record of the request that made it; or empty
  // When the removal times of its messages were last set; 0: they are to be set, whatever the time.
  std::optional<std::int64_t> renewed_at_s;
};

// `change` is what made it, for its slot.
void write_item(JsonWriter& json, const ConversationItem& item, std::string_view change);
ConversationItem read_conversation(const boost::json::object& item);
// What `item`, a conversation's, remembers in the slot of `change`.
bool remembers(const boost::json::object& item, std::string_view change);

// An answer that is to come, as its prompt knows it.
struct PendingReply {
  MessageId id;
  std::string owner;  // the server that runs it
  std::int64_t lease_until_s = 0;
  std::string model;
  bool operator==(const PendingReply&) const = default;
};

struct MessageItem {
  Message message;
  ConversationId conversation_id;
  UserId user_id;
  std::string idempotency;            // as a conversation's
  std::size_t parts = 0;              // how many further items hold the content; 0: it is here
  std::size_t content_bytes = 0;      // of the whole content, wherever it is
  std::optional<PendingReply> reply;  // a prompt's
  // Of a running answer with a row of its own, where that is not told by its prompt alone.
  std::optional<PendingReply> running;
  // Of a running answer that was begun without a prompt of its own: the message that it answers.
  std::optional<MessageId> answers;
  std::optional<std::int64_t> ttl;  // Unix seconds at which the service removes it
};

// The ttl of a message that is written, or whose conversation is active, at this time; nullopt:
// none. It outlives its conversation's expiry for as long again, so that the service removes none
// from a living conversation before its time is renewed (renewer.h).
std::optional<std::int64_t> removal_time_s(const std::optional<std::int64_t>& ttl_seconds,
                                           std::int64_t active_at_s);

void write_item(JsonWriter& json, const MessageItem& item);
MessageItem read_message(const boost::json::object& item);

// What a write with an idempotency key made, or is about to make.
enum class KeyedKind : std::uint8_t { kConversation = 0, kMessage = 1, kTurn = 2 };
struct KeyedItem {
  std::string hash_key;  // idem#…
  KeyedKind kind = KeyedKind::kConversation;
  std::array<std::uint8_t, 32> fingerprint{};
  std::int64_t expires_at_s = 0;
  std::int64_t made_at_s = 0;
  ConversationId conversation_id;
  MessageId message_id;  // unless a conversation; of a turn: the message that is answered
  MessageId reply_id;    // of a turn
  std::string owner;     // of a turn
  std::int64_t lease_until_s = 0;
  bool deleted = false;  // what it made was deleted since

  // The turn writes the message that it answers: the answer's id is the next.
  bool has_prompt() const { return reply_id == message_id.successor(); }
};
// idem# and a hash of both, so that no user's key is another's.
std::string keyed_hash_key(const UserId& user, std::string_view key);
void write_item(JsonWriter& json, const KeyedItem& item);
KeyedItem read_keyed(const boost::json::object& item);

// A deletion that is not finished.
struct PurgeItem {
  ConversationId conversation_id;
  UserId user_id;
  std::int64_t deleted_at_s = 0;
  std::int64_t claimed_until_s = 0;  // a server is at it
};
inline constexpr std::size_t kPurgeShards = 4;
std::string purge_hash_key(std::size_t shard);
std::string purge_hash_key(const ConversationId& id);
void write_item(JsonWriter& json, const PurgeItem& item);
PurgeItem read_purge(const boost::json::object& item);

// The hash key under which the further parts of a message's content stand.
std::string parts_hash_key(const ConversationId& conversation, const MessageId& message);
std::string part_range_key(std::size_t number);

}  // namespace colloquy::store::dynamodb
