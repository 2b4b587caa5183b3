#include "backup/base_taker.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace colloquy::backup {

BaseTaker::BaseTaker(store::BackupSource& source, store::TargetFiles files, Clock& clock,
                     IdSource& ids, std::function<void()> ended)
    : source_(source),
      files_(std::move(files)),
      clock_(clock),
      ids_(ids),
      ended_(std::move(ended)) {}

BaseTaker::~BaseTaker() {
  if (!thread_.joinable()) return;
  source_.stop();
  thread_.join();
}

// What was interrupted before its record was written. The target says which that is: what this
// process has seen of it may be less.
void BaseTaker::remove_unrecorded(LineageFolder& folder) {
  store::BaseEngine engine(files_, folder.bases_path(), store::BaseEngine::Use::kWrite);
  auto bases = folder.bases();
  for (const auto& torn : bases.torn) folder.remove_torn(torn);
  const auto& damaged = bases.damaged_ids;
  for (auto id : engine.ids()) {
    bool recorded = std::any_of(bases.records.begin(), bases.records.end(),
                                [id](const auto& base) { return base.id == id; }) ||
                    std::find(damaged.begin(), damaged.end(), id) != damaged.end();
    if (!recorded) engine.remove(id);
  }
}

BaseRecord BaseTaker::take(const Order& order) {
  LineageFolder folder(files_, order.target, order.lineage);
  BaseRecord record;
  record.taken_ms = clock_.now_ms();
  remove_unrecorded(folder);
  auto base = source_.take_base(files_, folder.bases_path(), order.progress);
  record.id = base.id;
  record.bytes = base.bytes;
  record.from_sequence = base.from_sequence;
  record.until_sequence = base.until_sequence;
  // Of a database that nothing was ever committed to.
  record.time_ms = base.time_ms != 0 ? base.time_ms : record.taken_ms;
  if (base.last && base.last->last_sequence() == base.from_sequence) {
    record.digest = digest_of(*base.last);
  }
  if (folder.owner() != order.owner) {
    throw Error(ErrorCode::kConflict, "Another server ships into " + folder.path() + " now.");
  }
  return folder.write(std::move(record), ids_);
}

void BaseTaker::begin(Order order) {
  wanted_ = order.wanted;
  thread_ = std::thread([this, order = std::move(order)] {
    Taken taken;
    taken.wanted = order.wanted;
    try {
      taken.record = take(order);
    } catch (...) {
      taken.failure = std::current_exception();
    }
    {
      std::scoped_lock lock(mutex_);
      taken_ = std::move(taken);
    }
    if (ended_) ended_();
  });
}

std::optional<BaseTaker::Taken> BaseTaker::finish(bool wait) {
  if (!thread_.joinable()) return std::nullopt;
  {
    std::scoped_lock lock(mutex_);
    if (!taken_ && !wait) return std::nullopt;
  }
  thread_.join();
  std::scoped_lock lock(mutex_);
  return std::exchange(taken_, std::nullopt);
}

}  // namespace colloquy::backup
