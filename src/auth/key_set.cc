#include "auth/key_set.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/this_coro.hpp>
#include <chrono>
#include <exception>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/read_file.h"
#include "base/signal.h"
#include "telemetry/log.h"

namespace colloquy::auth {
namespace {

constexpr std::uint64_t kNoVersion = 0;  // versions begin at 1

void log_skipped(const JwkSet& keys) {
  for (const auto& reason : keys.skipped()) {
    telemetry::log_warning("auth.key_skipped", {{"reason", reason}});
  }
}

KeySet::Snapshot make_snapshot(JwkSet keys, std::uint64_t version) {
  return std::make_shared<const KeySetSnapshot>(KeySetSnapshot{std::move(keys), version});
}

}  // namespace

FileKeySet::FileKeySet(std::filesystem::path path, std::chrono::milliseconds check_interval)
    : path_(std::move(path)) {
  text_ = read_file(path_, kKeySetBytesMax).text;
  JwkSet keys = [&] {
    try {
      return JwkSet::parse(text_);
    } catch (const Error& error) {
      throw Error(ErrorCode::kInvalid, path_.string() + ": " + error.message());
    }
  }();
  log_skipped(keys);
  if (keys.keys().empty()) {
    throw Error(ErrorCode::kInvalid, path_.string() + ": The key set holds no usable key.");
  }
  snapshot_ = make_snapshot(std::move(keys), 1);
  thread_ = std::jthread(
      [this, check_interval](const std::stop_token& stop) { watch(stop, check_interval); });
}

Task<KeySet::Snapshot> FileKeySet::current() {
  std::scoped_lock lock(mutex_);
  co_return snapshot_;
}

Task<KeySet::Snapshot> FileKeySet::newer_than(std::uint64_t) { return current(); }

bool FileKeySet::reload_if_changed() {
  try {
    std::string text = read_file(path_, kKeySetBytesMax).text;
    {
      std::scoped_lock lock(mutex_);
      if (text == text_) return false;
    }
    JwkSet keys = JwkSet::parse(text);
    log_skipped(keys);
    telemetry::log_info("auth.key_set_reloaded", {{"keys", keys.keys().size()}});
    std::scoped_lock lock(mutex_);
    snapshot_ = make_snapshot(std::move(keys), snapshot_->version + 1);
    text_ = std::move(text);
    problem_.clear();
    return true;
  } catch (const Error& error) {
    std::scoped_lock lock(mutex_);
    if (problem_ != error.message()) {
      problem_ = error.message();
      telemetry::log_warning("auth.key_set_not_reloaded", {{"reason", problem_}});
    }
    return false;
  }
}

void FileKeySet::watch(const std::stop_token& stop, std::chrono::milliseconds interval) {
  while (true) {
    {
      std::unique_lock lock(mutex_);
      stopping_.wait_for(lock, stop, interval, [] { return false; });
    }
    if (stop.stop_requested()) return;
    reload_if_changed();
  }
}

struct FetchedKeySet::State {
  State(FetchKeySet fetch_function, const Clock& a_clock, FetchedKeySetOptions some_options)
      : fetch(std::move(fetch_function)), clock(a_clock), options(some_options) {}

  // What a request does next, decided under the lock.
  struct Plan {
    std::optional<std::uint64_t> start;  // the flight that the caller has to start
    bool wait = false;
    std::uint64_t ticket = 0;  // of `landed`, when waiting
  };

  Plan plan(std::uint64_t unless_version);
  Snapshot outcome();
  void land(std::uint64_t flight, std::string text, std::optional<JwkSet> keys,
            const std::string& failure);

  const FetchKeySet fetch;
  const Clock& clock;
  const FetchedKeySetOptions options;
  Signal landed;  // notified at the end of each flight

 private:
  bool may_start(std::int64_t now_ms) const;  // with the lock held

