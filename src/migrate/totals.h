// What was counted of one side of a move. Pure; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "store/types.h"

namespace colloquy::migrate {

using Digest = std::array<std::uint8_t, 16>;

// Over everything that moves of it.
Digest digest_of(const store::Message& message);

struct Totals {
  std::uint64_t conversations = 0;
  std::uint64_t messages = 0;
  std::uint64_t content_bytes = 0;
  // A sum of digests over ids and all that moves; it does not depend on the order.
  std::uint64_t checksum = 0;

  void add(const store::Conversation& conversation);
  void add(const ConversationId& conversation, const store::Message& message, const Digest& digest);
  bool operator==(const Totals&) const = default;
};

// "12 conversations, 340 messages, 5678 bytes of content, checksum 0123456789abcdef".
std::string to_text(const Totals& totals);
// Four numbers in one line, and back; nullopt where it is not such a line.
std::string to_line(const Totals& totals);
std::optional<Totals> parse_totals(std::string_view line);

}  // namespace colloquy::migrate
