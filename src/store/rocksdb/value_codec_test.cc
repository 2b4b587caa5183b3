#include "store/rocksdb/value_codec.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace colloquy::store {
namespace {

MessageId message_id(std::uint64_t n) { return MessageId(Uuid::make_v7(0x0102030405, 1, n)); }

std::string hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (char c : bytes) {
    auto byte = static_cast<unsigned char>(c);
    out.push_back(kDigits[byte >> 4]);
    out.push_back(kDigits[byte & 15]);
  }
  return out;
}

std::string unhex(std::string_view digits) {
  std::string out;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    out.push_back(static_cast<char>(std::stoi(std::string(digits.substr(i, 2)), nullptr, 16)));
  }
  return out;
}

template <class T>
std::string encoded(const T& value) {
  std::string out;
  encode(value, out);
  return out;
}

ConversationRecord conversation_sample() {
  ConversationRecord record;
  auto& conversation = record.conversation;
  conversation.title = "title";
  conversation.created_at_s = 1'700'000'000;
  conversation.updated_at_s = 1'700'000'100;
  conversation.message_count = 300;
  conversation.version = 7;
  conversation.pinned = true;
  conversation.archived = true;
  conversation.system_prompt = "be kind";
  conversation.metadata = {{"a", "1"}, {"b", ""}};
  conversation.ttl_seconds = 3600;
  record.last_message_id = message_id(9);
  record.expiry_indexed_at_s = 1'700'003'600;
  return record;
}

ConversationRecord conversation_sample_2() {
  auto record = conversation_sample();
  auto& conversation = record.conversation;
  conversation.context = {20, 300, true};
  conversation.summary = ContextSummary{"in short", message_id(7), 2};
  conversation.tree.branches = {{0, message_id(1), message_id(4)}, {1, {}, message_id(6)}};
  conversation.tree.active = 1;
  conversation.tree.active_up_to = message_id(5);
  record.tip = message_id(8);
  return record;
}

MessageRecord message_sample() {
  MessageRecord record;
  auto& message = record.message;
  message.role = Role::kAssistant;
  message.content = std::string("h\0i", 3);
  message.timestamp_s = 1'700'000'000;
  message.status = MessageStatus::kRunning;
  message.finish_reason = FinishReason::kLength;
  message.metadata = {{"k", "v"}};
  message.model = "m";
  message.usage = Usage{-1, 200};
  message.client_message_id = "c";
  message.branch = 5;
  record.owner = message_id(3).uuid();
  record.lease_until_s = 1'700'000'060;
  return record;
}

MessageRecord prompt_sample() {
  MessageRecord record;
  record.message.content = "see";
  record.message.attachments = {"notes/a.txt", "b"};
  return record;
}

IdempotencyRecord idempotency_sample() {
  IdempotencyRecord record;
  record.kind = IdempotentKind::kTurn;
  record.fingerprint.fill(0xab);
  record.expires_at_s = 1'700'000'000;
  record.conversation_id = ConversationId(message_id(1).uuid());
  record.message_id = message_id(2);
  record.reply_id = message_id(3);
  return record;
}

TEST(ValueCodec, EveryRecordRoundTrips) {
  auto conversation = conversation_sample();
  EXPECT_EQ(decode_conversation(encoded(conversation)), conversation);
  EXPECT_EQ(decode_conversation(encoded(ConversationRecord{})), ConversationRecord{});
  EXPECT_EQ(decode_conversation(encoded(conversation_sample_2())), conversation_sample_2());
  conversation.conversation.context.summary = false;
  conversation.conversation.held_until_s = 1'700'000'700;
  EXPECT_EQ(decode_conversation(encoded(conversation)), conversation);
  EXPECT_EQ(decode_message(encoded(message_sample())), message_sample());
  EXPECT_EQ(decode_message(encoded(MessageRecord{})), MessageRecord{});
  EXPECT_EQ(decode_message(encoded(prompt_sample())), prompt_sample());
  EXPECT_EQ(decode_idempotency(encoded(idempotency_sample())), idempotency_sample());
  Counters counters{1, 1ULL << 63, 1'700'000'000'000, ConversationId(message_id(1).uuid())};
  EXPECT_EQ(decode_counters(encoded(counters)), counters);
}

TEST(ValueCodec, DetailsAreKeptApartWhereTheRecordSaysSo) {
  auto record = conversation_sample_2();
  record.details_generation = 7;
  auto decoded = decode_conversation(encoded(record));
  EXPECT_EQ(decoded.conversation.system_prompt, "");
  EXPECT_EQ(decoded.conversation.summary, std::nullopt);
  EXPECT_TRUE(decoded.conversation.metadata.empty());
  std::string details;
  encode_details(record.conversation, details);
  decode_details(details, decoded.conversation);
  EXPECT_EQ(decoded, record);
}

