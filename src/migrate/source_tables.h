// The source system's two tables as what is moved from (store/transfer.h): rows with random ids, or
// any others. Every conversation and message gets an ordered id (ordered_ids.h); titles, roles,
// contents and times stay, cut to whole seconds. A conversation belongs to the user whose row it
// is, and its messages to it, whoever wrote them. Nothing may write to the tables meanwhile.
//
// For one event loop; calls may overlap for different conversations. A row that cannot be moved is
// kInvalid and named.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "migrate/ordered_ids.h"
#include "store/dynamodb/client.h"
#include "store/dynamodb/rows.h"
#include "store/transfer.h"

namespace colloquy::migrate {

class SourceTables final : public store::Exporter {
 public:
  // Messages whose own `ttl` is before `cutoff_s` (Unix seconds) are left out: the service is about
  // to remove them. `client` outlives it.
  SourceTables(store::dynamodb::Client& client, store::dynamodb::TableNames names,
               std::int64_t cutoff_s);

  Task<std::uint64_t> estimate() override;
  Task<store::MovedConversations> conversations(std::string position) override;
  // The ids of a conversation longer than a page are all held in memory until its last page.
  Task<store::MovedMessages> messages(store::MovedConversation of, std::string position) override;

 private:
  using Rows = std::vector<boost::json::object>;
  Task<std::shared_ptr<MessageOrder>> read_order(std::string conversation);
  std::string place(const std::string& conversation, const std::string& message) const;
  MessageOrder::Row row_of(const boost::json::object& item, const std::string& conversation) const;
  store::Message message_of(const boost::json::object& item, const std::string& conversation,
                            const MessageOrder& order) const;

  store::dynamodb::Client& client_;
  const store::dynamodb::TableNames names_;
  const std::int64_t cutoff_s_;
  std::map<ConversationId, std::shared_ptr<MessageOrder>> orders_;  // of those being read
};

}  // namespace colloquy::migrate
