// What is in tables that were restored is made what it must be before a server has them: users who
// were erased since go again, what was to be kept loses its expiry, and messages of living
// conversations are not due for removal. Goes through all conversations once, page by page, and
// goes on after a crash (restore_record.h). For the program's `restore` command, while no server
// has the new tables; runs on the event loop that awaits it.
//
// Errors: kConflict when another restore into the same tables goes on; kUnavailable, kInternal.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/task.h"
#include "store/dynamodb/client.h"
#include "store/dynamodb/renewer.h"
#include "store/dynamodb/restore_record.h"
#include "store/dynamodb/rows.h"
#include "store/dynamodb/table_restore.h"
#include "store/erasure.h"
#include "telemetry/metrics.h"

namespace colloquy::store::dynamodb {

struct RestoredRowsOptions {
  // Conversations that were there at that second and have expired since are kept for as long as a
  // time to live can be.
  bool keep_expired = false;
  // Of the servers, for conversations without a time to live of their own; nullopt: as they have
  // noted it.
  std::optional<std::int64_t> retention_seconds;
  std::vector<ErasedUser> erased;  // beside those that the old tables list
};

class RestoredRows {
 public:
  // What is referred to outlives it.
  RestoredRows(Client& client, TableRestore restore, RestoredRowsOptions options,
               const Clock& clock, IdSource& ids, telemetry::Metrics& metrics, RestoreTold told);

  // Notes that the restore goes on. False when it has ended before: then nothing is to be done.
  Task<bool> begin();
  Task<> amend();
  // The servers may have the tables. Returns what there is.
  Task<RestoreRecord> end();

 private:
  using Conversations = std::vector<ConversationItem>;

  Task<> save();
  // Who is to be left out, as of now, into `erased_` and the new tables' own list.
  Task<> list_erased_users();
  Task<> look_through();
  Task<> look_at(ConversationItem item);
  Task<> leave_out(const ConversationItem& item);
  Task<> keep(ConversationItem item);
  Task<> remove_messages();
  Task<> remove_messages(PurgeItem item);
  bool left_out(const UserId& user) const;
  bool has_expired_since(const Conversation& conversation) const;

  Client& client_;
  const TableRestore restore_;
  const RestoredRowsOptions options_;
  const Clock& clock_;
  IdSource& ids_;
  telemetry::Metrics& metrics_;
  const RestoreTold told_;
  Rows old_;
  std::shared_ptr<Rows> rows_;  // from begin() on
  std::unique_ptr<Renewer> renewer_;
  std::optional<std::int64_t> retention_now_;
  std::map<std::string, std::int64_t> erased_;  // by name, the last time
  RestoreRecord record_;
};

}  // namespace colloquy::store::dynamodb
