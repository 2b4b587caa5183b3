// Erases users (store/erasure.h). Each conversation goes as by a deletion, with a purge record that
// is held until its messages and the idempotency records of what made them are gone; the purger
// looks once more after the longest turn.
//
// One server at a time is at an erasure: the record names it, and is claimed anew with each piece.
// Nothing is removed before each server that looks for records (a row of its own says so, and until
// when) has acknowledged this one in the record. Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/task.h"
#include "store/dynamodb/client.h"
#include "store/dynamodb/parts_records.h"
#include "store/dynamodb/rows.h"
#include "store/erasure.h"

namespace colloquy::store::dynamodb {

class UserEraser {
 public:
  // So long after a look this server admits writes, some of which are many calls in a row. What
  // ends them before the others stop to count on it is no sum of times: past user_eraser.cc's
  // kWritesEndSeconds the client sends no write.
  static constexpr std::chrono::milliseconds kLookout{15'000};

  // `server`: of this process alone, a UUID. `client`: of all its writes.
  UserEraser(std::shared_ptr<Rows> rows, Client& client, const Clock& clock, std::string server,
             std::chrono::seconds longest_turn)
      : rows_(std::move(rows)),
        client_(client),
        parts_(client, rows_->names()),
        clock_(clock),
        server_(std::move(server)),
        longest_turn_(longest_turn) {}

  Task<> begin(UserId user);
  Task<std::vector<Erasure>> unfinished();
  Task<> stop_looking();
  Task<> acknowledge(Erasure erasure);
  Task<bool> claim(Erasure erasure);
  Task<Erasures::Left> erase_some(Erasure erasure);
  Task<std::int64_t> seal(Erasure erasure);
  Task<> end(Erasure erasure, std::int64_t at_ms);

 private:
  using Deadline = std::chrono::steady_clock::time_point;
  Task<> look_until(std::int64_t now_s, std::optional<std::chrono::milliseconds> timeout);
  Task<> erase_conversation(const UserId& user, const Rows::ConversationKey& key);
  // Whether there may be more.
  Task<bool> erase_messages(const UserId& user, Deadline deadline);
  Task<bool> erase_messages_of(PurgeItem item);

  const std::shared_ptr<Rows> rows_;
  Client& client_;
  PartsRecords parts_;
  const Clock& clock_;
  const std::string server_;
  const std::chrono::seconds longest_turn_;
  std::atomic<std::int64_t> looking_until_s_{0};
};

}  // namespace colloquy::store::dynamodb
