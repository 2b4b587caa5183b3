#include "search/index_format.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.h"

namespace colloquy::search::index_format {
namespace {

// 42 bits of milliseconds since 2000 (until 2139), 21 bits that part documents of one millisecond.
constexpr std::int64_t kEpochMs = 946'684'800'000;
constexpr int kTieBits = 21;
constexpr std::int64_t kLatest = (std::int64_t{1} << 42) - 1;

}  // namespace

std::string user_code(std::int64_t user_number) {
  std::array<char, 16> digits{};
  auto* end = std::to_chars(digits.data(), digits.data() + digits.size(), user_number, 36).ptr;
  auto count = static_cast<std::size_t>(end - digits.data());
  // The length in front: 1 to 9 digits are a hundred million million users.
  std::string code(1, static_cast<char>('0' + count));
  return code.append(digits.data(), count);
}

std::string conversation_token(const ConversationId& conversation) {
  return "k" + to_hex(conversation.raw());
}

std::string words_of(std::string_view tokens, std::int64_t user_number,
                     const ConversationId& conversation) {
  const auto code = user_code(user_number);
  std::string words;
  words.reserve(tokens.size() * 2 + 64);
  bool begins = true;
  for (char c : tokens) {
    if (begins) words.append(code);
    begins = c == ' ';
    words.push_back(c);
  }
  words.push_back(' ');
  return words.append(conversation_token(conversation));
}

std::string match_expression(const Query& query, std::int64_t user_number,
                             const std::optional<ConversationId>& conversation) {
  const auto code = user_code(user_number);
  std::string out;
  for (const auto& phrase : query.phrases) {
    if (!out.empty()) out.append(" AND ");
    out.push_back('"');
    for (const auto& term : phrase.terms) {
      if (out.back() != '"') out.push_back(' ');
      out.append(code).append(term);
    }
    out.push_back('"');
    if (phrase.prefix) out.append(" *");
  }
  if (conversation) out.append(" AND \"").append(conversation_token(*conversation)).append("\"");
  return out;
}

std::int64_t document_id(std::int64_t time_ms, std::uint64_t tie) {
  auto ms = std::clamp<std::int64_t>(time_ms - kEpochMs, 0, kLatest);
  return ms << kTieBits | static_cast<std::int64_t>(tie & ((1U << kTieBits) - 1));
}

std::uint64_t document_tie(const ConversationId& conversation, const MessageId& message) {
  std::uint64_t mixed = 0;  // FNV-1a
  auto mix = [&mixed](const Uuid& id) {
    for (auto byte : id.bytes) mixed = (mixed ^ byte) * 0x100000001b3;
  };
  mix(conversation.uuid());
  mix(message.uuid());
  return mixed ^ mixed >> 32;
}

std::int64_t document_ms(std::int64_t document_id) { return (document_id >> kTieBits) + kEpochMs; }

}  // namespace colloquy::search::index_format
