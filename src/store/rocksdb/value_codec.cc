#include "store/rocksdb/value_codec.h"

#include <cstring>

#include "base/error.h"

namespace colloquy::store {
namespace {

constexpr std::size_t kTimestampOffset = 1;
constexpr std::size_t kTimestampBytes = 8;
// After the time come role, status, finish reason and the flags, a byte each.
constexpr std::size_t kBranchOffset = kTimestampOffset + kTimestampBytes + 4;

// Bits of a conversation's and of a message's flags.
constexpr std::uint64_t kPinned = 1;
constexpr std::uint64_t kArchived = 2;
constexpr std::uint64_t kHasTtl = 4;
constexpr std::uint64_t kHeld = 8;
constexpr std::uint64_t kHasContext = 16;
constexpr std::uint64_t kHasBranches = 32;
constexpr std::uint64_t kTipIsLast = 64;
constexpr std::uint64_t kHasTip = 128;
constexpr std::uint64_t kTemporary = 256;
// Bits of context settings: which there are, and what the last one is.
constexpr std::uint64_t kHasMessages = 1;
constexpr std::uint64_t kHasTokens = 2;
constexpr std::uint64_t kHasSummarySetting = 4;
constexpr std::uint64_t kSummarySetting = 8;
constexpr std::uint64_t kHasUsage = 1;
constexpr std::uint64_t kHasOwner = 2;
constexpr std::uint64_t kHasAttachments = 4;

void put_byte(std::string& out, std::uint8_t value) { out.push_back(static_cast<char>(value)); }

void put_unsigned(std::string& out, std::uint64_t value) {
  while (value >= 0x80) {
    put_byte(out, static_cast<std::uint8_t>(value | 0x80));
    value >>= 7;
  }
  put_byte(out, static_cast<std::uint8_t>(value));
}

void put_signed(std::string& out, std::int64_t value) {
  put_unsigned(out,
               (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63));
}

void put_string(std::string& out, std::string_view value) {
  put_unsigned(out, value.size());
  out.append(value);
}

void put_fixed_time(std::string& out, std::int64_t time_s) {
  auto value = static_cast<std::uint64_t>(time_s);
  for (int shift = 56; shift >= 0; shift -= 8)
    put_byte(out, static_cast<std::uint8_t>(value >> shift));
}

void put_metadata(std::string& out, const Metadata& metadata) {
  put_unsigned(out, metadata.size());
  for (const auto& [name, value] : metadata) {
    put_string(out, name);
    put_string(out, value);
  }
}

void put_attachments(std::string& out, const Attachments& paths) {
  put_unsigned(out, paths.size());
  for (const auto& path : paths) put_string(out, path);
}

void put_context(std::string& out, const ContextSettings& context) {
  put_unsigned(out, (context.messages ? kHasMessages : 0) | (context.tokens ? kHasTokens : 0) |
                        (context.summary ? kHasSummarySetting : 0) |
                        (context.summary.value_or(false) ? kSummarySetting : 0));
  if (context.messages) put_unsigned(out, *context.messages);
  if (context.tokens) put_unsigned(out, *context.tokens);
}

void put_branches(std::string& out, const BranchTable& tree) {
  put_unsigned(out, tree.branches.size());
  for (const auto& branch : tree.branches) {
    put_unsigned(out, branch.parent);
    out.append(branch.fork.raw());
    out.append(branch.first.raw());
  }
  put_unsigned(out, tree.active);
  put_byte(out, tree.active_up_to ? 1 : 0);
  if (tree.active_up_to) out.append(tree.active_up_to->raw());
}

void put_details(std::string& out, const Conversation& conversation) {
  put_string(out, conversation.system_prompt);
  put_metadata(out, conversation.metadata);
  put_byte(out, conversation.summary ? 1 : 0);
  if (!conversation.summary) return;
  put_string(out, conversation.summary->text);
  out.append(conversation.summary->up_to.raw());
  put_unsigned(out, conversation.summary->branch);
}

std::uint64_t tip_flag(const ConversationRecord& record) {
  if (!record.tip) return 0;
  return *record.tip == record.last_message_id ? kTipIsLast : kHasTip;
}

// Reads a value front to back; throws at the first thing that cannot be.
class Decoder {
 public:
  Decoder(std::string_view value, const char* what, std::uint8_t newest = kValueVersion)
      : rest_(value), what_(what), version_(byte()) {
    if (version_ < 1 || version_ > newest) fail("has an unknown version");
  }

