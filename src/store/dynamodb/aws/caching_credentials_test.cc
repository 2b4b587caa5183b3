#include "store/dynamodb/aws/caching_credentials.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <future>
#include <mutex>
#include <thread>

#include "base/completion.h"
#include "store/dynamodb/aws/provider_harness.h"

namespace colloquy::aws {
namespace {

using ::testing::HasSubstr;
using testing::kNowMs;

constexpr std::int64_t kMinuteMs = 60'000;

// Answers each call when the test says so, from whatever thread.
class GatedProvider final : public CredentialProvider {
 public:
  Task<Credentials> get() override {
    auto answer = std::make_shared<Completion<Credentials>>();
    {
      std::scoped_lock lock(mutex_);
      waiting_.push_back(answer);
      ++calls_;
    }
    Credentials credentials = co_await answer->wait();
    co_return credentials;
  }
  int calls() const {
    std::scoped_lock lock(mutex_);
    return calls_;
  }
  void succeed(const std::string& key_id, std::optional<std::int64_t> expires_at_ms) {
    next()->set_value_now(Credentials{key_id, "secret", "", expires_at_ms});
  }
  void fail(const std::string& reason) {
    next()->set_error_now(std::make_exception_ptr(provider_failure("gated", reason)));
  }

 private:
  std::shared_ptr<Completion<Credentials>> next() {
    std::scoped_lock lock(mutex_);
    auto answer = waiting_.at(0);
    waiting_.erase(waiting_.begin());
    return answer;
  }
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<Completion<Credentials>>> waiting_;  // guarded by mutex_
  int calls_ = 0;                                                  // guarded by mutex_
};

class CachingTest : public ::testing::Test {
 protected:
  using Pending = std::future<std::shared_ptr<const Credentials>>;

  Pending ask() {
    auto pending = boost::asio::co_spawn(loop, cache().current(), boost::asio::use_future);
    settle();
    return pending;
  }
  // Runs what can run now.
  void settle() {
    loop.restart();
    while (loop.poll() > 0) {
    }
  }
  static bool done(Pending& pending) {
    return pending.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  }
  // The key's id, or the failure's detail.
  static std::string outcome(Pending pending) {
    if (!done(pending)) return "(waits)";
    try {
      return pending.get()->access_key_id;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
      return error.detail();
    }
  }
  std::string outcome() { return outcome(ask()); }
  void succeed(const std::string& key_id, std::optional<std::int64_t> expires_at_ms) {
    provider->succeed(key_id, expires_at_ms);
    settle();
  }
  void fail(const std::string& reason) {
    provider->fail(reason);
    settle();
  }
  // With credentials that are good for an hour.
  void fill() {
    auto pending = ask();
    succeed("FIRST", kNowMs + 60 * kMinuteMs);
    ASSERT_EQ(outcome(std::move(pending)), "FIRST");
  }
  CachingCredentials& cache() {
    if (!cache_) {
      options.on_refresh = [this](const std::string& failure) { reports.push_back(failure); };
      cache_ = std::make_unique<CachingCredentials>(provider, clock, options);
    }
    return *cache_;
  }

  ManualClock clock{kNowMs};
  boost::asio::io_context loop;
  std::shared_ptr<GatedProvider> provider = std::make_shared<GatedProvider>();
  CachingOptions options;
  std::vector<std::string> reports;

