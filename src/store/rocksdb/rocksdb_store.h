// The embedded store: store.h on RocksDB, in one folder of this machine.
//
// One thread writes: it takes whatever waits, checks each operation's conditions
// and commits them all with one sync. Reads run on the event loop that asks as
// long as what they need is in memory, and on a small pool of threads when not.
// A thread in the background removes what was deleted or has expired.
//
// Thread-safe. It must outlive every call made on it, and is destroyed before
// the event loops that its callers run on. One process at a time has it open.
//
// What a crash can cost: nothing that was acknowledged. A log whose last record is
// torn (cut short, or with sectors that were never written) ends before it; any
// other damage to a log, a table or a manifest refuses to open or to be read,
// with the file's name. The one thing that cannot be told apart is a last
// record, acknowledged, whose sectors the disk has since lost altogether: that
// looks as if it had never been written.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "store/change_feed.h"
#include "store/erasure.h"
#include "store/intake.h"
#include "store/sealed_writes.h"
#include "store/store.h"
#include "telemetry/metrics.h"

namespace rocksdb {
class FileSystem;
}

namespace colloquy::store {

class BackupSource;

struct RocksDbOptions {
  std::string path;  // made when it is not there; its parent must be
  std::size_t block_cache_bytes = 256 * limits::kMiB;
  std::size_t write_buffer_bytes = 64 * limits::kMiB;  // of each of the column families
  // Past either, writes throw kUnavailable.
  std::size_t write_queue_limit = std::size_t{16} * 1024;
  std::size_t write_queue_bytes = 256 * limits::kMiB;
  // With less room on the volume, writes but deletions throw kUnavailable ("The disk is full.").
  // Leaves room for what is in memory to be written out.
  std::uint64_t min_free_disk_bytes = 512 * limits::kMiB;
  // Logs that are not needed to open the database again stay until a backup has read them
  // (BackupSource::release). Who opens the store without it leaves what was kept, and goes on
  // keeping, until drop_kept_logs().
  bool keep_log = false;
  std::size_t reader_threads = 2;
  std::size_t read_queue_limit = 4096;  // past it, reads from disk throw kUnavailable
  // The time to live of conversations that have none of their own; nullopt: they stay.
  std::optional<std::int64_t> retention_seconds = {};
  // At most so many messages of deleted and expired conversations are removed a second.
  std::size_t removal_rate = 10'000;
  // Told, on the thread in the background, of each conversation that has expired and is removed.
  std::function<void(const UserId&, ConversationId)> on_expired = {};
  // How often free room is looked at, and deletions and expiry are carried out.
  std::chrono::milliseconds sweep_interval{1000};
  // Whether commits keep what they have changed, for change_feed(); it is forgotten where not.
  bool keep_changes = false;
  // The contents are sealed (store/encrypted): a budget is of what they were.
  bool sealed_contents = false;
  std::shared_ptr<rocksdb::FileSystem> file_system;  // for tests; null: the operating system's
};

class RocksDbStore final : public Store, public SealedWrites, public Intake, public Erasures {
 public:
  // Throws Error when the folder cannot be opened: kUnavailable (a full disk), else kInternal with
  // a detail that names the damaged file. `clock`, `ids` and `metrics` outlive the store.
  static std::unique_ptr<RocksDbStore> open(RocksDbOptions options, Clock& clock, IdSource& ids,
                                            telemetry::Metrics& metrics);
  // Commits what is queued, then closes.
  ~RocksDbStore() override;

  Task<CreatedConversation> create_conversation(UserId user, NewConversation conversation,
                                                std::optional<IdempotencyKey> key) override;
  Task<CreatedConversation> create_sealed(UserId user, NewConversation conversation,
                                          std::optional<IdempotencyKey> key,
                                          SealingPointer sealing) override;
  Task<std::optional<Conversation>> get_conversation(UserId user, ConversationId id) override;
  Task<ConversationPage> list_conversations(UserId user, std::size_t limit,
                                            std::optional<ConversationId> after) override;
  Task<Conversation> update_conversation(UserId user, ConversationId id, ConversationPatch patch,
                                         std::optional<std::uint64_t> if_version) override;
  Task<> delete_conversation(UserId user, ConversationId id,
                             std::optional<std::uint64_t> if_version) override;
  Task<AppendedMessage> append_message(UserId user, ConversationId id, NewMessage message,
                                       std::optional<IdempotencyKey> key) override;
  Task<AppendedMessage> append_sealed(UserId user, ConversationId id, NewMessage message,
                                      std::optional<IdempotencyKey> key,
                                      SealingPointer sealing) override;
  Task<std::optional<AppendedMessage>> find_appended(UserId user, ConversationId id,
                                                     IdempotencyKey key) override;
  Task<MessagePage> list_messages(UserId user, ConversationId id, MessageRange range) override;
  Task<std::optional<Message>> get_message(UserId user, ConversationId id,
                                           MessageId message) override;
  Task<> delete_message(UserId user, ConversationId id, MessageId message) override;
  Task<std::optional<RecentMessages>> read_recent(UserId user, ConversationId id,
                                                  ContextSettings usual,
                                                  std::optional<TreePlace> up_to) override;
  Task<StartedTurn> start_turn(UserId user, NewTurn turn,
                               std::optional<IdempotencyKey> key) override;
  Task<StartedTurn> start_sealed(UserId user, NewTurn turn, std::optional<IdempotencyKey> key,
                                 SealingPointer sealing) override;
  Task<std::optional<StartedTurn>> find_turn(UserId user, std::optional<ConversationId> id,
                                             IdempotencyKey key) override;
  Task<FinishedTurn> finish_turn(UserId user, ConversationId id, Message reply) override;
  Task<bool> save_partial(UserId user, ConversationId id, Message reply) override;
  Task<bool> take(Conversation conversation, std::vector<Message> messages) override;
  Task<> begin_erasure(UserId user) override;
  Task<std::vector<Erasure>> unfinished_erasures() override;
  Task<bool> claim_erasure(Erasure erasure) override;
  Task<Left> erase_some(Erasure erasure) override;
  Task<std::int64_t> seal_erasure(Erasure erasure) override;
  Task<> end_erasure(Erasure erasure, std::int64_t at_ms) override;
  Task<std::vector<ErasedUser>> erased_users(std::string after) override;
  StoreStats stats() override;
  std::string not_ready_reason() override;

  // No backup will read the logs that were kept for one: they go, and none are kept any more.
  // Nothing with keep_log.
  void drop_kept_logs();

  // With keep_changes; once. The store outlives it.
  std::unique_ptr<ChangeFeed> change_feed();

  // Looks at the disk, tries to heal, and carries out every deletion and expiry that is due, before
  // it returns. Blocks; for tests and tools.
  void sweep_now();
  // Writes what is in memory out to table files, and merges them. Blocks; for tests and tools.
  void flush_and_compact();
  // For a backup of it while it serves. It ends before the store does.
  std::unique_ptr<BackupSource> backup_source();

 private:
  struct Impl;
  explicit RocksDbStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace colloquy::store