  std::uint8_t version() const { return version_; }

  std::uint8_t byte() {
    if (rest_.empty()) fail("is cut off");
    auto value = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return value;
  }

  std::uint64_t unsigned_number() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      std::uint64_t part = byte();
      if (shift == 63 && part > 1) break;
      value |= (part & 0x7f) << shift;
      if (part < 0x80) return value;
    }
    fail("has a number that is too large");
  }

  std::int64_t signed_number() {
    auto value = unsigned_number();
    return static_cast<std::int64_t>((value >> 1) ^ (~(value & 1) + 1));
  }

  std::string_view bytes(std::size_t size) {
    if (size > rest_.size()) fail("is cut off");
    auto value = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return value;
  }

  std::string string() { return std::string(bytes(unsigned_number())); }
  Uuid uuid() { return *Uuid::from_bytes(bytes(16)); }

  std::int64_t fixed_time() {
    std::uint64_t value = 0;
    for (char c : bytes(kTimestampBytes)) value = value << 8 | static_cast<unsigned char>(c);
    return static_cast<std::int64_t>(value);
  }

  template <class Enum>
  Enum enumeration(Enum greatest) {
    auto value = byte();
    if (value > static_cast<std::uint8_t>(greatest)) fail("has a field out of range");
    return static_cast<Enum>(value);
  }

  Metadata metadata() {
    Metadata metadata;
    auto count = unsigned_number();
    for (std::uint64_t i = 0; i < count; ++i) {
      auto name = string();
      metadata.emplace_hint(metadata.end(), std::move(name), string());
    }
    return metadata;
  }

  Attachments attachments() {
    Attachments paths;
    auto count = unsigned_number();
    for (std::uint64_t i = 0; i < count; ++i) paths.push_back(string());
    return paths;
  }

  std::uint32_t small_number() {
    auto value = unsigned_number();
    if (value > UINT32_MAX) fail("has a number that is too large");
    return static_cast<std::uint32_t>(value);
  }

  ContextSettings context() {
    ContextSettings context;
    auto flags = unsigned_number();
    if ((flags & kHasMessages) != 0) context.messages = small_number();
    if ((flags & kHasTokens) != 0) context.tokens = small_number();
    if ((flags & kHasSummarySetting) != 0) context.summary = (flags & kSummarySetting) != 0;
    return context;
  }

  BranchTable branches() {
    BranchTable tree;
    auto count = unsigned_number();
    if (count == 0 || count > limits::kBranches) fail("has a number of branches out of range");
    for (std::uint32_t number = 1; number <= count; ++number) {
      Branch branch;
      branch.parent = small_number();
      branch.fork = MessageId(uuid());
      branch.first = MessageId(uuid());
      if (branch.parent >= number) fail("has a branch of itself");
      tree.branches.push_back(branch);
    }
    tree.active = small_number();
    if (tree.active > count) fail("has an active branch that it does not have");
    if (byte() != 0) tree.active_up_to = MessageId(uuid());
    return tree;
  }

  void details(Conversation& conversation) {
    conversation.system_prompt = string();
    conversation.metadata = metadata();
    if (version_ == 1 || byte() == 0) return;
    conversation.summary.emplace();
    conversation.summary->text = string();
    conversation.summary->up_to = MessageId(uuid());
    conversation.summary->branch = small_number();
  }

  void finish() const {
    if (!rest_.empty()) fail("has bytes left over");
  }

 private:
  [[noreturn]] void fail(const char* how) const {
    throw internal_error(std::string("a stored ") + what_ + " " + how);
  }

  std::string_view rest_;
  const char* what_;
  std::uint8_t version_;
};

}  // namespace

