// Conversations and messages as items of the two tables (docs/architecture.md, "The DynamoDB
// store"). The source document's attributes keep their names and types; ours stand beside them and
// are left out where they say nothing. Pure; any thread.
#pragma once

#include <array>
#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <set>
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
  // When the removal times of its messages were last set. 0 or less, another number each time: they
  // are to be set, whatever the time, and until then it has no removal time itself.
  std::optional<std::int64_t> renewed_at_s;
  std::optional<std::int64_t> renewed_for_s;  // and for which lifetime; nullopt: its ttl_seconds
  std::optional<std::int64_t> removal_s;      // when the service removes it; only read

  bool removals_pending() const { return renewed_at_s && *renewed_at_s <= 0; }
  // Of a change of the conversation, whose version counts it already.
  void mark_removals_pending() { renewed_at_s = -static_cast<std::int64_t>(conversation.version); }
};

// When the service removes a conversation that expires then: after the last of its messages, whose
// keys nobody knows without it, so that an erasure (user_eraser.h) finds them. A message that was
// written just before the expiry stays for two lifetimes; the service removes in no order, and may
// be late by a day.
std::int64_t conversation_removal_s(std::int64_t lifetime_seconds, std::int64_t expires_at_s);
std::optional<std::int64_t> conversation_removal_s(const Conversation& conversation);

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

// The ttl of a message that is written, or whose conversation is active, at this time, by the
// conversation's lifetime; nullopt: none. It outlives its conversation's expiry for as long again,
// so that the service removes none from a living conversation before its time is renewed
// (renewer.h).
std::optional<std::int64_t> removal_time_s(const std::optional<std::int64_t>& lifetime_seconds,
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
inline constexpr std::string_view kKeyedRange = "key";
std::string keyed_hash_key(const UserId& user, std::string_view key);
void write_item(JsonWriter& json, const KeyedItem& item);
KeyedItem read_keyed(const boost::json::object& item);

// How far the tables' removal times follow the servers' retention; 0 seconds stand for none.
struct RetentionItem {
  std::int64_t applied_seconds = 0;  // to all conversations; -1: a pass was begun since
  std::int64_t applied_at_s = 0;
  std::int64_t target_seconds = 0;  // of the pass that was begun
  std::int64_t begun_at_s = 0;      // when that was; applied_at_s is this of the last that ended
  std::int64_t changed_at_s = 0;    // when the target became another; 0: it never has
  // The shortest that servers may have written by since before that; 0: none.
  std::int64_t previous_seconds = 0;
  std::string position;  // that it has come to
  std::int64_t claimed_until_s = 0;
  std::string stamp;  // another with each write
};
void write_item(JsonWriter& json, const RetentionItem& item);
RetentionItem read_retention(const boost::json::object& item);
inline constexpr std::string_view kRetentionHashKey = "retention#";
inline constexpr std::string_view kRetentionRangeKey = "pass";

// A deletion that is not finished; where the conversation is there, removal times of its messages
// that are to be set.
struct PurgeItem {
  ConversationId conversation_id;
  UserId user_id;
  std::int64_t deleted_at_s = 0;
  std::int64_t claimed_until_s = 0;  // a server is at it
  std::string stamp;  // of a conversation that is being taken (taker.h); empty: it was deleted
  bool operator==(const PurgeItem&) const = default;
};
// Of a user whose erasure has begun.
struct ErasingItem {
  UserId user_id;
  std::int64_t begun_at_ms = 0;
  std::int64_t sealed_at_ms = 0;
  std::set<std::string> acknowledged;  // the servers that have
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
