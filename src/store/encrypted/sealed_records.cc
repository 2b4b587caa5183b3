#include "store/encrypted/sealed_records.h"

#include <utility>

#include "base/sha256.h"
#include "base/text.h"

namespace colloquy::store {
namespace {

constexpr const char* kSealedPair = "~sealed";

TextPlace place_of(TextKind kind, const ConversationId& conversation) {
  return {kind, Role::kSystem, conversation, std::nullopt};
}
TextPlace place_of(TextKind kind, Role role, const ConversationId& conversation,
                   const MessageId& message) {
  return {kind, role, conversation, message};
}
// A summary is of the messages up to that one.
TextPlace place_of(const ContextSummary& summary, const ConversationId& conversation) {
  return {TextKind::kSummary, Role::kSystem, conversation, summary.up_to};
}

std::string_view sealed_of(std::string_view prefix, const Metadata& pairs) {
  if (pairs.size() != 1 || pairs.begin()->first != kSealedPair) return {};
  const auto& value = pairs.begin()->second;
  return value.starts_with(prefix) ? std::string_view(value) : std::string_view();
}

std::string_view sealed_of(std::string_view prefix, const Attachments& paths) {
  if (paths.size() != 1 || !paths.front().starts_with(prefix)) return {};
  return paths.front();
}

// As one path.
Attachments sealed(const TextSealer& sealer, const Attachments& paths, const TextPlace& place) {
  if (paths.empty()) return {};
  return {sealer.seal(joined(paths), place)};
}

void open(const TextSealer& sealer, std::string_view prefix, std::string& text,
          const TextPlace& place) {
  if (text.starts_with(prefix)) text = sealer.open(text, place);
}

void open(const TextSealer& sealer, std::string_view prefix, Metadata& pairs,
          const TextPlace& place) {
  auto text = sealed_of(prefix, pairs);
  if (!text.empty()) pairs = split(sealer.open(text, place));
}

void open(const TextSealer& sealer, std::string_view prefix, Attachments& paths,
          const TextPlace& place) {
  auto text = sealed_of(prefix, paths);
  if (!text.empty()) paths = split_paths(sealer.open(text, place));
}

// As one pair.
Metadata sealed(const TextSealer& sealer, const Metadata& pairs, const TextPlace& place) {
  if (pairs.empty()) return {};
  return {{kSealedPair, sealer.seal(joined(pairs), place)}};
}

class RecordSealing final : public Sealing {
 public:
  explicit RecordSealing(TextSealer sealer) : sealer_(std::move(sealer)) {}
  void seal(Conversation& conversation) const override { store::seal(sealer_, conversation); }
  void seal(const ConversationId& conversation, Message& message) const override {
    store::seal(sealer_, conversation, message);
  }

 private:
  const TextSealer sealer_;
};

}  // namespace

std::shared_ptr<const Sealing> make_sealing(TextSealer sealer) {
  return std::make_shared<const RecordSealing>(std::move(sealer));
}

void seal(const TextSealer& sealer, Conversation& conversation) {
  auto& c = conversation;
  c.title = sealer.seal(c.title, place_of(TextKind::kTitle, c.id));
  c.system_prompt = sealer.seal(c.system_prompt, place_of(TextKind::kSystemPrompt, c.id));
  c.metadata = sealed(sealer, c.metadata, place_of(TextKind::kMetadata, c.id));
  if (c.summary) c.summary->text = sealer.seal(c.summary->text, place_of(*c.summary, c.id));
}

void seal(const TextSealer& sealer, const ConversationId& conversation, Message& message) {
  auto& m = message;
  auto place = [&](TextKind kind) { return place_of(kind, m.role, conversation, m.id); };
  m.content = sealer.seal(m.content, place(TextKind::kContent));
  m.metadata = sealed(sealer, m.metadata, place(TextKind::kMessageMetadata));
  m.client_message_id = sealer.seal(m.client_message_id, place(TextKind::kClientId));
  m.attachments = sealed(sealer, m.attachments, place(TextKind::kAttachments));
}

IdempotencyKey sealed(const TextSealer& sealer, IdempotencyKey key) {
  key.key = to_hex(bytes_of(sealer.key().digest("idempotency key " + key.key)));
  std::string request("idempotent request ");
  request += bytes_of(key.fingerprint);
  key.fingerprint = sealer.key().digest(request);
  return key;
}

std::string_view find_sealed(std::string_view prefix, const Conversation& conversation) {
  const auto& c = conversation;
  if (c.title.starts_with(prefix)) return c.title;
  if (c.system_prompt.starts_with(prefix)) return c.system_prompt;
  if (c.summary && c.summary->text.starts_with(prefix)) return c.summary->text;
  return sealed_of(prefix, c.metadata);
}

std::string_view find_sealed(std::string_view prefix, const Message& message) {
  if (message.content.starts_with(prefix)) return message.content;
  if (message.client_message_id.starts_with(prefix)) return message.client_message_id;
  auto paths = sealed_of(prefix, message.attachments);
  return paths.empty() ? sealed_of(prefix, message.metadata) : paths;
}

void open(const TextSealer& sealer, std::string_view prefix, Conversation& conversation) {
  auto& c = conversation;
  open(sealer, prefix, c.title, place_of(TextKind::kTitle, c.id));
  open(sealer, prefix, c.system_prompt, place_of(TextKind::kSystemPrompt, c.id));
  open(sealer, prefix, c.metadata, place_of(TextKind::kMetadata, c.id));
  if (c.summary) open(sealer, prefix, c.summary->text, place_of(*c.summary, c.id));
}

void open(const TextSealer& sealer, std::string_view prefix, const ConversationId& conversation,
          Message& message) {
  auto& m = message;
  auto place = [&](TextKind kind) { return place_of(kind, m.role, conversation, m.id); };
  open(sealer, prefix, m.content, place(TextKind::kContent));
  open(sealer, prefix, m.metadata, place(TextKind::kMessageMetadata));
  open(sealer, prefix, m.client_message_id, place(TextKind::kClientId));
  open(sealer, prefix, m.attachments, place(TextKind::kAttachments));
}

}  // namespace colloquy::store
