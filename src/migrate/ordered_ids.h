// Ids in the order of time (version 7, RFC 9562) for rows whose ids are random or any other text.
// The same row gets the same id whenever and wherever it is asked for. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "store/types.h"

namespace colloquy::migrate {

// Times must lie within what such an id can hold, from 1970 on. Throws kInvalid.
ConversationId ordered_conversation_id(std::string_view user, std::string_view old_id,
                                       std::int64_t created_ms);

// What is known of the messages of one conversation before their contents are read, to give them
// ids in the order of time, then of role (a prompt and its answer may be of the same second), then
// of old id. The ids depend on which messages of the same time there are.
class MessageOrder {
 public:
  struct Row {
    std::int64_t time_ms = 0;
    store::Role role = store::Role::kUser;
    std::string old_id;
    auto operator<=>(const Row&) const = default;
  };

  // `conversation` is the old id of the conversation.
  MessageOrder(std::string conversation, std::vector<Row> rows);

  // Of one of the rows. Throws kInvalid for another: the table has changed meanwhile.
  MessageId id_of(const Row& row) const;

 private:
  std::string conversation_;
  std::vector<Row> rows_;  // sorted
};

// A DynamoDB number that is a Unix time, in seconds (perhaps with a fraction) or milliseconds.
// Throws kInvalid for what is none.
std::int64_t parse_unix_ms(std::string_view number);

}  // namespace colloquy::migrate
