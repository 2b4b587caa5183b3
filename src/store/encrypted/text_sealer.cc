#include "store/encrypted/text_sealer.h"

#include <cstdint>
#include <utility>

#include "base/base64.h"
#include "base/error.h"

namespace colloquy::store {
namespace {

constexpr std::string_view kMark = "~sealed:";
constexpr char kVersion = 1;
constexpr std::size_t kHeadBytes = 1 + keyring::kKeyIdBytes;
constexpr std::size_t kLengthBytes = 4;

void put_length(std::string& out, std::size_t length) {
  for (std::size_t i = 0; i < kLengthBytes; ++i) {
    out.push_back(static_cast<char>(static_cast<std::uint8_t>(length >> (8 * i))));
  }
}
void put(std::string& out, std::string_view text) {
  put_length(out, text.size());
  out.append(text);
}

std::string_view take(std::string_view& text) {
  std::size_t length = 0;
  if (text.size() < kLengthBytes) throw internal_error("a sealed list is cut");
  for (std::size_t i = 0; i < kLengthBytes; ++i) {
    length |= std::size_t{static_cast<std::uint8_t>(text[i])} << (8 * i);
  }
  text.remove_prefix(kLengthBytes);
  if (length > text.size()) throw internal_error("a sealed list is cut");
  auto taken = text.substr(0, length);
  text.remove_prefix(length);
  return taken;
}

std::string_view name_of(TextKind kind) {
  switch (kind) {
    case TextKind::kTitle:
      return "title";
    case TextKind::kSystemPrompt:
      return "system prompt";
    case TextKind::kMetadata:
      return "metadata";
    case TextKind::kSummary:
      return "summary";
    case TextKind::kContent:
      return "content";
    case TextKind::kMessageMetadata:
      return "metadata of a message";
    case TextKind::kClientId:
      return "client id";
    case TextKind::kAttachments:
      return "attachments";
  }
  return "text";
}

Error unreadable(const TextPlace& place, std::string_view why) {
  std::string detail = "the " + std::string(name_of(place.kind));
  if (place.message) detail += " of message " + place.message->to_string();
  detail += " in conversation " + place.conversation.to_string();
  return internal_error(detail + " cannot be decrypted: " + std::string(why));
}

}  // namespace

std::string seal_prefix(std::string_view keyring_id) {
  std::string prefix(kMark);
  prefix += keyring_id;
  return prefix + ":";
}

std::string data_key_of(std::string_view prefix, std::string_view sealed) {
  // So many letters that they stand for whole bytes.
  constexpr std::size_t kLetters = (kHeadBytes + 2) / 3 * 4;
  auto head = base64_decode(sealed.substr(prefix.size()).substr(0, kLetters));
  if (!head || head->size() < kHeadBytes) return {};
  return head->substr(1, keyring::kKeyIdBytes);
}

TextSealer::TextSealer(std::string prefix, UserId user, std::shared_ptr<const keyring::DataKey> key)
    : prefix_(std::move(prefix)), user_(std::move(user)), key_(std::move(key)) {}

std::string TextSealer::context(char version, const TextPlace& place) const {
  std::string context(prefix_);
  context.push_back(version);
  context.push_back(static_cast<char>(place.kind));
  context.push_back(static_cast<char>(place.role));
  put(context, user_.value());
  context.append(place.conversation.uuid().raw());
  if (place.message) context.append(place.message->uuid().raw());
  return context;
}

std::string TextSealer::seal(std::string_view text, const TextPlace& place) const {
  if (text.empty()) return {};
  std::string bytes{kVersion};
  bytes += key_->id();
  bytes += key_->seal(text, context(kVersion, place));
  return prefix_ + base64_encode(bytes);
}

std::string TextSealer::open(std::string_view sealed, const TextPlace& place) const {
  auto bytes = base64_decode(sealed.substr(prefix_.size()));
  if (!bytes || bytes->size() < kHeadBytes + keyring::kSealBytes) {
    throw unreadable(place, "it was cut or garbled");
  }
  if (bytes->front() != kVersion) throw unreadable(place, "a newer server has written it");
  if (std::string_view(*bytes).substr(1, keyring::kKeyIdBytes) != key_->id()) {
    throw unreadable(place, "the key that it was sealed with is not in the keyring any more");
  }
  auto text = key_->open(std::string_view(*bytes).substr(kHeadBytes), context(kVersion, place));
  if (!text) throw unreadable(place, "it was changed, or is not where it was written");
  return std::move(*text);
}

std::string joined(const Metadata& pairs) {
  std::string text;
  for (const auto& [name, value] : pairs) {
    put(text, name);
    put(text, value);
  }
  return text;
}

Metadata split(std::string_view text) {
  Metadata pairs;
  while (!text.empty()) {
    auto name = take(text);
    auto value = take(text);
    pairs.emplace(name, value);
  }
  return pairs;
}

std::string joined(const Attachments& paths) {
  std::string text;
  for (const auto& path : paths) put(text, path);
  return text;
}

Attachments split_paths(std::string_view text) {
  Attachments paths;
  while (!text.empty()) paths.emplace_back(take(text));
  return paths;
}

}  // namespace colloquy::store
