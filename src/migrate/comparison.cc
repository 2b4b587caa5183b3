#include "migrate/comparison.h"

#include <unordered_map>
#include <utility>

namespace colloquy::migrate {
namespace {

using Digests = std::unordered_map<MessageId, Digest>;

std::string named(const store::Conversation& conversation) {
  return "the conversation " + conversation.id.to_string() + " of " + conversation.user_id.value();
}

}  // namespace

std::string first_difference(const store::Conversation& from, const store::Conversation& to) {
  if (from.title != to.title) return "title";
  if (from.created_at_s != to.created_at_s) return "created_at";
  if (from.updated_at_s != to.updated_at_s) return "updated_at";
  if (from.message_count != to.message_count) return "message_count";
  if (from.version != to.version) return "version";
  if (from.pinned != to.pinned) return "pinned";
  if (from.archived != to.archived) return "archived";
  if (from.system_prompt != to.system_prompt) return "system_prompt";
  if (from.metadata != to.metadata) return "metadata";
  if (from.ttl_seconds != to.ttl_seconds) return "ttl_seconds";
  if (from.context != to.context) return "context";
  if (from.summary != to.summary) return "summary";
  if (from.tree != to.tree) return "branches";
  return "";
}

Task<Compared> compare(store::Exporter& from, store::Importer& to,
                       store::MovedConversation conversation) {
  Compared compared;
  auto& difference = compared.difference;
  auto name = named(conversation.conversation);
  auto found = co_await to.find(conversation.conversation.user_id, conversation.conversation.id);
  Digests there;
  std::string position;
  if (found) {
    do {
      auto page = co_await to.messages(*found, position);
      for (const auto& message : page.messages) {
        auto digest = digest_of(message);
        compared.to.add(found->conversation.id, message, digest);
        there.emplace(message.id, digest);
      }
      position = std::move(page.next);
    } while (!position.empty());
    compared.to.add(found->conversation);
  } else {
    difference = name + " is not in the target";
  }
  do {
    auto page = co_await from.messages(conversation, position);
    for (const auto& message : page.messages) {
      auto digest = digest_of(message);
      compared.from.add(conversation.conversation.id, message, digest);
      auto at = there.find(message.id);
      bool same = at != there.end() && at->second == digest;
      if (!same && difference.empty()) {
        difference = "the message " + message.id.to_string() + " of " + name +
                     (at == there.end() ? " is not in the target" : " differs in the target");
      }
      if (at != there.end()) there.erase(at);
    }
    position = std::move(page.next);
  } while (!position.empty());
  conversation.conversation.message_count = compared.from.messages;
  compared.from.add(conversation.conversation);
  if (difference.empty() && !there.empty()) {
    difference = "the message " + there.begin()->first.to_string() + " of " + name +
                 " is in the target only";
  }
  if (difference.empty()) {
    auto field = first_difference(conversation.conversation, found->conversation);
    if (!field.empty()) difference = field + " of " + name + " differs in the target";
  }
  co_return compared;
}

}  // namespace colloquy::migrate
