#include "erase/eraser.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/this_coro.hpp>
#include <exception>
#include <utility>

#include "base/boot_clock.h"
#include "base/error.h"
#include "telemetry/log.h"

namespace colloquy::erase {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kWaitingPause{200};
constexpr milliseconds kLongestWaitingPause{1000};
constexpr milliseconds kFirstFailurePause{1000};
constexpr milliseconds kLongestFailurePause{15'000};
// So that one that stands still does not hold up the others.
constexpr std::size_t kStepsAtOnce = 8;

void log_failure(const std::exception& failure, const UserId* user) {
  std::string message = failure.what();
  std::string detail;
  if (const auto* error = dynamic_cast<const Error*>(&failure)) {
    message = error->message();
    detail = error->detail();
  }
  const std::string name = user == nullptr ? "" : user->value();
  telemetry::log_warning("user.erasing_failed",
                         {{"user_id", name}, {"error", message}, {"detail", detail}});
}

}  // namespace

Eraser::Eraser(EraserParts parts, telemetry::Metrics& metrics)
    : parts_(std::move(parts)),
      erased_(metrics.counter("colloquy_erased_users_total", "Users that this server has erased.")),
      erasing_(metrics.gauge("colloquy_erasing_users", "Users whose erasure has not ended.")),
      longest_(metrics.gauge("colloquy_erasing_longest_seconds",
                             "How long this server has known of the oldest erasure that has not "
                             "ended.")),
      pool_(1, 64, "Too many users are being erased.") {}

void Eraser::stop() {
  stopped_ = true;
  step_wanted_.notify_all();
  changed_.notify_all();
}

Task<bool> Eraser::erase(UserId user, milliseconds at_most) {
  co_await parts_.store.begin_erasure(user);
  {
    std::scoped_lock lock(mutex_);
    ++begun_;
    unfinished_.try_emplace(user);
    parts_.gate.close(user);
  }
  telemetry::log_info("user.erasing", {{"user_id", user.value()}});
  look_wanted_.notify_all();
  const auto give_up = steady_clock::now() + at_most;
  for (;;) {
    const auto ticket = changed_.ticket();
    if (!is_erasing(user)) co_return true;
    const auto left = std::chrono::duration_cast<milliseconds>(give_up - steady_clock::now());
    if (left.count() <= 0 || stopped_) co_return false;
    co_await changed_.wait(ticket, left);
  }
}

Task<> Eraser::look() {
  const auto began_at = BootClock::now();
  const auto lookout = parts_.store.lookout();
  std::set<UserId> before;
  std::uint64_t begun_before = 0;
  {
    std::scoped_lock lock(mutex_);
    for (const auto& [user, work] : unfinished_) before.insert(user);
    begun_before = begun_;
  }
  const auto found = co_await parts_.store.unfinished_erasures();
  {
    std::scoped_lock lock(mutex_);
    take_in(found, before, begun_ != begun_before);
  }
  if (lookout) {
    // Users may have been erased that were never seen here.
    const bool missed = looked_at_ && began_at > *looked_at_ + *lookout;
    if (missed) parts_.gate.void_all();
    if (missed && parts_.keys != nullptr) parts_.keys->forget_all();
    parts_.gate.admit_until(began_at + *lookout);
  }
  looked_at_ = began_at;
  changed_.notify_all();
}

// Under the lock. `before`: who was unfinished when the look began.
void Eraser::take_in(const std::vector<store::Erasure>& found, const std::set<UserId>& before,
                     bool begun_meanwhile) {
  auto gone = before;
  for (const auto& erasure : found) {
    gone.erase(erasure.user);
    auto& work = unfinished_[erasure.user];
    if (work.name != erasure.name) {
      work.name = erasure.name;
      work.acknowledged = false;
      work.ended = false;
      work.begun_noted = false;
      work.next = {};
    }
    // Another server had taken it over before the end, or the look was before that.
    if (!work.under_way) work.ended = false;
    parts_.gate.close(erasure.user);
  }
  for (const auto& user : gone) {
    // It may have been begun once more since the look.
    if (begun_meanwhile) break;
    auto& now = unfinished_.at(user);
    if (now.under_way) continue;  // it will notice
    unfinished_.erase(user);
    // What was read of it while it was being erased.
    if (parts_.keys != nullptr) parts_.keys->forget(user);
    if (parts_.files != nullptr) parts_.files->forget_usage(user);
    parts_.gate.open(user);
  }
  auto oldest = steady_clock::now();
  for (const auto& [user, work] : unfinished_) oldest = std::min(oldest, work.since);
  erasing_.Set(static_cast<double>(unfinished_.size()));
  longest_.Set(std::chrono::duration<double>(steady_clock::now() - oldest).count());
}

// Of whom nothing is being written here; ends what is being made for those.
std::vector<store::Erasure> Eraser::find_idle() {
  std::vector<store::Erasure> idle;
  std::scoped_lock lock(mutex_);
  for (const auto& [user, work] : unfinished_) {
    if (parts_.quiet) parts_.quiet(user);
    if (work.name.empty() || work.acknowledged || !parts_.gate.is_idle(user)) continue;
    idle.push_back({user, work.name});
  }
  return idle;
}

Task<> Eraser::acknowledge(store::Erasure erasure) {
  if (parts_.keys != nullptr) parts_.keys->forget(erasure.user);
  co_await parts_.store.acknowledge_erasure(erasure);
  std::scoped_lock lock(mutex_);
  auto found = unfinished_.find(erasure.user);
  if (found == unfinished_.end() || found->second.name != erasure.name) co_return;
  found->second.acknowledged = true;
}

// Beside the looks, which may not wait for it.
Task<> Eraser::acknowledge_again_and_again(std::shared_ptr<Eraser> self) {
  while (!self->left_) {
    const auto ticket = self->seen_.ticket();
    for (auto& erasure : self->find_idle()) {
      const auto user = erasure.user;
      try {
        co_await self->acknowledge(std::move(erasure));
      } catch (const std::exception& error) {
        log_failure(error, &user);
      }
    }
    self->step_wanted_.notify_all();
    const auto most = self->are_all_acknowledged() ? kLookInterval : kWaitingPause;
    if (!self->left_) co_await self->seen_.wait(ticket, most);
  }
  self->end_one();
}

Task<> Eraser::run(std::shared_ptr<Eraser> self) {
  auto executor = co_await boost::asio::this_coro::executor;
  self->running_ = 3;
  boost::asio::co_spawn(executor, acknowledge_again_and_again(self), boost::asio::detached);
  boost::asio::co_spawn(executor, look_again_and_again(self), boost::asio::detached);
  co_await carry_out(self);
  self->end_one();
}

void Eraser::end_one() {
  --running_;
  ended_.notify_all();
}

Task<bool> Eraser::wait_until_ended(milliseconds at_most) {
  left_ = true;
  stop();
  look_wanted_.notify_all();
  seen_.notify_all();
  const auto give_up = steady_clock::now() + at_most;
  for (;;) {
    const auto ticket = ended_.ticket();
    if (running_ == 0) co_return true;
    const auto left = std::chrono::duration_cast<milliseconds>(give_up - steady_clock::now());
    if (left.count() <= 0) co_return false;
    co_await ended_.wait(ticket, left);
  }
}

Task<> Eraser::look_again_and_again(std::shared_ptr<Eraser> self) {
  while (!self->left_) {
    const auto ticket = self->look_wanted_.ticket();
    auto time = kFirstFailurePause;
    try {
      co_await self->look();
      time = self->unfinished() ? kLookInterval / 2 : kLookInterval;
    } catch (const std::exception& error) {
      log_failure(error, nullptr);
    }
    self->seen_.notify_all();
    self->step_wanted_.notify_all();
    if (!self->left_) co_await self->look_wanted_.wait(ticket, time);
  }
  try {
    co_await self->parts_.store.stop_looking();
  } catch (const std::exception& error) {
    log_failure(error, nullptr);
  }
  self->end_one();
}

bool Eraser::are_all_acknowledged() const {
  std::scoped_lock lock(mutex_);
  return std::all_of(unfinished_.begin(), unfinished_.end(),
                     [](const auto& entry) { return entry.second.acknowledged; });
}

bool Eraser::unfinished() const {
  std::scoped_lock lock(mutex_);
  return !unfinished_.empty();
}

// Steps of several users at a time.
Task<> Eraser::carry_out(std::shared_ptr<Eraser> self) {
  auto executor = co_await boost::asio::this_coro::executor;
  while (!self->stopped_ || self->has_steps()) {
    const auto ticket = self->step_wanted_.ticket();
    while (auto next = self->take_next()) {
      boost::asio::co_spawn(executor, carry_out_step(self, std::move(*next)),
                            boost::asio::detached);
    }
    co_await self->step_wanted_.wait(ticket, kWaitingPause);
  }
}

bool Eraser::has_steps() const {
  std::scoped_lock lock(mutex_);
  return steps_ > 0;
}

// The one that has waited for the longest time.
std::optional<store::Erasure> Eraser::take_next() {
  std::scoped_lock lock(mutex_);
  if (stopped_ || steps_ >= kStepsAtOnce) return std::nullopt;
  const auto now = steady_clock::now();
  auto best = unfinished_.end();
  for (auto entry = unfinished_.begin(); entry != unfinished_.end(); ++entry) {
    const auto& work = entry->second;
    if (work.name.empty() || work.under_way || work.ended || work.next > now) continue;
    if (best == unfinished_.end() || work.next < best->second.next) best = entry;
  }
  if (best == unfinished_.end()) return std::nullopt;
  best->second.under_way = true;
  ++steps_;
  return store::Erasure{best->first, best->second.name};
}

void Eraser::put_back(const store::Erasure& erasure, std::optional<Step> outcome) {
  std::scoped_lock lock(mutex_);
  --steps_;
  auto& work = unfinished_.at(erasure.user);  // nobody takes away what is under way
  work.under_way = false;
  if (work.name != erasure.name) return;
  if (outcome) {
    work.failure_pause = milliseconds(0);
    work.ended = *outcome == Step::kEnded;
    const bool waits = *outcome != Step::kMoved;
    work.waiting_pause =
        waits ? std::clamp(work.waiting_pause * 2, kWaitingPause, kLongestWaitingPause)
              : milliseconds(0);
    work.next = steady_clock::now() + work.waiting_pause;
    return;
  }
  work.failure_pause = std::clamp(work.failure_pause * 2, kFirstFailurePause, kLongestFailurePause);
  work.next = steady_clock::now() + work.failure_pause;
}

Task<> Eraser::carry_out_step(std::shared_ptr<Eraser> self, store::Erasure erasure) {
  std::optional<Step> outcome;
  try {
    outcome = co_await self->step(erasure);
  } catch (const std::exception& error) {
    log_failure(error, &erasure.user);
  }
  self->put_back(erasure, outcome);
  // Which opens the gate.
  if (outcome == Step::kEnded) self->look_wanted_.notify_all();
  self->step_wanted_.notify_all();
}

Task<Eraser::Step> Eraser::step(const store::Erasure& erasure) {
  const auto& user = erasure.user;
  co_await note_begun(erasure);
  if (!parts_.gate.is_idle(user)) co_return Step::kWaits;
  const bool ours = co_await parts_.store.claim_erasure(erasure);
  if (!ours) co_return Step::kWaits;
  if (parts_.files != nullptr) {
    const bool none = co_await parts_.files->remove_some(user, erasure.name);
    if (!none) co_return Step::kMoved;
  }
  const auto left = co_await parts_.store.erase_some(erasure);
  if (left == store::Erasures::Left::kMore) co_return Step::kMoved;
  if (left == store::Erasures::Left::kLater) co_return Step::kWaits;
  if (parts_.search != nullptr && !parts_.search->forget(user)) co_return Step::kWaits;
  // Looked at before the seal, which only this erasure has: a key of a later life is another one.
  std::optional<std::string> key;
  if (parts_.keys != nullptr) key = co_await parts_.keys->id_of(user);
  const auto at_ms = co_await parts_.store.seal_erasure(erasure);
  if (key) co_await parts_.keys->erase(user, std::move(*key));
  store::ErasedUser erased{store::erased_name(user), at_ms};
  co_await note(std::move(erased));
  co_await parts_.store.end_erasure(erasure, at_ms);
  erased_.Increment();
  telemetry::log_info("user.erased", {{"user_id", user.value()}});
  co_return Step::kEnded;
}

Task<> Eraser::note(store::ErasedUser erased) {
  if (!parts_.note) co_return;
  auto job = [note = parts_.note, erased = std::move(erased)] {
    note(erased);
    return true;
  };
  co_await pool_.run(std::move(job));
}

bool Eraser::is_begun_noted(const store::Erasure& erasure) const {
  std::scoped_lock lock(mutex_);
  const auto& work = unfinished_.at(erasure.user);  // nobody takes away what is under way
  return work.begun_noted || work.name != erasure.name;
}

Task<> Eraser::note_begun(const store::Erasure& erasure) {
  if (!parts_.note_begun || is_begun_noted(erasure)) co_return;
  auto job = [note = parts_.note_begun, user = erasure.user] {
    note(user);
    return true;
  };
  try {
    co_await pool_.run(std::move(job));
  } catch (const std::exception&) {
    co_return;  // the list is out: whoever keeps it says so, and so does the end
  }
  std::scoped_lock lock(mutex_);
  auto& work = unfinished_.at(erasure.user);
  if (work.name == erasure.name) work.begun_noted = true;
}

}  // namespace colloquy::erase