TEST(ValueCodec, TheTimeCanBeSetAfterEncoding) {
  auto bytes = encoded(message_sample());
  set_timestamp(bytes, 42);
  auto expected = message_sample();
  expected.message.timestamp_s = 42;
  EXPECT_EQ(decode_message(bytes), expected);
}

// These bytes are on people's disks: a later version of the program must still read them.
TEST(ValueCodec, Version1IsReadForEver) {
  const std::string conversation =
      "01057469746c6580c49fd50cc8c59fd50cac020707a03800010203040570018000000000000009a0fc9fd50c0007"
      "6265206b696e640201610131016200";
  const std::string message =
      "01000000006553f100020102030503680069016d016301016b017601900300010203040570018000000000000003"
      "f8c49fd50c";
  const std::string idempotency =
      "0103abababababababababababababababababababababababababababababababab80c49fd50c00010203040570"
      "01800000000000000100010203040570018000000000000002000102030405700180000000000000"
      "03";
  EXPECT_EQ(decode_conversation(unhex(conversation)), conversation_sample());
  EXPECT_EQ(decode_message(unhex(message)), message_sample());
  EXPECT_EQ(decode_idempotency(unhex(idempotency)), idempotency_sample());
  const std::string details = "01076265206b696e640201610131016200";
  Conversation with_details;
  decode_details(unhex(details), with_details);
  EXPECT_EQ(with_details.system_prompt, "be kind");
  EXPECT_EQ(with_details.metadata, conversation_sample().conversation.metadata);
  // As long as version 1 is what is written.
  EXPECT_EQ(hex(encoded(message_sample())), message);
  EXPECT_EQ(hex(encoded(idempotency_sample())), idempotency);
}

TEST(ValueCodec, AttachmentsAreReadForEver) {
  const std::string message =
      "010000000000000000010000040003736565000000020b6e6f7465732f612e7478740162";
  EXPECT_EQ(hex(encoded(prompt_sample())), message);
  EXPECT_EQ(decode_message(unhex(message)), prompt_sample());
}

TEST(ValueCodec, Version2OfAConversationIsReadForEver) {
  const std::string conversation =
      "02057469746c6580c49fd50cc8c59fd50cac0207b701a0380f14ac02020000010203040570018000000000000001"
      "00010203040570018000000000000004010000000000000000000000000000000000010203040570018000000000"
      "00000601010001020304057001800000000000000500010203040570018000000000000009000102030405700180"
      "00000000000008a0fc9fd50c00076265206b696e6402016101310162000108696e2073686f727400010203040570"
      "01800000000000000702";
  const std::string details =
      "02076265206b696e6402016101310162000108696e2073686f72740001020304057001800000000000000702";
  EXPECT_EQ(decode_conversation(unhex(conversation)), conversation_sample_2());
  Conversation with_details;
  decode_details(unhex(details), with_details);
  EXPECT_EQ(with_details.summary, conversation_sample_2().conversation.summary);
  // As long as version 2 is what is written.
  EXPECT_EQ(hex(encoded(conversation_sample_2())), conversation);
  std::string written;
  encode_details(conversation_sample_2().conversation, written);
  EXPECT_EQ(hex(written), details);
}

template <class Decode>
void expect_refused_when_damaged(const std::string& bytes, Decode decode) {
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    // A copy of exactly this size, so that the address sanitizer sees a read past it.
    std::string cut = bytes.substr(0, length);
    EXPECT_THROW(decode(cut), Error) << length;
  }
  EXPECT_THROW(decode(bytes + '\0'), Error);
  auto newer = bytes;
  newer[0] = kConversationVersion + 1;
  try {
    decode(newer);
    FAIL() << "an unknown version was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInternal);
  }
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      auto flipped = bytes;
      flipped[at] = static_cast<char>(flipped[at] ^ (1 << bit));
      try {
        decode(flipped);  // some flips give another valid value; RocksDB's checksums see those
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kInternal);
      }
    }
  }
}

TEST(ValueCodec, WhatIsCutGarbledOrNewerIsRefused) {
  expect_refused_when_damaged(encoded(conversation_sample()), decode_conversation);
  expect_refused_when_damaged(encoded(conversation_sample_2()), decode_conversation);
  expect_refused_when_damaged(encoded(message_sample()), decode_message);
  expect_refused_when_damaged(encoded(prompt_sample()), decode_message);
  expect_refused_when_damaged(encoded(idempotency_sample()), decode_idempotency);
  expect_refused_when_damaged(encoded(Counters{300, 300, 300, {}}), decode_counters);
  EXPECT_THROW(decode_counters(std::string("\x01") + std::string(20, '\xff')), Error);
}

}  // namespace
}  // namespace colloquy::store
