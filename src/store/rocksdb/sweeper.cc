#include "store/rocksdb/sweeper.h"

#include <rocksdb/iterator.h>

#include <algorithm>
#include <future>
#include <utility>

#include "store/rocksdb/keys.h"
#include "store/rocksdb/status.h"
#include "store/rocksdb/sweep_operations.h"
#include "telemetry/log.h"

namespace colloquy::store {
namespace {

constexpr std::size_t kPiece = 512;  // keys in one operation
constexpr std::size_t kPurgePiece = 64;

}  // namespace

Sweeper::Sweeper(Database& database, Writer& writer, Clock& clock,
                 std::uint64_t min_free_disk_bytes, std::chrono::milliseconds interval,
                 telemetry::Metrics& metrics)
    : database_(database),
      writer_(writer),
      clock_(clock),
      min_free_disk_bytes_(min_free_disk_bytes),
      interval_(interval),
      disk_gauge_(metrics.gauge("colloquy_store_disk_bytes", "Size of the store's files.")) {
  look_at_disk();
  thread_ = std::thread([this] { run(); });
}

Sweeper::~Sweeper() {
  {
    std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void Sweeper::run() {
  std::unique_lock lock(mutex_);
  while (!stopping()) {
    if (wake_.wait_for(lock, interval_, [this] { return stopping(); })) return;
    lock.unlock();
    round();
    lock.lock();
  }
}

void Sweeper::sweep_now() { round(); }

void Sweeper::round() {
  std::scoped_lock lock(round_mutex_);
  look_at_disk();
  writer_.try_to_heal();
  if (writer_.broken()) return;
  try {
    sweep_expired_conversations();
    sweep_purges();
    sweep_idempotency();
  } catch (const Error& error) {
    telemetry::log_warning("store.sweep_failed", {{"detail", error.detail()}});
  }
}

void Sweeper::look_at_disk() {
  disk_full_ = database_.free_disk_bytes() < min_free_disk_bytes_;
  disk_bytes_ = database_.used_disk_bytes();
  disk_gauge_.Set(static_cast<double>(disk_bytes()));
}

std::vector<std::string> Sweeper::keys_between(rocksdb::ColumnFamilyHandle* family,
                                               const std::string& begin, const std::string& end,
                                               std::size_t limit) {
  rocksdb::ReadOptions options;
  rocksdb::Slice upper(end);
  options.iterate_upper_bound = &upper;
  options.fill_cache = false;
  std::unique_ptr<rocksdb::Iterator> at(database_.db().NewIterator(options, family));
  std::vector<std::string> found;
  for (at->Seek(begin); at->Valid() && found.size() < limit; at->Next()) {
    found.push_back(at->key().ToString());
  }
  check(at->status(), "sweeping");
  return found;
}

template <class Operation, class... Arguments>
void Sweeper::commit_operation(Arguments&&... arguments) {
  auto operation = std::make_shared<Operation>(std::forward<Arguments>(arguments)...);
  auto done = operation->future();
  writer_.submit(std::move(operation));
  done.get();
}

void Sweeper::sweep_purges() {
  std::string begin(keys::kPurgePrefix);
  const auto end = keys::after_prefix(begin);
  while (!stopping()) {
    auto purges = keys_between(database_.derived(), begin, end, kPurgePiece);
    for (const auto& key : purges) {
      auto id = keys::parse_purge(key);
      if (!id) throw internal_error("a purge record's key is garbled");
      // From where the last piece ended, so that the scan does not walk over what it has removed.
      std::string from(id->raw());
      const auto behind = keys::after_prefix(from);
      bool last = false;
      while (!last && !stopping()) {
        auto messages = keys_between(database_.messages(), from, behind, kPiece);
        last = messages.size() < kPiece;
        if (!messages.empty()) from = messages.back() + '\0';
        commit_operation<PurgeMessages>(*id, std::move(messages), last);
      }
    }
    if (purges.size() < kPurgePiece) return;
    begin = purges.back() + '\0';
  }
}

void Sweeper::sweep_expired_conversations() {
  const std::string begin(keys::kExpiryPrefix);
  while (!stopping()) {
    auto end = keys::timed_upper_bound(keys::kExpiryPrefix, clock_.now_s());
    auto due = keys_between(database_.derived(), begin, end, kPiece);
    if (due.empty()) return;
    bool last = due.size() < kPiece;
    commit_operation<ExpireConversations>(std::move(due));
    if (last) return;
  }
}

void Sweeper::sweep_idempotency() {
  const std::string begin(keys::kIdempotencyExpiryPrefix);
  while (!stopping()) {
    auto end = keys::timed_upper_bound(keys::kIdempotencyExpiryPrefix, clock_.now_s());
    auto due = keys_between(database_.derived(), begin, end, kPiece);
    if (due.empty()) return;
    bool last = due.size() < kPiece;
    commit_operation<ForgetIdempotency>(std::move(due));
    if (last) return;
  }
}

}  // namespace colloquy::store