void encode(const ConversationRecord& record, std::string& out) {
  const auto& conversation = record.conversation;
  put_byte(out, kConversationVersion);
  put_string(out, conversation.title);
  put_signed(out, conversation.created_at_s);
  put_signed(out, conversation.updated_at_s);
  put_unsigned(out, conversation.message_count);
  put_unsigned(out, conversation.version);
  put_unsigned(out, (conversation.pinned ? kPinned : 0) | (conversation.archived ? kArchived : 0) |
                        (conversation.ttl_seconds ? kHasTtl : 0) |
                        (conversation.held_until_s != 0 ? kHeld : 0) |
                        (conversation.temporary ? kTemporary : 0) |
                        (conversation.context.empty() ? 0 : kHasContext) |
                        (conversation.tree.plain() ? 0 : kHasBranches) | tip_flag(record));
  if (conversation.ttl_seconds) put_signed(out, *conversation.ttl_seconds);
  if (conversation.held_until_s != 0) put_signed(out, conversation.held_until_s);
  if (!conversation.context.empty()) put_context(out, conversation.context);
  if (!conversation.tree.plain()) put_branches(out, conversation.tree);
  out.append(record.last_message_id.raw());
  if (tip_flag(record) == kHasTip) out.append(record.tip->raw());
  put_signed(out, record.expiry_indexed_at_s);
  put_unsigned(out, record.details_generation);
  if (record.details_generation == 0) put_details(out, conversation);
}

ConversationRecord decode_conversation(std::string_view value) {
  Decoder in(value, "conversation", kConversationVersion);
  ConversationRecord record;
  auto& conversation = record.conversation;
  conversation.title = in.string();
  conversation.created_at_s = in.signed_number();
  conversation.updated_at_s = in.signed_number();
  conversation.message_count = in.unsigned_number();
  conversation.version = in.unsigned_number();
  auto flags = in.unsigned_number();
  conversation.pinned = (flags & kPinned) != 0;
  conversation.archived = (flags & kArchived) != 0;
  conversation.temporary = (flags & kTemporary) != 0;
  if ((flags & kHasTtl) != 0) conversation.ttl_seconds = in.signed_number();
  if ((flags & kHeld) != 0) conversation.held_until_s = in.signed_number();
  if (in.version() > 1 && (flags & kHasContext) != 0) conversation.context = in.context();
  if (in.version() > 1 && (flags & kHasBranches) != 0) conversation.tree = in.branches();
  record.last_message_id = MessageId(in.uuid());
  if (in.version() > 1 && (flags & kTipIsLast) != 0) record.tip = record.last_message_id;
  if (in.version() > 1 && (flags & kHasTip) != 0) record.tip = MessageId(in.uuid());
  record.expiry_indexed_at_s = in.signed_number();
  record.details_generation = in.unsigned_number();
  if (record.details_generation == 0) in.details(conversation);
  in.finish();
  return record;
}

std::size_t details_bytes(const Conversation& conversation) {
  auto sum = conversation.system_prompt.size();
  if (conversation.summary) sum += conversation.summary->text.size();
  for (const auto& [name, value] : conversation.metadata) sum += name.size() + value.size();
  return sum;
}

void encode_details(const Conversation& conversation, std::string& out) {
  put_byte(out, kConversationVersion);
  put_details(out, conversation);
}

void decode_details(std::string_view value, Conversation& conversation) {
  Decoder in(value, "details record", kConversationVersion);
  in.details(conversation);
  in.finish();
}

void encode(const MessageRecord& record, std::string& out) {
  const auto& message = record.message;
  out.reserve(out.size() + message.content.size() + 64);
  put_byte(out, kValueVersion);
  put_fixed_time(out, message.timestamp_s);
  bool has_owner = record.owner != Uuid{};
  put_byte(out, static_cast<std::uint8_t>(message.role));
  put_byte(out, static_cast<std::uint8_t>(message.status));
  put_byte(out, static_cast<std::uint8_t>(message.finish_reason));
  put_unsigned(out, (message.usage ? kHasUsage : 0) | (has_owner ? kHasOwner : 0) |
                        (message.attachments.empty() ? 0 : kHasAttachments));
  put_unsigned(out, message.branch);
  put_string(out, message.content);
  put_string(out, message.model);
  put_string(out, message.client_message_id);
  put_metadata(out, message.metadata);
  if (message.usage) {
    put_signed(out, message.usage->prompt_tokens);
    put_signed(out, message.usage->completion_tokens);
  }
  if (has_owner) {
    out.append(record.owner.raw());
    put_signed(out, record.lease_until_s);
  }
  if (!message.attachments.empty()) put_attachments(out, message.attachments);
}

