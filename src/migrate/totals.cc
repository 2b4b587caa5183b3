#include "migrate/totals.h"

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "base/sha256.h"

namespace colloquy::migrate {
namespace {

void append(std::string& out, std::string_view text) {
  out += std::to_string(text.size());
  out.push_back(':');
  out += text;
}

void append(std::string& out, std::int64_t number) {
  out += std::to_string(number);
  out.push_back(';');
}

void append(std::string& out, const store::Metadata& metadata) {
  append(out, static_cast<std::int64_t>(metadata.size()));
  for (const auto& [name, value] : metadata) {
    append(out, name);
    append(out, value);
  }
}

void append(std::string& out, const store::ContextSettings& context) {
  append(out, context.messages ? static_cast<std::int64_t>(*context.messages) : -1);
  append(out, context.tokens ? static_cast<std::int64_t>(*context.tokens) : -1);
  append(out, context.summary ? static_cast<std::int64_t>(*context.summary) : -1);
}

void append(std::string& out, const std::optional<store::ContextSummary>& summary) {
  if (!summary) return append(out, std::int64_t{-1});
  append(out, summary->text);
  append(out, summary->up_to.raw());
  append(out, std::int64_t{summary->branch});
}

void append(std::string& out, const store::BranchTable& tree) {
  for (const auto& branch : tree.branches) {
    append(out, std::int64_t{branch.parent});
    append(out, branch.fork.raw());
    append(out, branch.first.raw());
  }
  append(out, std::int64_t{tree.active});
  append(out, tree.active_up_to.value_or(MessageId()).raw());
}

}  // namespace

Digest digest_of(const store::Message& message) {
  std::string head;
  append(head, message.id.raw());
  append(head, static_cast<std::int64_t>(message.role));
  append(head, message.timestamp_s);
  append(head, static_cast<std::int64_t>(message.status));
  append(head, static_cast<std::int64_t>(message.finish_reason));
  append(head, message.metadata);
  append(head, message.model);
  append(head, message.usage ? message.usage->prompt_tokens : -1);
  append(head, message.usage ? message.usage->completion_tokens : -1);
  append(head, message.client_message_id);
  append(head, static_cast<std::int64_t>(message.branch));
  for (const auto& path : message.attachments) append(head, path);
  auto whole = sha256({head, message.content});
  Digest digest;
  std::copy_n(whole.begin(), digest.size(), digest.begin());
  return digest;
}

void Totals::add(const store::Conversation& conversation) {
  std::string text;
  append(text, conversation.user_id.value());
  append(text, conversation.id.raw());
  append(text, conversation.title);
  append(text, conversation.created_at_s);
  append(text, conversation.updated_at_s);
  append(text, static_cast<std::int64_t>(conversation.message_count));
  append(text, static_cast<std::int64_t>(conversation.version));
  append(text, static_cast<std::int64_t>(conversation.pinned));
  append(text, static_cast<std::int64_t>(conversation.archived));
  append(text, conversation.system_prompt);
  append(text, conversation.metadata);
  append(text, conversation.ttl_seconds.value_or(-1));
  append(text, conversation.context);
  append(text, conversation.summary);
  append(text, conversation.tree);
  auto digest = sha256({text});
  ++conversations;
  checksum += leading_number(digest);
}

void Totals::add(const ConversationId& conversation, const store::Message& message,
                 const Digest& digest) {
  auto sum = sha256({conversation.raw(), bytes_of(digest)});
  ++messages;
  content_bytes += message.content.size();
  checksum += leading_number(sum);
}

std::string to_text(const Totals& totals) {
  std::array<char, 17> hex{};
  std::snprintf(hex.data(), hex.size(), "%016llx",
                static_cast<unsigned long long>(totals.checksum));
  return std::to_string(totals.conversations) + " conversations, " +
         std::to_string(totals.messages) + " messages, " + std::to_string(totals.content_bytes) +
         " bytes of content, checksum " + hex.data();
}

std::string to_line(const Totals& totals) {
  return std::to_string(totals.conversations) + " " + std::to_string(totals.messages) + " " +
         std::to_string(totals.content_bytes) + " " + std::to_string(totals.checksum);
}

std::optional<Totals> parse_totals(std::string_view line) {
  Totals totals;
  const char* at = line.data();
  const char* end = at + line.size();
  std::uint64_t* fields[] = {&totals.conversations, &totals.messages, &totals.content_bytes,
                             &totals.checksum};
  for (auto* field : fields) {
    if (field != fields[0]) {
      if (at == end || *at != ' ') return std::nullopt;
      ++at;
    }
    auto [next, error] = std::from_chars(at, end, *field);
    if (error != std::errc()) return std::nullopt;
    at = next;
  }
  if (at != end) return std::nullopt;
  return totals;
}

}  // namespace colloquy::migrate