  std::mutex mutex_;
  // All guarded by mutex_.
  Snapshot snapshot_;  // null before the first success
  std::string text_;
  std::int64_t fetched_at_ms_ = 0;
  std::uint64_t last_flight_ = 0;
  bool flying_ = false;
  std::int64_t started_at_ms_ = 0;
  std::optional<std::int64_t> failed_at_ms_;  // of the last flight; empty when it succeeded
  std::optional<std::int64_t> unknown_key_at_ms_;
};

bool FetchedKeySet::State::may_start(std::int64_t now_ms) const {
  // The event loop of a flight may have ended under it, so a flight that takes far too long is
  // taken for lost; should it land after all, land() ignores it.
  if (flying_) return now_ms - started_at_ms_ >= 3 * options.wait_ms;
  return !failed_at_ms_ || now_ms - *failed_at_ms_ >= options.retry_interval_ms;
}

FetchedKeySet::State::Plan FetchedKeySet::State::plan(std::uint64_t unless_version) {
  const std::int64_t now_ms = clock.now_ms();
  std::scoped_lock lock(mutex_);
  Plan plan;
  const std::int64_t age_ms = now_ms - fetched_at_ms_;
  const bool usable = snapshot_ != nullptr && age_ms < options.max_age_ms;
  const bool key_is_unknown = usable && snapshot_->version == unless_version;
  const bool may_look_for_key =
      key_is_unknown &&
      (!unknown_key_at_ms_ || now_ms - *unknown_key_at_ms_ >= options.unknown_key_interval_ms);
  const bool refresh = !usable || may_look_for_key || age_ms >= options.max_age_ms / 5 * 4;
  if (refresh && may_start(now_ms)) {
    if (key_is_unknown) unknown_key_at_ms_ = now_ms;
    flying_ = true;
    started_at_ms_ = now_ms;
    plan.start = ++last_flight_;
  }
  plan.wait = flying_ && (!usable || key_is_unknown);
  plan.ticket = landed.ticket();
  return plan;
}

KeySet::Snapshot FetchedKeySet::State::outcome() {
  std::scoped_lock lock(mutex_);
  if (!snapshot_ || clock.now_ms() - fetched_at_ms_ >= options.max_stale_ms) {
    throw unavailable("The identity provider's keys cannot be had at the moment.");
  }
  return snapshot_;
}

void FetchedKeySet::State::land(std::uint64_t flight, std::string text, std::optional<JwkSet> keys,
                                const std::string& failure) {
  {
    std::scoped_lock lock(mutex_);
    if (flight != last_flight_) return;
    const std::int64_t now_ms = clock.now_ms();
    flying_ = false;
    failed_at_ms_.reset();
    if (!keys) {
      failed_at_ms_ = now_ms;
      telemetry::log_warning("auth.key_set_fetch_failed", {{"reason", failure}});
    } else {
      fetched_at_ms_ = now_ms;
      if (!snapshot_ || text != text_) {
        log_skipped(*keys);
        telemetry::log_info("auth.key_set_fetched", {{"keys", keys->keys().size()}});
        const std::uint64_t version = snapshot_ ? snapshot_->version + 1 : 1;
        snapshot_ = make_snapshot(std::move(*keys), version);
        text_ = std::move(text);
      }
    }
  }
  landed.notify_all();
}

FetchedKeySet::FetchedKeySet(FetchKeySet fetch, const Clock& clock, FetchedKeySetOptions options)
    : state_(std::make_shared<State>(std::move(fetch), clock, options)) {}

Task<KeySet::Snapshot> FetchedKeySet::current() { return resolve(state_, kNoVersion); }

Task<KeySet::Snapshot> FetchedKeySet::newer_than(std::uint64_t seen_version) {
  return resolve(state_, seen_version);
}

Task<KeySet::Snapshot> FetchedKeySet::resolve(std::shared_ptr<State> state,
                                              std::uint64_t unless_version) {
  const State::Plan plan = state->plan(unless_version);
  if (plan.start) {
    auto executor = co_await boost::asio::this_coro::executor;
    // On its own, so that it outlives the request that happened to start it.
    boost::asio::co_spawn(executor, fly(state, *plan.start), boost::asio::detached);
  }
  if (plan.wait) {
    const std::chrono::milliseconds at_most(state->options.wait_ms);
    co_await state->landed.wait(plan.ticket, at_most);
  }
  co_return state->outcome();
}

Task<> FetchedKeySet::fly(std::shared_ptr<State> state, std::uint64_t flight) {
  std::string text;
  std::optional<JwkSet> keys;
  std::string failure;
  try {
    text = co_await state->fetch();
    keys = JwkSet::parse(text);
  } catch (const Error& error) {
    failure = error.detail().empty() ? error.message() : error.detail();
  } catch (const std::exception& error) {
    failure = error.what();
  }
  state->land(flight, std::move(text), std::move(keys), failure);
}

}  // namespace colloquy::auth
