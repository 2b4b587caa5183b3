// ChatGPT's conversations.json and Open WebUI's export of chats.
#include <boost/json/array.hpp>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "exchange/formats.h"
#include "exchange/json_fields.h"

namespace colloquy::exchange {
namespace {

using boost::json::array;
using boost::json::object;

// A node of a tree, with what there is to say of it; nullopt: nothing that Colloquy has a place
// for.
struct Node {
  std::string parent;
  std::optional<store::Message> message;
  const std::string* nearest = nullptr;  // once it was looked for, where there is no message
};
using Nodes = std::map<std::string, Node>;

// The text of a message's parts, where what is no text is noted by its kind.
std::string text_of(const array& parts) {
  std::string text;
  for (const auto& part : parts) {
    std::string piece;
    if (part.is_string()) {
      piece = std::string(part.get_string());
    } else if (const auto* about = part.if_object()) {
      auto kind = string_at(*about, "content_type");
      if (!kind) kind = string_at(*about, "type");
      auto said = string_at(*about, "text");
      piece = said ? *said : "[" + kind.value_or("attachment") + "]";
    }
    if (piece.empty()) continue;
    if (!text.empty()) text += "\n";
    text += piece;
  }
  return text;
}

std::string content_of(const object& message) {
  if (auto plain = string_at(message, "content")) return *plain;
  if (const auto* parts = array_at(message, "content")) return text_of(*parts);
  const auto* content = object_at(message, "content");
  if (content == nullptr) return {};
  if (const auto* parts = array_at(*content, "parts")) return text_of(*parts);
  return string_at(*content, "text").value_or("");
}

std::optional<store::Message> chatgpt_message(const object& node, std::int64_t usual_time_s) {
  const auto* from = object_at(node, "message");
  if (from == nullptr) return std::nullopt;
  const auto* author = object_at(*from, "author");
  auto role = store::parse_role(author == nullptr ? "" : string_at(*author, "role").value_or(""));
  const auto* about = object_at(*from, "metadata");
  bool hidden = about != nullptr && boolean_at(*about, "is_visually_hidden_from_conversation");
  auto content = content_of(*from);
  if (!role || hidden || content.empty()) return std::nullopt;
  store::Message message;
  message.role = *role;
  message.content = std::move(content);
  message.timestamp_s = time_at(*from, "create_time").value_or(usual_time_s);
  if (message.role == store::Role::kAssistant) {
    if (about != nullptr) message.model = string_at(*about, "model_slug").value_or("");
    bool cut = string_at(*from, "status") == "in_progress";
    message.status = cut ? store::MessageStatus::kInterrupted : store::MessageStatus::kComplete;
    message.finish_reason = cut ? store::FinishReason::kNone : store::FinishReason::kStop;
  }
  return message;
}

std::optional<store::Message> open_webui_message(const object& from, std::int64_t usual_time_s) {
  auto role = store::parse_role(string_at(from, "role").value_or(""));
  auto content = content_of(from);
  if (!role || content.empty()) return std::nullopt;
  store::Message message;
  message.role = *role;
  message.content = std::move(content);
  message.timestamp_s = time_at(from, "timestamp").value_or(usual_time_s);
  if (message.role == store::Role::kAssistant) {
    message.model = string_at(from, "model").value_or("");
    message.finish_reason = store::FinishReason::kStop;
  }
  return message;
}

// The nearest that stays, from `from` on towards the first; empty: none. No node is passed twice,
// however often it is asked.
const std::string& nearest(Nodes& nodes, const std::string& from) {
  static const std::string kNone;
  std::vector<Node*> passed;
  const std::string* found = &kNone;
  for (auto at = nodes.find(from); at != nodes.end(); at = nodes.find(at->second.parent)) {
    auto& node = at->second;
    if (node.message || node.nearest != nullptr) {
      found = node.message ? &at->first : node.nearest;
      break;
    }
    node.nearest = &kNone;  // where the way comes here again, it is a circle
    passed.push_back(&node);
  }
  for (auto* node : passed) node->nearest = found;
  return *found;
}

void require_few(std::size_t nodes, const ImportLimits& limits) {
  if (nodes <= limits.nodes) return;
  throw Error(ErrorCode::kInvalid, "It has more than " + std::to_string(limits.nodes) + " nodes.");
}

// `order`: the ids as the file has them.
void take_nodes(Draft& draft, Nodes nodes, const std::vector<std::string>& order,
                const std::string& active) {
  draft.active = nearest(nodes, active);
  for (const auto& id : order) {
    const auto& node = nodes.at(id);
    if (!node.message) continue;
    auto& message = draft.messages.emplace_back();
    message.id = id;
    message.parent = nearest(nodes, node.parent);
  }
  for (auto& message : draft.messages) {
    message.message = std::move(*nodes.at(message.id).message);
  }
}

void set_times(Draft& draft, const object& from, std::string_view created,
               std::string_view updated) {
  auto& conversation = draft.conversation;
  conversation.created_at_s = time_at(from, created).value_or(0);
  conversation.updated_at_s = time_at(from, updated).value_or(conversation.created_at_s);
}

}  // namespace

Draft read_chatgpt(const object& from, const ImportLimits& limits) {
  Draft draft;
  draft.source = "chatgpt";
  draft.id = string_at(from, "conversation_id").value_or(string_at(from, "id").value_or(""));
  draft.conversation.title = string_at(from, "title").value_or("");
  draft.conversation.archived = boolean_at(from, "is_archived");
  draft.conversation.pinned = boolean_at(from, "is_starred");
  set_times(draft, from, "create_time", "update_time");
  const auto* mapping = object_at(from, "mapping");
  if (mapping == nullptr) throw Error(ErrorCode::kInvalid, "It has no mapping.");
  require_few(mapping->size(), limits);
  if (draft.id.empty()) {
    draft.id = draft.conversation.title + "\n" + std::to_string(draft.conversation.created_at_s);
  }
  Nodes nodes;
  std::vector<std::string> order;
  for (const auto& [id, value] : *mapping) {
    const auto* about = value.if_object();
    if (about == nullptr) continue;
    Node node;
    node.parent = string_at(*about, "parent").value_or("");
    node.message = chatgpt_message(*about, draft.conversation.created_at_s);
    bool said = object_at(*about, "message") != nullptr;
    if (said && !node.message) ++draft.left_out;
    if (nodes.emplace(std::string(id), std::move(node)).second) order.emplace_back(id);
  }
  take_nodes(draft, std::move(nodes), order, string_at(from, "current_node").value_or(""));
  return draft;
}

Draft read_open_webui(const object& from, const ImportLimits& limits) {
  Draft draft;
  draft.source = "open-webui";
  draft.id = string_at(from, "id").value_or("");
  const auto* chat = object_at(from, "chat");
  if (chat == nullptr) throw Error(ErrorCode::kInvalid, "It has no chat.");
  draft.conversation.title =
      string_at(from, "title").value_or(string_at(*chat, "title").value_or(""));
  draft.conversation.archived = boolean_at(from, "archived");
  draft.conversation.pinned = boolean_at(from, "pinned");
  draft.conversation.system_prompt = string_at(*chat, "system").value_or("");
  set_times(draft, from, "created_at", "updated_at");
  if (draft.id.empty()) {
    draft.id = draft.conversation.title + "\n" + std::to_string(draft.conversation.created_at_s);
  }
  Nodes nodes;
  std::vector<std::string> order;
  auto add = [&](std::string id, std::string parent, const object& about) {
    Node node;
    node.parent = std::move(parent);
    node.message = open_webui_message(about, draft.conversation.created_at_s);
    if (!node.message) ++draft.left_out;
    if (nodes.emplace(id, std::move(node)).second) order.push_back(std::move(id));
  };
  const auto* history = object_at(*chat, "history");
  const auto* messages = history == nullptr ? nullptr : object_at(*history, "messages");
  const auto* list = array_at(*chat, "messages");
  std::string active;
  if (messages != nullptr && (!messages->empty() || list == nullptr)) {
    require_few(messages->size(), limits);
    for (const auto& [id, value] : *messages) {
      const auto* about = value.if_object();
      if (about != nullptr)
        add(std::string(id), string_at(*about, "parentId").value_or(""), *about);
    }
    active = string_at(*history, "currentId").value_or("");
  } else if (list != nullptr) {
    // An old one: no tree, one after the other.
    require_few(list->size(), limits);
    for (const auto& value : *list) {
      const auto* about = value.if_object();
      if (about == nullptr) continue;
      auto id = string_at(*about, "id").value_or(std::to_string(order.size()));
      add(id, active, *about);
      active = std::move(id);
    }
  }
  take_nodes(draft, std::move(nodes), order, active);
  return draft;
}

}  // namespace colloquy::exchange