void set_timestamp(std::string& encoded_message, std::int64_t timestamp_s) {
  auto value = static_cast<std::uint64_t>(timestamp_s);
  for (std::size_t i = 0; i < kTimestampBytes; ++i) {
    encoded_message[kTimestampOffset + i] = static_cast<char>(value >> (56 - 8 * i));
  }
}

void set_branch(std::string& encoded_message, std::uint32_t branch) {
  std::string number;
  put_unsigned(number, branch);
  encoded_message.replace(kBranchOffset, 1, number);
}

std::uint32_t branch_of(std::string_view encoded_message) {
  Decoder in(encoded_message, "message");
  in.bytes(kBranchOffset - 1);
  return in.small_number();
}

MessageRecord decode_message(std::string_view value) {
  Decoder in(value, "message");
  MessageRecord record;
  auto& message = record.message;
  message.timestamp_s = in.fixed_time();
  message.role = in.enumeration(Role::kAssistant);
  message.status = in.enumeration(MessageStatus::kFailed);
  message.finish_reason = in.enumeration(FinishReason::kError);
  auto flags = in.unsigned_number();
  message.branch = in.small_number();
  message.content = in.string();
  message.model = in.string();
  message.client_message_id = in.string();
  message.metadata = in.metadata();
  if ((flags & kHasUsage) != 0) {
    message.usage.emplace();
    message.usage->prompt_tokens = in.signed_number();
    message.usage->completion_tokens = in.signed_number();
  }
  if ((flags & kHasOwner) != 0) {
    record.owner = in.uuid();
    record.lease_until_s = in.signed_number();
  }
  if ((flags & kHasAttachments) != 0) message.attachments = in.attachments();
  in.finish();
  return record;
}

void encode(const IdempotencyRecord& record, std::string& out) {
  put_byte(out, kValueVersion);
  put_byte(out, static_cast<std::uint8_t>(record.kind));
  out.append(reinterpret_cast<const char*>(record.fingerprint.data()), record.fingerprint.size());
  put_signed(out, record.expires_at_s);
  out.append(record.conversation_id.raw());
  out.append(record.message_id.raw());
  out.append(record.reply_id.raw());
}

IdempotencyRecord decode_idempotency(std::string_view value) {
  Decoder in(value, "idempotency record");
  IdempotencyRecord record;
  record.kind = in.enumeration(IdempotentKind::kTurn);
  auto fingerprint = in.bytes(record.fingerprint.size());
  std::memcpy(record.fingerprint.data(), fingerprint.data(), fingerprint.size());
  record.expires_at_s = in.signed_number();
  record.conversation_id = ConversationId(in.uuid());
  record.message_id = MessageId(in.uuid());
  record.reply_id = MessageId(in.uuid());
  in.finish();
  return record;
}

void encode(const Counters& counters, std::string& out) {
  put_byte(out, kValueVersion);
  put_unsigned(out, counters.conversations);
  put_unsigned(out, counters.messages);
  put_signed(out, counters.last_commit_ms);
  out.append(counters.last_conversation_id.raw());
}

Counters decode_counters(std::string_view value) {
  Decoder in(value, "counter record");
  Counters counters;
  counters.conversations = in.unsigned_number();
  counters.messages = in.unsigned_number();
  counters.last_commit_ms = in.signed_number();
  counters.last_conversation_id = ConversationId(in.uuid());
  in.finish();
  return counters;
}

void encode_format(std::uint64_t format, std::string& out) {
  put_byte(out, kValueVersion);
  put_unsigned(out, format);
}

std::uint64_t decode_format(std::string_view value) {
  Decoder in(value, "format record");
  auto format = in.unsigned_number();
  in.finish();
  return format;
}

}  // namespace colloquy::store
