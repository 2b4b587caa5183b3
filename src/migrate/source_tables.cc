#include "migrate/source_tables.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "store/dynamodb/attributes.h"
#include "store/dynamodb/scan.h"

namespace colloquy::migrate {
namespace {

using store::dynamodb::AttributeReader;

constexpr std::int64_t kPageConversations = 100;
constexpr std::int64_t kPageMessages = 500;
constexpr std::int64_t kPageOrder = 2'000;

// Rows of another program's making are a user's to mend, so what is wrong with one is named.
template <class Read>
auto naming(const std::string& place, Read read) {
  try {
    return read();
  } catch (const Error& error) {
    auto why = error.detail().empty() ? error.message() : error.detail();
    throw Error(ErrorCode::kInvalid, place + " cannot be moved: " + why);
  }
}

// A number as it stands, which may have a fraction.
std::optional<std::int64_t> unix_ms(const boost::json::object& item, std::string_view name) {
  const auto* attribute = item.if_contains(name);
  if (attribute == nullptr) return std::nullopt;
  const auto* wrapped = attribute->if_object();
  const auto* number = wrapped == nullptr ? nullptr : wrapped->if_contains("N");
  if (number == nullptr || !number->is_string()) {
    throw internal_error("attribute " + std::string(name) + " is no number");
  }
  const auto& text = number->get_string();
  return parse_unix_ms({text.data(), text.size()});
}

std::int64_t required_ms(const boost::json::object& item, std::string_view name) {
  auto ms = unix_ms(item, name);
  if (!ms) throw internal_error("attribute " + std::string(name) + " is missing");
  return *ms;
}

store::MovedConversation conversation_of(const boost::json::object& item) {
  AttributeReader from(item);
  store::MovedConversation moved;
  moved.source_id = from.required_string("conversation_id");
  auto& conversation = moved.conversation;
  auto user = from.required_string("user_id");
  if (user.size() > limits::kUserIdBytes) throw internal_error("its user_id is too long");
  auto created_ms = required_ms(item, "created_at");
  conversation.id = ordered_conversation_id(user, moved.source_id, created_ms);
  conversation.user_id = UserId(std::move(user));
  conversation.title = from.string("title").value_or("");
  conversation.created_at_s = created_ms / 1000;
  conversation.updated_at_s = unix_ms(item, "updated_at").value_or(created_ms) / 1000;
  conversation.version = 1;
  if (auto ttl_ms = unix_ms(item, "ttl"); ttl_ms && *ttl_ms > 0) {
    auto seconds = *ttl_ms / 1000 - conversation.updated_at_s;
    conversation.ttl_seconds = std::max<std::int64_t>(seconds, 1);
  }
  return moved;
}

}  // namespace

SourceTables::SourceTables(store::dynamodb::Client& client, store::dynamodb::TableNames names,
                           std::int64_t cutoff_s)
    : client_(client), names_(std::move(names)), cutoff_s_(cutoff_s) {}

Task<std::uint64_t> SourceTables::estimate() {
  co_return co_await store::dynamodb::count_conversations(client_, names_);
}

Task<store::MovedConversations> SourceTables::conversations(std::string position) {
  auto page = co_await store::dynamodb::scan_rows(client_, names_.conversations,
                                                  std::move(position), kPageConversations);
  store::MovedConversations moved;
  moved.next = std::move(page.next);
  for (const auto& item : page.items) {
    AttributeReader from(item);
    auto place = "The conversation " + from.string("conversation_id").value_or("?") + " of " +
                 from.string("user_id").value_or("?");
    moved.conversations.push_back(naming(place, [&] { return conversation_of(item); }));
  }
  co_return moved;
}

std::string SourceTables::place(const std::string& conversation, const std::string& message) const {
  return "The message " + message + " of the conversation " + conversation + " in " +
         names_.messages;
}

MessageOrder::Row SourceTables::row_of(const boost::json::object& item,
                                       const std::string& conversation) const {
  AttributeReader from(item);
  auto old_id = from.required_string("message_id");
  return naming(place(conversation, old_id), [&] {
    auto role = store::parse_role(from.required_string("role"));
    if (!role) throw internal_error("its role is none of system, user and assistant");
    return MessageOrder::Row{required_ms(item, "timestamp"), *role, old_id};
  });
}

store::Message SourceTables::message_of(const boost::json::object& item,
                                        const std::string& conversation,
                                        const MessageOrder& order) const {
  auto row = row_of(item, conversation);
  store::Message message;
  message.id = order.id_of(row);
  message.role = row.role;
  message.timestamp_s = row.time_ms / 1000;
  message.content = naming(place(conversation, row.old_id),
                           [&] { return AttributeReader(item).string("content").value_or(""); });
  return message;
}

Task<std::shared_ptr<MessageOrder>> SourceTables::read_order(std::string conversation) {
  store::dynamodb::RowQuery query;
  query.table = names_.messages;
  query.hash_name = "conversation_id";
  query.hash = conversation;
  query.projection = "#message_id, #timestamp, #role";
  query.limit = kPageOrder;
  std::vector<MessageOrder::Row> rows;
  std::string position;
  do {
    auto page = co_await store::dynamodb::query_rows(client_, query, position);
    for (const auto& item : page.items) rows.push_back(row_of(item, conversation));
    position = std::move(page.next);
  } while (!position.empty());
  co_return std::make_shared<MessageOrder>(std::move(conversation), std::move(rows));
}

Task<store::MovedMessages> SourceTables::messages(store::MovedConversation of,
                                                  std::string position) {
  store::dynamodb::RowQuery query;
  query.table = names_.messages;
  query.hash_name = "conversation_id";
  query.hash = of.source_id;
  query.limit = kPageMessages;
  auto page = co_await store::dynamodb::query_rows(client_, query, position);
  auto& order = orders_[of.conversation.id];
  if (position.empty() && page.next.empty()) {
    std::vector<MessageOrder::Row> rows;
    for (const auto& item : page.items) rows.push_back(row_of(item, of.source_id));
    order = std::make_shared<MessageOrder>(of.source_id, std::move(rows));
  } else if (position.empty() || !order) {
    auto read = co_await read_order(of.source_id);
    orders_[of.conversation.id] = std::move(read);
  }
  auto known = orders_[of.conversation.id];
  if (page.next.empty()) orders_.erase(of.conversation.id);
  store::MovedMessages moved;
  moved.next = std::move(page.next);
  for (const auto& item : page.items) {
    auto ttl_ms = unix_ms(item, "ttl");
    if (ttl_ms && *ttl_ms > 0 && *ttl_ms / 1000 <= cutoff_s_) continue;
    moved.messages.push_back(message_of(item, of.source_id, *known));
  }
  co_return moved;
}

}  // namespace colloquy::migrate
