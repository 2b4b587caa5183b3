#include "store/dynamodb/aws/caching_credentials.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/this_coro.hpp>
#include <chrono>
#include <exception>
#include <mutex>
#include <utility>

#include "base/error.h"
#include "base/signal.h"

namespace colloquy::aws {
namespace {

using Snapshot = std::shared_ptr<const Credentials>;

constexpr std::string_view kProvider = "credentials";

// Since a moment that may lie in the future, because the clock was put back.
std::int64_t elapsed_ms(std::int64_t since_ms, std::int64_t now_ms) {
  return now_ms >= since_ms ? now_ms - since_ms : INT64_MAX;
}

}  // namespace

struct CachingCredentials::State {
  State(std::shared_ptr<CredentialProvider> a_provider, const Clock& a_clock,
        CachingOptions some_options)
      : provider(std::move(a_provider)), clock(a_clock), options(std::move(some_options)) {}

  // What a caller does next, decided under the lock.
  struct Plan {
    Snapshot ready;                        // set: nothing to wait for
    std::optional<std::uint64_t> renewal;  // the one that the caller has to start
    bool wait = false;
    std::uint64_t ticket = 0;  // of `landed`, when waiting
  };

  Plan plan();
  Snapshot outcome();
  void land(std::uint64_t renewal, Snapshot renewed, std::string failure);
  void reject(std::string_view access_key_id);

  const std::shared_ptr<CredentialProvider> provider;
  const Clock& clock;
  const CachingOptions options;
  Signal landed;  // notified at the end of each renewal

 private:
  // With the lock held.
  bool valid(std::int64_t now_ms) const;
  bool due(std::int64_t now_ms) const;
  bool may_start(std::int64_t now_ms) const;
  std::int64_t retry_delay_ms() const;
  void take(Snapshot renewed, std::int64_t now_ms);

