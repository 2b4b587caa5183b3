// The values of the embedded store, byte for byte.
//
// Every value begins with the version of its format. Numbers are variable-length
// (7 bits a byte, low bits first; signed ones zigzag), strings are a length and
// their bytes. A decoder reads every version ever written and consumes a value
// to its last byte; a version it does not know, or a value that is cut or
// garbled, throws Error(kInternal) and never reads outside it. Pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "store/types.h"

namespace colloquy::store {

inline constexpr std::uint8_t kValueVersion = 1;
// Of a conversation and its details: with 2 came the context settings, the summary and branches.
inline constexpr std::uint8_t kConversationVersion = 2;
// Of the database as a whole; a database with a greater one is not opened, one with a smaller one
// is from then on of this one.
inline constexpr std::uint64_t kDatabaseFormat = 2;

// A conversation and what the store needs to know beside it. The key holds user and id.
struct ConversationRecord {
  Conversation conversation;
  MessageId last_message_id;  // the greatest id ever given in it
  // The newest message on the active way; nil: there is none; nullopt: it is to be looked up.
  std::optional<MessageId> tip;
  std::int64_t expiry_indexed_at_s = 0;  // the time of its entry in the expiry index; 0: none
  std::uint64_t details_generation =
      0;  // not 0: system prompt, metadata and summary stand in a details record
  bool operator==(const ConversationRecord&) const = default;
};

// A message and, while it is a running answer, who runs it. The key holds the id.
struct MessageRecord {
  Message message;
  Uuid owner;                      // the instance of the store that ran start_turn
  std::int64_t lease_until_s = 0;  // past this the answer is interrupted
  bool operator==(const MessageRecord&) const = default;
};

enum class IdempotentKind : std::uint8_t { kConversation = 1, kMessage = 2, kTurn = 3 };

struct IdempotencyRecord {
  IdempotentKind kind = IdempotentKind::kConversation;
  std::array<std::uint8_t, 32> fingerprint{};
  std::int64_t expires_at_s = 0;
  ConversationId conversation_id;
  MessageId message_id;  // the message, or the turn's prompt
  MessageId reply_id;    // turns only
  bool operator==(const IdempotencyRecord&) const = default;
};

struct Counters {
  std::uint64_t conversations = 0;
  std::uint64_t messages = 0;
  std::int64_t last_commit_ms = 0;
  ConversationId last_conversation_id;
  bool operator==(const Counters&) const = default;
};

// Appends to `out`. System prompt, metadata and summary are left out where details_generation is
// set.
void encode(const ConversationRecord& record, std::string& out);
void encode_details(const Conversation& conversation, std::string& out);
void encode(const MessageRecord& record, std::string& out);
void encode(const IdempotencyRecord& record, std::string& out);
void encode(const Counters& counters, std::string& out);
void encode_format(std::uint64_t format, std::string& out);

// How much of a conversation is its system prompt, metadata and summary.
std::size_t details_bytes(const Conversation& conversation);

// Sets the time in an encoded message, so that it can be encoded before the commit that dates it.
void set_timestamp(std::string& encoded_message, std::int64_t timestamp_s);
// The same for the branch, which must not have been set before.
void set_branch(std::string& encoded_message, std::uint32_t branch);
// Of an encoded message, without the rest of it.
std::uint32_t branch_of(std::string_view encoded_message);

ConversationRecord decode_conversation(std::string_view value);
void decode_details(std::string_view value, Conversation& conversation);
MessageRecord decode_message(std::string_view value);
IdempotencyRecord decode_idempotency(std::string_view value);
Counters decode_counters(std::string_view value);
std::uint64_t decode_format(std::string_view value);

}  // namespace colloquy::store
