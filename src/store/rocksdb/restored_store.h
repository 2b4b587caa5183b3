// A store that is being made from a base: the commits behind it are applied, then it
// becomes a database of its own. Its folder is its alone, and no use before
// `finish` has returned. For one thread; blocks; throws Error.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "store/erasure.h"
#include "store/rocksdb/commit.h"
#include "store/rocksdb/database.h"

namespace colloquy::store {

class RestoredStore {
 public:
  // `clock` and `ids` outlive it. `file_system` is for tests.
  RestoredStore(const std::string& folder, const Clock& clock, IdSource& ids,
                std::shared_ptr<rocksdb::FileSystem> file_system = nullptr);

  // Of the last row that the base holds. What opening it has written since, and commits that are
  // applied, have numbers of their own.
  std::uint64_t newest_sequence() const { return database_.opened_sequence(); }
  std::int64_t newest_commit_ms() const { return contents().last_commit_ms; }
  // Of a user's conversations, expired or not.
  std::vector<std::string> titles_of(const UserId& user) const;
  // One that it does not hold yet, in order.
  void apply(const Commit& commit);

  struct Amendments {
    // Conversations that were there at this second and have expired since lose their expiry.
    std::optional<std::int64_t> keep_expired_since_s;
    // Of the servers, for conversations without a time to live of their own; nullopt: that by which
    // the store was last indexed. Where there is one, what is kept gets a time to live of its own,
    // as long as there can be, since without one it would expire by it.
    std::optional<std::int64_t> retention_seconds;
    // Users whose conversations are left out; null: none.
    std::function<bool(const UserId&)> leave_out;
    // Come onto the store's own list (erasure.h), where they are not there with a later time.
    std::vector<ErasedUser> erased;
  };
  struct Contents {
    std::uint64_t conversations = 0;
    std::uint64_t messages = 0;
    std::int64_t last_commit_ms = 0;  // of what was restored; 0: there was none
  };
  // Durable when it returns. The database has a new lineage then.
  Contents finish(const Amendments& amendments);

 private:
  void amend(const Amendments& amendments);
  // nullopt: none.
  std::optional<std::int64_t> indexed_retention() const;
  Contents contents() const;

  Database database_;
  const Clock& clock_;
  IdSource& ids_;
};

// Throws kInternal for one that could not be applied.
void require_applicable(const Commit& commit);

}  // namespace colloquy::store
