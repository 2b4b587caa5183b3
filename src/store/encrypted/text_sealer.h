// The form of a sealed text: "~sealed:", the keyring's id, ":", and in base64 a version, the id of
// the data key, nonce, encrypted text and tag. It is bound to its user, to what it is (a title, a
// content of which role, …), to its conversation and to its message: elsewhere it cannot be opened.
// What does not begin so with this keyring's id is plain text.
//
// Immutable; any thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "keyring/data_key.h"
#include "store/types.h"

namespace colloquy::store {

enum class TextKind : std::uint8_t {
  kTitle = 1,
  kSystemPrompt = 2,
  kMetadata = 3,
  kSummary = 4,
  kContent = 5,
  kMessageMetadata = 6,
  kClientId = 7,
  kAttachments = 8,
};

struct TextPlace {
  TextKind kind = TextKind::kTitle;
  Role role = Role::kSystem;  // of a message
  ConversationId conversation;
  std::optional<MessageId> message;  // nullopt: it is of none
};

// What seals with this keyring begin with.
std::string seal_prefix(std::string_view keyring_id);
// The id of the data key that it names; empty where it is garbled.
std::string data_key_of(std::string_view prefix, std::string_view sealed);

class TextSealer {
 public:
  TextSealer(std::string prefix, UserId user, std::shared_ptr<const keyring::DataKey> key);

  // Nothing is sealed as nothing.
  std::string seal(std::string_view text, const TextPlace& place) const;
  // A text that begins with the prefix. kInternal where it cannot be opened here.
  std::string open(std::string_view sealed, const TextPlace& place) const;
  const keyring::DataKey& key() const { return *key_; }

 private:
  std::string context(char version, const TextPlace& place) const;

  std::string prefix_;
  UserId user_;
  std::shared_ptr<const keyring::DataKey> key_;
};

// All pairs, or all paths, as one text, and back. kInternal for what is none.
std::string joined(const Metadata& pairs);
Metadata split(std::string_view text);
std::string joined(const Attachments& paths);
Attachments split_paths(std::string_view text);

}  // namespace colloquy::store
