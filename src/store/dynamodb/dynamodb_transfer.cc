#include "store/dynamodb/dynamodb_transfer.h"

#include <algorithm>
#include <utility>

#include "store/dynamodb/attributes.h"
#include "store/dynamodb/batch_write.h"
#include "store/dynamodb/scan.h"

namespace colloquy::store {
namespace {

constexpr std::int64_t kPageConversations = 100;
// A longer content goes the way of Rows::insert_message, which puts it into parts.
constexpr std::size_t kLongContent = 256 * limits::kKiB;

MovedConversation moved(dynamodb::ConversationItem item) {
  item.conversation.held_until_s = 0;
  return {std::move(item.conversation), {}};
}

}  // namespace

DynamoDbTransfer::DynamoDbTransfer(dynamodb::Client& client, dynamodb::TableNames names,
                                   const Clock& clock)
    : client_(client), clock_(clock), rows_(client, std::move(names)), reader_(rows_, clock) {}

Task<std::uint64_t> DynamoDbTransfer::estimate() {
  co_return co_await dynamodb::count_conversations(client_, rows_.names());
}

Task<MovedConversations> DynamoDbTransfer::conversations(std::string position) {
  const auto& table = rows_.names().conversations;
  auto page = co_await dynamodb::scan_rows(client_, table, std::move(position), kPageConversations);
  MovedConversations moved_page;
  moved_page.next = std::move(page.next);
  for (const auto& item : page.items) {
    auto id = dynamodb::AttributeReader(item).string("conversation_id").value_or("");
    if (!ConversationId::parse(id)) {
      throw Error(ErrorCode::kInvalid, "The table " + table +
                                           " has ids that are not in the order of time, such as " +
                                           id + ": move it with --from source:" + table + "," +
                                           rows_.names().messages + ".");
    }
    moved_page.conversations.push_back(moved(dynamodb::read_conversation(item)));
  }
  co_return moved_page;
}

Task<MovedMessages> DynamoDbTransfer::messages(MovedConversation of, std::string position) {
  auto range = range_at(position);
  auto page = co_await reader_.page(of.conversation.id, Path::all(), range);
  co_await reader_.read_contents(page.items);
  MovedMessages moved_page;
  for (auto& item : page.items) {
    auto& message = item.message;
    if (message.status == MessageStatus::kRunning) message.status = MessageStatus::kInterrupted;
    moved_page.messages.push_back(std::move(message));
  }
  if (page.more) moved_page.next = moved_page.messages.back().id.to_string();
  co_return moved_page;
}

Task<std::optional<MovedConversation>> DynamoDbTransfer::find(UserId user, ConversationId id) {
  auto found = co_await rows_.conversation(std::move(user), id);
  if (!found) co_return std::nullopt;
  co_return moved(std::move(*found));
}

Task<> DynamoDbTransfer::put_messages(Conversation of, std::vector<Message> messages) {
  // Later than the conversation can expire without activity.
  auto ttl = dynamodb::removal_time_s(of.ttl_seconds, std::max(clock_.now_s(), of.updated_at_s));
  std::vector<std::string> items;
  for (auto& message : messages) {
    dynamodb::MessageItem item;
    item.conversation_id = of.id;
    item.user_id = of.user_id;
    item.ttl = ttl;
    item.message = std::move(message);
    if (item.message.content.size() > kLongContent) {
      co_await rows_.insert_message(item, dynamodb::Rows::Insert::kNew);
      continue;
    }
    JsonWriter json(items.emplace_back());
    dynamodb::write_item(json, item);
  }
  co_await dynamodb::put_rows(client_, rows_.names().messages, std::move(items));
}

Task<> DynamoDbTransfer::put_conversation(Conversation conversation, std::optional<MessageId>) {
  dynamodb::ConversationItem item;
  item.conversation = std::move(conversation);
  auto change = item.conversation.id.to_string();
  co_await rows_.insert_conversation(item, std::move(change));
}

Task<> DynamoDbTransfer::flush() { co_return; }

}  // namespace colloquy::store
