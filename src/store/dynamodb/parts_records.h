// Records of contents that are being written in parts (rows.h, Rows::insert_message): the parts
// come before the message that names them, and where that never comes nobody else would find them.
// Each is written before the parts and erased after the message. Rows of the table of messages
// under `parts#`. Thread-safe. Errors as in rows.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/task.h"
#include "store/dynamodb/client.h"
#include "store/dynamodb/items.h"
#include "store/dynamodb/rows.h"

namespace colloquy::store::dynamodb {

struct PartsRecord {
  ConversationId conversation_id;
  MessageId message_id;
  UserId user_id;
  std::size_t parts = 0;                  // at most
  std::optional<std::int64_t> seen_at_s;  // when a server first found it
};

class PartsRecords {
 public:
  PartsRecords(Client& client, TableNames names) : client_(client), names_(std::move(names)) {}

  Task<> put(PartsRecord record);
  Task<> erase(ConversationId conversation, MessageId message);
  // Looks at all records once: of one that was found a day ago the write is over, and the parts
  // that no message names are erased.
  Task<> sweep(std::int64_t now_s);
  // All parts of these users' that are being written; false when there are none.
  Task<bool> erase_of(std::function<bool(const UserId&)> whose);

 private:
  struct Page {
    std::vector<PartsRecord> records;
    std::string next;  // the range key of the last; empty: no more
  };
  Task<Page> page(std::string after);
  Task<> mark_seen(const PartsRecord& record, std::int64_t now_s);
  Task<> finish(PartsRecord record, std::size_t named);

  Client& client_;
  TableNames names_;
};

}  // namespace colloquy::store::dynamodb