  std::mutex mutex_;
  // All guarded by mutex_.
  Snapshot current_;  // null before the first success
  std::int64_t taken_at_ms_ = 0;
  std::int64_t renew_at_ms_ = 0;
  bool rejected_ = false;
  std::uint64_t last_renewal_ = 0;
  bool renewing_ = false;
  std::int64_t started_at_ms_ = 0;
  int failures_ = 0;  // in a row
  std::int64_t failed_at_ms_ = 0;
  std::string failure_;  // of the last one
};

bool CachingCredentials::State::valid(std::int64_t now_ms) const {
  return current_ && (!current_->expires_at_ms || now_ms < *current_->expires_at_ms);
}

bool CachingCredentials::State::due(std::int64_t now_ms) const {
  return !valid(now_ms) || rejected_ || (current_->expires_at_ms && now_ms >= renew_at_ms_);
}

std::int64_t CachingCredentials::State::retry_delay_ms() const {
  std::int64_t delay_ms = options.retry_first_ms;
  for (int i = 1; i < failures_ && delay_ms < options.retry_most_ms; ++i) delay_ms *= 2;
  return std::min(delay_ms, options.retry_most_ms);
}

bool CachingCredentials::State::may_start(std::int64_t now_ms) const {
  // The event loop of a renewal may have ended under it, so one that takes far too long is taken
  // for lost; should it land after all, land() ignores it.
  if (renewing_) return elapsed_ms(started_at_ms_, now_ms) >= 3 * options.wait_ms;
  return failures_ == 0 || elapsed_ms(failed_at_ms_, now_ms) >= retry_delay_ms();
}

CachingCredentials::State::Plan CachingCredentials::State::plan() {
  const std::int64_t now_ms = clock.now_ms();
  std::scoped_lock lock(mutex_);
  Plan plan;
  if (due(now_ms) && may_start(now_ms)) {
    renewing_ = true;
    started_at_ms_ = now_ms;
    plan.renewal = ++last_renewal_;
  }
  plan.wait = renewing_ && (!valid(now_ms) || rejected_);
  plan.ticket = landed.ticket();
  if (!plan.wait && valid(now_ms)) plan.ready = current_;
  return plan;
}

Snapshot CachingCredentials::State::outcome() {
  const std::int64_t now_ms = clock.now_ms();
  std::scoped_lock lock(mutex_);
  if (valid(now_ms)) return current_;
  if (!failure_.empty()) throw provider_failure(kProvider, failure_);
  throw provider_failure(kProvider, "the provider has not answered in time");
}

void CachingCredentials::State::take(Snapshot renewed, std::int64_t now_ms) {
  current_ = std::move(renewed);
  taken_at_ms_ = now_ms;
  rejected_ = false;
  failures_ = 0;
  failure_.clear();
  if (!current_->expires_at_ms) return;
  // Those that come with less time left than refresh_ahead_ms are not asked for again at once.
  const std::int64_t left_ms = *current_->expires_at_ms - now_ms;
  renew_at_ms_ = now_ms + std::max(left_ms - options.refresh_ahead_ms,
                                   std::min(options.retry_most_ms, left_ms / 2));
}

void CachingCredentials::State::land(std::uint64_t renewal, Snapshot renewed, std::string failure) {
  const std::int64_t now_ms = clock.now_ms();
  if (renewed && renewed->expires_at_ms && *renewed->expires_at_ms <= now_ms) {
    renewed = nullptr;
    failure = "the provider's credentials have expired already";
  }
  {
    std::scoped_lock lock(mutex_);
    if (renewal != last_renewal_) return;
    renewing_ = false;
    if (renewed) {
      take(std::move(renewed), now_ms);
    } else {
      ++failures_;
      failed_at_ms_ = now_ms;
      failure_ = failure;
    }
  }
  landed.notify_all();
  if (options.on_refresh) options.on_refresh(failure);
}

void CachingCredentials::State::reject(std::string_view access_key_id) {
  const std::int64_t now_ms = clock.now_ms();
  std::scoped_lock lock(mutex_);
  if (!current_ || current_->access_key_id != access_key_id) return;
  if (elapsed_ms(taken_at_ms_, now_ms) >= options.reject_interval_ms) rejected_ = true;
}

CachingCredentials::CachingCredentials(std::shared_ptr<CredentialProvider> provider,
                                       const Clock& clock, CachingOptions options)
    : state_(std::make_shared<State>(std::move(provider), clock, std::move(options))) {}

Task<std::shared_ptr<const Credentials>> CachingCredentials::current() { return resolve(state_); }

Task<Credentials> CachingCredentials::get() {
  const Snapshot snapshot = co_await resolve(state_);
  co_return *snapshot;
}

void CachingCredentials::reject(std::string_view access_key_id) { state_->reject(access_key_id); }

Task<std::shared_ptr<const Credentials>> CachingCredentials::resolve(std::shared_ptr<State> state) {
  const State::Plan plan = state->plan();
  if (plan.renewal) {
    boost::asio::any_io_executor executor = co_await boost::asio::this_coro::executor;
    if (state->options.executor) executor = *state->options.executor;
    // On its own, so that it outlives the request that happened to start it.
    boost::asio::co_spawn(executor, renew(state, *plan.renewal), boost::asio::detached);
  }
  if (plan.ready) co_return plan.ready;
  if (plan.wait) {
    const std::chrono::milliseconds at_most(state->options.wait_ms);
    co_await state->landed.wait(plan.ticket, at_most);
  }
  co_return state->outcome();
}

Task<> CachingCredentials::renew(std::shared_ptr<State> state, std::uint64_t renewal) {
  Snapshot renewed;
  std::string failure;
  try {
    Credentials credentials = co_await state->provider->get();
    renewed = std::make_shared<const Credentials>(std::move(credentials));
  } catch (const Error& error) {
    failure = error.detail().empty() ? error.message() : error.detail();
  } catch (const std::exception& error) {
    failure = error.what();
  }
  state->land(renewal, std::move(renewed), std::move(failure));
}

}  // namespace colloquy::aws
