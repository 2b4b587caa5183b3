// The two tables as what is moved from or into (store/transfer.h). Conversations come in the order
// of a Scan, their messages from a query each: so nothing is met that belongs to none (our own
// records, messages that are being removed), and contents in parts come whole. Thread-safe.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "store/dynamodb/client.h"
#include "store/dynamodb/message_reader.h"
#include "store/dynamodb/rows.h"
#include "store/transfer.h"

namespace colloquy::store {

class DynamoDbTransfer final : public Importer {
 public:
  // What is referred to outlives it.
  DynamoDbTransfer(dynamodb::Client& client, dynamodb::TableNames names, const Clock& clock);

  // Throws kInvalid that names a table which is not there or is none of ours.
  Task<std::uint64_t> estimate() override;
  // kInvalid where ids are not version 7: such tables are the source system's.
  Task<MovedConversations> conversations(std::string position) override;
  Task<MovedMessages> messages(MovedConversation of, std::string position) override;
  Task<std::optional<MovedConversation>> find(UserId user, ConversationId id) override;
  Task<> put_messages(Conversation of, std::vector<Message> messages) override;
  Task<> put_conversation(Conversation conversation, std::optional<MessageId> newest) override;
  Task<> flush() override;

 private:
  dynamodb::Client& client_;
  const Clock& clock_;
  dynamodb::Rows rows_;
  dynamodb::MessageReader reader_;
};

}  // namespace colloquy::store
