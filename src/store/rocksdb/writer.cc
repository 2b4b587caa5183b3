#include "store/rocksdb/writer.h"

#include <algorithm>
#include <chrono>
#include <iterator>

#include "store/rocksdb/status.h"
#include "telemetry/log.h"

namespace colloquy::store {
namespace {

constexpr std::size_t kGroupOperations = 1024;
constexpr std::size_t kGroupBytes = 8 * limits::kMiB;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

Writer::Writer(Database& database, Clock& clock, IdSource& ids, Uuid instance, Limits limits,
               telemetry::Metrics& metrics)
    : database_(database),
      clock_(clock),
      limits_(limits),
      group_(database, ids, instance),
      commits_(metrics.counter("colloquy_store_commits_total", "Commits of the embedded store.")),
      commit_rows_(metrics.histogram("colloquy_store_commit_rows", "Rows written by one commit.",
                                     telemetry::count_buckets())),
      commit_seconds_(metrics.histogram("colloquy_store_commit_seconds",
                                        "Time of one commit with its sync.",
                                        telemetry::latency_buckets())),
      conversations_gauge_(
          metrics.gauge("colloquy_store_conversations", "Conversations that the store holds.")),
      messages_gauge_(metrics.gauge("colloquy_store_messages", "Messages that the store holds.")) {
  publish_counters();
  thread_ = std::thread([this] { run(); });
}

Writer::~Writer() {
  {
    std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  work_.notify_one();
  thread_.join();
}

void Writer::submit(std::shared_ptr<WriteOperation> operation) {
  auto bytes = operation->bytes();
  bool wake = false;
  {
    std::scoped_lock lock(mutex_);
    if (queue_.size() >= limits_.operations || queued_bytes_ + bytes > limits_.bytes) {
      throw unavailable("The store has too many writes waiting.");
    }
    queue_.push_back(std::move(operation));
    queued_bytes_ += bytes;
    wake = std::exchange(idle_, false);
  }
  if (wake) work_.notify_one();
}

void Writer::run() {
  Operations group;
  while (take(group)) {
    process(group);
    group.clear();
  }
}

bool Writer::take(Operations& group) {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (heal_requested_) {
      lock.unlock();
      heal();
      lock.lock();
      heal_requested_ = false;
      healed_.notify_all();
    }
    if (!queue_.empty() || stopping_) break;
    idle_ = true;
    work_.wait(lock);
  }
  if (queue_.size() <= kGroupOperations && queued_bytes_ <= kGroupBytes) {
    group.swap(queue_);
    queued_bytes_ = 0;
    return !group.empty();
  }
  std::size_t bytes = 0;
  std::size_t count = 0;
  while (count < queue_.size() && count < kGroupOperations && bytes < kGroupBytes) {
    bytes += queue_[count++]->bytes();
  }
  auto end = queue_.begin() + static_cast<std::ptrdiff_t>(count);
  group.assign(std::make_move_iterator(queue_.begin()), std::make_move_iterator(end));
  queue_.erase(queue_.begin(), end);
  queued_bytes_ -= bytes;
  return true;
}

std::vector<std::exception_ptr> Writer::apply_all(const Operations& group) {
  std::vector<std::exception_ptr> refusals(group.size());
  for (std::size_t i = 0; i < group.size(); ++i) {
    try {
      group[i]->apply(group_);
    } catch (const Error&) {
      refusals[i] = std::current_exception();
    }
  }
  return refusals;
}

std::optional<Error> Writer::commit(const Operations& group,
                                    std::vector<std::exception_ptr>& refusals) {
  constexpr const char* kCannotWrite = "The store cannot write right now.";
  if (broken()) {
    auto reason = broken_reason();
    return database_.out_of_space() ? disk_full(reason) : unavailable(kCannotWrite, reason);
  }
  try {
    refusals = apply_all(group);
    if (group_.prepare()) {
      auto status = write();
      if (!status.ok() && database_.out_of_space()) throw disk_full(status.ToString());
      check(status, "committing");
    }
    group_.commit();
    return std::nullopt;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kUnavailable) return error;
    return unavailable(kCannotWrite, error.detail());
  } catch (const std::exception& error) {
    // Out of memory, or a bug: this group is lost, the store goes on.
    telemetry::log_error("store.commit_aborted", {{"detail", error.what()}});
    return unavailable(kCannotWrite, error.what());
  }
}

void Writer::process(const Operations& group) {
  group_.begin(clock_.now_ms());
  std::vector<std::exception_ptr> refusals;
  auto failure = commit(group, refusals);
  if (failure) group_.roll_back();
  publish_counters();
  WakeList wakes;
  for (std::size_t i = 0; i < group.size(); ++i) {
    // A refusal may rest on what this group did not get to commit.
    if (failure) {
      group[i]->fail(std::make_exception_ptr(*failure), wakes);
    } else if (refusals[i]) {
      group[i]->fail(std::move(refusals[i]), wakes);
    } else {
      group[i]->succeed(wakes);
    }
  }
  wakes.wake_all();
}

rocksdb::Status Writer::write() {
  auto start = std::chrono::steady_clock::now();
  rocksdb::WriteOptions durable;
  durable.sync = true;
  auto status = database_.db().Write(durable, &group_.batch());
  if (!status.ok()) {
    set_broken(status);
    return status;
  }
  commits_.Increment();
  commit_rows_.Observe(static_cast<double>(group_.rows()));
  commit_seconds_.Observe(seconds_since(start));
  return status;
}

void Writer::set_broken(const rocksdb::Status& status) {
  telemetry::log_error("store.commit_failed", {{"detail", status.ToString()}});
  std::scoped_lock lock(broken_mutex_);
  broken_reason_ = status.ToString();
  beyond_healing_ = status.IsCorruption();
  broken_ = true;
}

std::string Writer::broken_reason() const {
  std::scoped_lock lock(broken_mutex_);
  return broken_reason_;
}

void Writer::try_to_heal() {
  {
    std::scoped_lock lock(broken_mutex_);
    if (beyond_healing_ || !(broken_ || database_.background_error())) return;
  }
  std::unique_lock lock(mutex_);
  heal_requested_ = true;
  idle_ = false;
  work_.notify_one();
  healed_.wait(lock, [this] { return !heal_requested_; });
}

void Writer::heal() {
  std::string reason;
  try {
    database_.reopen();
    group_.reload();
    telemetry::log_info("store.healed");
  } catch (const std::exception& error) {
    const auto* ours = dynamic_cast<const Error*>(&error);
    reason = ours != nullptr ? ours->detail() : error.what();
    telemetry::log_error("store.not_healed", {{"detail", reason}});
  }
  std::scoped_lock lock(broken_mutex_);
  broken_reason_ = reason;
  broken_ = !reason.empty();
}

void Writer::publish_counters() {
  conversations_.store(group_.counters().conversations, std::memory_order_relaxed);
  messages_.store(group_.counters().messages, std::memory_order_relaxed);
  last_commit_ms_.store(group_.counters().last_commit_ms, std::memory_order_relaxed);
  conversations_gauge_.Set(static_cast<double>(conversations()));
  messages_gauge_.Set(static_cast<double>(messages()));
}

}  // namespace colloquy::store
