#include "backup/continuous.h"

#include <utility>

#include "base/error.h"
#include "telemetry/log.h"

namespace colloquy::backup {
namespace {

constexpr std::int64_t kToldAgainMs = 60'000;
constexpr auto kGuardInterval = std::chrono::milliseconds(500);

std::string detail_of(const std::exception& error) {
  const auto* ours = dynamic_cast<const Error*>(&error);
  if (ours == nullptr || ours->detail().empty()) return error.what();
  return ours->message() + " " + ours->detail();
}

std::exception_ptr stopping_failure() {
  return std::make_exception_ptr(unavailable("The server is stopping."));
}

}  // namespace

ContinuousBackup::ContinuousBackup(std::unique_ptr<store::BackupSource> source,
                                   store::TargetFiles files, Clock& clock, IdSource& ids,
                                   telemetry::Metrics& metrics, ShipperOptions options,
                                   std::chrono::milliseconds every)
    : options_(telling(std::move(options))),
      every_(every),
      clock_(clock),
      source_(std::move(source)),
      metrics_(metrics),
      failures_(metrics.counter("colloquy_backup_failures_total",
                                "Rounds of the continuous backup that failed.")),
      shipper_(*source_, std::move(files), clock, ids, metrics_, options_),
      caught_up_ms_(std::make_shared<std::atomic<std::int64_t>>(clock.now_ms())) {
  auto& age = metrics.gauge("colloquy_backup_age_seconds",
                            "Everything that was committed longer ago than this can be restored "
                            "from the backup.");
  metrics.before_render([&age, &clock, caught_up_ms = caught_up_ms_] {
    age.Set(static_cast<double>(clock.now_ms() - caught_up_ms->load()) / 1000);
  });
  shipping_ = std::thread([this] { run(); });
  guarding_ = std::thread([this] { guard(); });
}

ContinuousBackup::~ContinuousBackup() {
  {
    std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  source_->stop();
  if (shipping_.joinable()) shipping_.join();
  if (guarding_.joinable()) guarding_.join();
}

bool ContinuousBackup::stop(std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  stopping_ = true;
  wake_.notify_all();
  source_->stop();
  return ended_.wait_for(lock, patience, [this] { return stopped_; });
}

ShipperOptions ContinuousBackup::telling(ShipperOptions options) {
  options.base_ended = [this] {
    {
      std::scoped_lock lock(mutex_);
      base_ended_ = true;
    }
    wake_.notify_all();
  };
  return options;
}

void ContinuousBackup::Request::tell(std::uint64_t done, std::uint64_t expected) {
  std::scoped_lock lock(mutex_);
  if (progress_) progress_(done, expected);
}

// What the progress refers to is gone once there is a result.
void ContinuousBackup::Request::close() {
  std::scoped_lock lock(mutex_);
  progress_ = nullptr;
}

void ContinuousBackup::Request::succeed(const BackedUp& result) {
  close();
  result_.set_value(result);
}

void ContinuousBackup::Request::fail(std::exception_ptr failure) {
  close();
  result_.set_exception(std::move(failure));
}

BackedUp ContinuousBackup::run_now(const store::CopyProgress& progress) {
  auto request = std::make_shared<Request>(progress);
  auto result = request->result();
  {
    std::scoped_lock lock(mutex_);
    if (stopping_) std::rethrow_exception(stopping_failure());
    requests_.push_back(std::move(request));
  }
  wake_.notify_all();
  return result.get();
}

void ContinuousBackup::run() {
  std::unique_lock lock(mutex_);
  for (bool last = false; !last;) {
    last = stopping_;
    base_ended_ = false;
    auto requests = std::exchange(requests_, {});
    lock.unlock();
    waiting_.insert(waiting_.end(), requests.begin(), requests.end());
    if (!last) want_base();
    auto failure = round(last);
    if (!last) answer(failure);
    lock.lock();
    if (last) break;
    wake_.wait_for(lock, every_, [this] { return stopping_ || base_ended_ || !requests_.empty(); });
  }
  waiting_.insert(waiting_.end(), requests_.begin(), requests_.end());
  fail_requests(stopping_failure());
  stopped_ = true;
  ended_.notify_all();
}

// One base answers all that asked for one before it was begun.
void ContinuousBackup::want_base() {
  if (waiting_.empty() || !answering_.empty()) return;
  answering_ = std::exchange(waiting_, {});
  shipper_.want_base([requests = answering_](std::uint64_t done, std::uint64_t expected) {
    for (const auto& request : requests) request->tell(done, expected);
  });
}

void ContinuousBackup::answer(const std::exception_ptr& round_failure) {
  if (answering_.empty()) return;
  if (auto ended = shipper_.wanted_ended()) {
    auto requests = std::exchange(answering_, {});
    const BackedUp result{shipper_.lineage(), shipper_.shipped_ms()};
    for (auto& request : requests) *ended ? request->fail(*ended) : request->succeed(result);
    return;
  }
  // One that is being taken has an end of its own.
  if ((round_failure || superseded_) && shipper_.want_none()) {
    fail_requests(round_failure
                      ? round_failure
                      : std::make_exception_ptr(
                            Error(ErrorCode::kConflict, "Another server ships into the backup.")));
  }
}

void ContinuousBackup::fail_requests(const std::exception_ptr& failure) {
  for (auto* requests : {&answering_, &waiting_}) {
    for (auto& request : *requests) request->fail(failure);
    requests->clear();
  }
}

void ContinuousBackup::guard() {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, kGuardInterval, [this] { return stopping_; })) {
    lock.unlock();
    try {
      shipper_.guard_log();
    } catch (const std::exception& error) {
      telemetry::log_warning("backup.guard_failed", {{"detail", detail_of(error)}});
    }
    lock.lock();
  }
}

std::exception_ptr ContinuousBackup::round(bool last) {
  if (superseded_) return nullptr;
  auto begun_ms = clock_.now_ms();
  try {
    last ? shipper_.ship_rest() : shipper_.round();
  } catch (...) {
    note_failure(std::current_exception());
    return std::current_exception();
  }
  note_success(begun_ms);
  return nullptr;
}

void ContinuousBackup::note_success(std::int64_t begun_ms) {
  // Without a base nothing of it can be restored, whatever has been shipped.
  if (!shipper_.restorable()) return;
  *caught_up_ms_ = begun_ms;
  if (failing_) telemetry::log_info("backup.recovered");
  failing_ = false;
}

void ContinuousBackup::note_failure(const std::exception_ptr& failure) {
  failures_.Increment();
  std::string detail = "unknown";
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    superseded_ = error.code() == ErrorCode::kConflict;
    detail = detail_of(error);
  } catch (const std::exception& error) {
    detail = detail_of(error);
  }
  auto now_ms = clock_.now_ms();
  if (failing_ && now_ms - last_told_ms_ < kToldAgainMs && !superseded_) return;
  failing_ = true;
  last_told_ms_ = now_ms;
  telemetry::log_error("backup.failed", {{"target", target()}, {"detail", detail}});
}

}  // namespace colloquy::backup