 private:
  std::unique_ptr<CachingCredentials> cache_;
};

TEST_F(CachingTest, TheFirstToAskWaitForOneSearch) {
  auto first = ask();
  auto second = ask();
  EXPECT_FALSE(done(first));
  succeed("FIRST", std::nullopt);
  EXPECT_EQ(outcome(std::move(first)), "FIRST");
  EXPECT_EQ(outcome(std::move(second)), "FIRST");
  EXPECT_EQ(provider->calls(), 1);
  EXPECT_THAT(reports, ::testing::ElementsAre(""));
}

TEST_F(CachingTest, CredentialsThatDoNotExpireAreKept) {
  auto first = ask();
  succeed("FIRST", std::nullopt);
  clock.advance_ms(10'000LL * kMinuteMs);
  EXPECT_EQ(outcome(), "FIRST");
  EXPECT_EQ(provider->calls(), 1);
}

TEST_F(CachingTest, AreRenewedBeforeTheyExpireWithoutAnyoneWaiting) {
  fill();
  clock.advance_ms(55 * kMinuteMs - 1);
  EXPECT_EQ(outcome(), "FIRST");
  EXPECT_EQ(provider->calls(), 1);
  clock.advance_ms(1);
  EXPECT_EQ(outcome(), "FIRST");
  EXPECT_EQ(outcome(), "FIRST");
  EXPECT_EQ(provider->calls(), 2) << "one renewal at a time";
  succeed("SECOND", kNowMs + 120 * kMinuteMs);
  EXPECT_EQ(outcome(), "SECOND");
  EXPECT_EQ(provider->calls(), 2);
}

TEST_F(CachingTest, PastTheExpiryCallersWaitForTheRenewalUnderWay) {
  fill();
  clock.advance_ms(59 * kMinuteMs);
  EXPECT_EQ(outcome(), "FIRST");
  clock.advance_ms(kMinuteMs);
  auto waiting = ask();
  auto another = ask();
  EXPECT_FALSE(done(waiting));
  EXPECT_EQ(provider->calls(), 2);
  succeed("SECOND", kNowMs + 120 * kMinuteMs);
  EXPECT_EQ(outcome(std::move(waiting)), "SECOND");
  EXPECT_EQ(outcome(std::move(another)), "SECOND");
}

TEST_F(CachingTest, WhileTheyAreValidAFailureIsNotFeltAndPutsTheNextAttemptOff) {
  fill();
  clock.advance_ms(55 * kMinuteMs);
  EXPECT_EQ(outcome(), "FIRST");
  fail("out");
  for (const std::int64_t delay_ms : {1'000, 2'000, 4'000, 8'000, 16'000, 32'000, 60'000, 60'000}) {
    const int calls = provider->calls();
    clock.advance_ms(delay_ms - 1);
    EXPECT_EQ(outcome(), "FIRST");
    EXPECT_EQ(provider->calls(), calls) << delay_ms;
    clock.advance_ms(1);
    EXPECT_EQ(outcome(), "FIRST");
    EXPECT_EQ(provider->calls(), calls + 1) << delay_ms;
    fail("out");
  }
  EXPECT_THAT(reports, ::testing::Contains("gated: out").Times(9));
}

TEST_F(CachingTest, PastTheExpiryAFailureIsToldAtOnceUntilTheNextAttempt) {
  fill();
  clock.advance_ms(60 * kMinuteMs);
  auto waiting = ask();
  fail("out");
  EXPECT_EQ(outcome(std::move(waiting)), "credentials: gated: out");
  EXPECT_EQ(outcome(), "credentials: gated: out");
  EXPECT_EQ(provider->calls(), 2);
  clock.advance_ms(1'000);
  auto again = ask();
  EXPECT_EQ(provider->calls(), 3);
  succeed("SECOND", kNowMs + 120 * kMinuteMs);
  EXPECT_EQ(outcome(std::move(again)), "SECOND");
}

TEST_F(CachingTest, ASuccessEndsThePuttingOff) {
  auto waiting = ask();
  fail("out");
  clock.advance_ms(1'000);
  waiting = ask();
  fail("out");
  clock.advance_ms(2'000);
  waiting = ask();
  succeed("FIRST", clock.now_ms() + 10 * kMinuteMs);
  clock.advance_ms(10 * kMinuteMs);
  waiting = ask();
  fail("out");
  clock.advance_ms(1'000);
  waiting = ask();
  EXPECT_EQ(provider->calls(), 5);
  succeed("SECOND", std::nullopt);
}

TEST_F(CachingTest, CredentialsThatComeExpiredAreAFailure) {
  auto waiting = ask();
  succeed("OLD", kNowMs);
  EXPECT_EQ(outcome(std::move(waiting)),
            "credentials: the provider's credentials have expired already");
}

TEST_F(CachingTest, ThoseThatComeWithLittleTimeLeftAreNotAskedForAgainAtOnce) {
  auto waiting = ask();
  succeed("SHORT", kNowMs + 3 * kMinuteMs);
  EXPECT_EQ(outcome(), "SHORT");
  EXPECT_EQ(provider->calls(), 1);
  clock.advance_ms(kMinuteMs);
  EXPECT_EQ(outcome(), "SHORT");
  EXPECT_EQ(provider->calls(), 2);
  succeed("NEXT", std::nullopt);
}

TEST_F(CachingTest, AClockThatIsPutBackHoldsNothingUp) {
  auto waiting = ask();
  fail("out");
  clock.advance_ms(-10 * kMinuteMs);
  waiting = ask();
  EXPECT_EQ(provider->calls(), 2);
  succeed("FIRST", std::nullopt);
  EXPECT_EQ(outcome(std::move(waiting)), "FIRST");
}

TEST_F(CachingTest, RejectedCredentialsAreRenewedOnceAndWaitedFor) {
  fill();
  cache().reject("FIRST");
  EXPECT_EQ(outcome(), "FIRST") << "just taken: renewing would bring the same";
  clock.advance_ms(10'000);
  cache().reject("ANOTHER");
  EXPECT_EQ(outcome(), "FIRST");
  EXPECT_EQ(provider->calls(), 1);
  cache().reject("FIRST");
  auto waiting = ask();
  EXPECT_FALSE(done(waiting));
  EXPECT_EQ(provider->calls(), 2);
  succeed("SECOND", std::nullopt);
  EXPECT_EQ(outcome(std::move(waiting)), "SECOND");
  cache().reject("FIRST");
  EXPECT_EQ(outcome(), "SECOND");
}

TEST_F(CachingTest, RejectedCredentialsAreUsedOnWhenNoOthersCanBeHad) {
  fill();
  clock.advance_ms(10'000);
  cache().reject("FIRST");
  auto waiting = ask();
  fail("out");
  EXPECT_EQ(outcome(std::move(waiting)), "FIRST");
}

TEST_F(CachingTest, ARenewalThatIsLostIsReplacedAndIgnoredShouldItLand) {
  options.wait_ms = 1'000;
  auto first = ask();
  clock.advance_ms(2'999);
  auto second = ask();
  EXPECT_EQ(provider->calls(), 1);
  clock.advance_ms(1);
  auto third = ask();
  EXPECT_EQ(provider->calls(), 2);
  succeed("LATE", std::nullopt);
  EXPECT_FALSE(done(third));
  succeed("FIRST", std::nullopt);
  EXPECT_EQ(outcome(std::move(third)), "FIRST");
}

TEST_F(CachingTest, AWaitIsBounded) {
  options.wait_ms = 20;
  auto waiting = ask();
  loop.restart();
  while (!done(waiting)) loop.run_one_for(std::chrono::seconds(10));
  EXPECT_EQ(outcome(std::move(waiting)), "credentials: the provider has not answered in time");
  succeed("LATE", std::nullopt);
  EXPECT_EQ(outcome(), "LATE");
}

TEST_F(CachingTest, AnyExceptionOfAProviderIsAFailure) {
  class Throwing final : public CredentialProvider {
   public:
    Task<Credentials> get() override {
      throw std::runtime_error("odd");
      co_return Credentials{};
    }
  };
  CachingCredentials throwing(std::make_shared<Throwing>(), clock);
  auto pending = boost::asio::co_spawn(loop, throwing.current(), boost::asio::use_future);
  settle();
  EXPECT_EQ(outcome(std::move(pending)), "credentials: odd");
}

TEST(CachingLoopsTest, ManyEventLoopsShareOneRenewalOnTheLoopThatIsGiven) {
  class Counting final : public CredentialProvider {
   public:
    explicit Counting(const Clock& clock) : clock_(clock) {}
    Task<Credentials> get() override {
      const int before = ++under_way_;
      EXPECT_EQ(before, 1);
      EXPECT_TRUE(!thread || *thread == std::this_thread::get_id());
      thread = std::this_thread::get_id();
      const boost::asio::any_io_executor executor = co_await boost::asio::this_coro::executor;
      boost::asio::steady_timer timer(executor, std::chrono::milliseconds(1));
      co_await timer.async_wait(boost::asio::use_awaitable);
      --under_way_;
      ++calls;
      co_return Credentials{"K" + std::to_string(calls), "s", "", clock_.now_ms() + 10 * kMinuteMs};
    }
    std::atomic<int> calls{0};
    std::optional<std::thread::id> thread;

   private:
    const Clock& clock_;
    std::atomic<int> under_way_{0};
  };
  ManualClock clock(kNowMs);
  auto provider = std::make_shared<Counting>(clock);
  boost::asio::io_context control;
  auto control_work = boost::asio::make_work_guard(control);
  CachingOptions options;
  options.executor = control.get_executor();
  options.wait_ms = 10 * kMinuteMs;  // the clock moves faster than the time
  CachingCredentials cache(provider, clock, options);
  std::thread control_thread([&control] { control.run(); });
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&cache, &clock] {
      boost::asio::io_context loop;
      for (int round = 0; round < 100; ++round) {
        const auto credentials = run_task(loop, cache.get());
        EXPECT_FALSE(credentials.access_key_id.empty());
        if (round % 10 == 9) clock.advance_ms(10'000);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  control_work.reset();
  control_thread.join();
  EXPECT_GE(provider->calls, 2);
  EXPECT_LE(provider->calls, 3);
}

}  // namespace
}  // namespace colloquy::aws
