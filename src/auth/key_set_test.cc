#include "auth/key_set.h"

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "auth/test_keys.h"
#include "base/signal.h"

namespace colloquy::auth {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::ec_key;
using testing::ed_key;
using testing::error_of;
using testing::make_key_set;

constexpr std::int64_t kMinuteMs = 60'000;

std::string keys_of(const char* key_id) { return make_key_set({ec_key().jwk(key_id)}); }

bool has_key(const KeySet::Snapshot& snapshot, const char* key_id) {
  return !snapshot->keys.candidates(Algorithm::kEs256, key_id).empty();
}

// Answers as the test says, and counts.
struct Provider {
  std::string text = keys_of("one");
  bool down = false;
  std::atomic<int> fetches = 0;

  static Task<std::string> answer(Provider* self) {
    ++self->fetches;
    co_await asio::post(asio::use_awaitable);  // as a network does: not at once
    if (self->down) throw std::runtime_error("connection refused");
    co_return self->text;
  }
  FetchKeySet fetch() {
    return [this] { return answer(this); };
  }
};

class FetchedKeySetTest : public ::testing::Test {
 protected:
  // Runs the event loop to its end, so background fetches are over when it returns.
  KeySet::Snapshot current() { return run_task(key_set_.current()); }
  KeySet::Snapshot newer_than(std::uint64_t version) {
    return run_task(key_set_.newer_than(version));
  }

  ManualClock clock_{1'000'000};
  Provider provider_;
  FetchedKeySet key_set_{provider_.fetch(), clock_};
};

TEST_F(FetchedKeySetTest, FetchesWhenFirstAskedAndThenKeepsTheKeys) {
  EXPECT_EQ(provider_.fetches, 0);
  EXPECT_TRUE(has_key(current(), "one"));
  clock_.advance_ms(7 * kMinuteMs);
  EXPECT_TRUE(has_key(current(), "one"));
  EXPECT_EQ(provider_.fetches, 1);
}

TEST_F(FetchedKeySetTest, RefreshesInTheBackgroundBeforeTheKeysAreOld) {
  const auto first = current();
  provider_.text = keys_of("two");
  clock_.advance_ms(8 * kMinuteMs);
  EXPECT_EQ(current(), first) << "the request that starts the refresh does not wait for it";
  EXPECT_EQ(provider_.fetches, 2);
  const auto second = current();
  EXPECT_TRUE(has_key(second, "two"));
  EXPECT_FALSE(has_key(second, "one"));
  EXPECT_NE(second->version, first->version);
  EXPECT_EQ(provider_.fetches, 2);
}

TEST_F(FetchedKeySetTest, WaitsForNewKeysOnceTheOldOnesArePastTheirAge) {
  current();
  provider_.text = keys_of("two");
  clock_.advance_ms(10 * kMinuteMs);
  EXPECT_TRUE(has_key(current(), "two"));
}

TEST_F(FetchedKeySetTest, TheSameTextKeepsItsVersion) {
  const auto first = current();
  clock_.advance_ms(10 * kMinuteMs);
  EXPECT_EQ(current()->version, first->version);
  EXPECT_EQ(provider_.fetches, 2);
}

TEST_F(FetchedKeySetTest, KeepsOldKeysWhileFetchingFailsAndRetriesNowAndThen) {
  current();
  provider_.down = true;
  clock_.advance_ms(10 * kMinuteMs);
  EXPECT_TRUE(has_key(current(), "one"));
  EXPECT_TRUE(has_key(current(), "one"));
  EXPECT_EQ(provider_.fetches, 2) << "not again at once after a failure";
  clock_.advance_ms(5'000);
  EXPECT_TRUE(has_key(current(), "one"));
  EXPECT_EQ(provider_.fetches, 3);
  provider_.down = false;
  provider_.text = keys_of("two");
  clock_.advance_ms(5'000);
  EXPECT_TRUE(has_key(current(), "two"));
}

TEST_F(FetchedKeySetTest, GivesOldKeysUpAfterADay) {
  current();
  provider_.down = true;
  clock_.advance_ms(24 * 60 * kMinuteMs - 1);
  EXPECT_TRUE(has_key(current(), "one"));
  clock_.advance_ms(1);
  EXPECT_EQ(error_of([&] { current(); }), ErrorCode::kUnavailable);
}

TEST_F(FetchedKeySetTest, IsUnavailableWhileThereAreNoKeysAndRecovers) {
  provider_.down = true;
  EXPECT_EQ(error_of([&] { current(); }), ErrorCode::kUnavailable);
  EXPECT_EQ(error_of([&] { newer_than(0); }), ErrorCode::kUnavailable);
  EXPECT_EQ(provider_.fetches, 1);
  provider_.down = false;
  clock_.advance_ms(5'000);
  EXPECT_TRUE(has_key(current(), "one"));
}

TEST_F(FetchedKeySetTest, AnAnswerThatIsNoKeySetIsAFailedFetch) {
  const auto first = current();
  provider_.text = "<html>Service unavailable</html>";
  clock_.advance_ms(10 * kMinuteMs);
  EXPECT_EQ(current(), first);
}

TEST_F(FetchedKeySetTest, LooksForAnUnknownKeyOnceAMinuteAtMost) {
  const auto first = current();
  EXPECT_EQ(newer_than(first->version)->version, first->version);
  EXPECT_EQ(provider_.fetches, 2);
  provider_.text = keys_of("two");
  clock_.advance_ms(kMinuteMs - 1);
  EXPECT_EQ(newer_than(first->version)->version, first->version);
  EXPECT_EQ(provider_.fetches, 2);
  clock_.advance_ms(1);
  const auto second = newer_than(first->version);
  EXPECT_TRUE(has_key(second, "two"));
  EXPECT_EQ(provider_.fetches, 3);
  EXPECT_EQ(newer_than(first->version), second) << "it is newer already: no fetch";
  EXPECT_EQ(provider_.fetches, 3);
}

TEST_F(FetchedKeySetTest, AnUnknownKeyDuringAnOutageLeavesTheOldKeys) {
  const auto first = current();
  provider_.down = true;
  EXPECT_EQ(newer_than(first->version), first);
}

// Holds every fetch until the test lets it go.
struct SlowProvider {
  std::atomic<int> fetches = 0;
  Signal let_go;

  static Task<std::string> answer(SlowProvider* self) {
    ++self->fetches;
    co_await self->let_go.wait(0, 1min);
    co_return keys_of("one");
  }
};

TEST(FetchedKeySetLoopsTest, ManyRequestsOnManyLoopsCauseOneFetch) {
  ManualClock clock(0);
  SlowProvider provider;
  FetchedKeySet key_set([&] { return SlowProvider::answer(&provider); }, clock);
  constexpr int kLoops = 4;
  constexpr int kRequests = 50;
  std::atomic<int> good = 0;
  std::atomic<int> asked = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kLoops; ++i) {
      threads.emplace_back([&] {
        asio::io_context loop;
        for (int j = 0; j < kRequests; ++j) {
          asio::co_spawn(loop, key_set.current(),
                         [&](std::exception_ptr error, const KeySet::Snapshot& snapshot) {
                           if (!error && has_key(snapshot, "one")) ++good;
                         });
        }
        asio::post(loop, [&] {
          if (++asked == kLoops) provider.let_go.notify_all();
        });
        loop.run();
      });
    }
  }
  EXPECT_EQ(good, kLoops * kRequests);
  EXPECT_EQ(provider.fetches, 1);
}

Task<std::string> never_answer(std::atomic<int>* fetches) {
  ++*fetches;
  asio::steady_timer timer(co_await asio::this_coro::executor, 1h);
  co_await timer.async_wait(asio::use_awaitable);
  co_return "";
}

// Runs until the task is done, and drops what else is on the event loop.
std::optional<ErrorCode> error_of_current(KeySet& key_set) {
  asio::io_context loop;
  std::exception_ptr error;
  asio::co_spawn(loop, key_set.current(), [&](std::exception_ptr e, const KeySet::Snapshot&) {
    error = e;
    loop.stop();
  });
  loop.run();
  return error_of([&] {
    if (error) std::rethrow_exception(error);
  });
}

TEST(FetchedKeySetLoopsTest, AFetchThatHangsHoldsNobodyUpForeverAndIsGivenUp) {
  ManualClock clock(0);
  std::atomic<int> fetches = 0;
  FetchedKeySetOptions options;
  options.wait_ms = 20;
  FetchedKeySet key_set([&] { return never_answer(&fetches); }, clock, options);
  EXPECT_EQ(error_of_current(key_set), ErrorCode::kUnavailable);
  EXPECT_EQ(error_of_current(key_set), ErrorCode::kUnavailable);
  EXPECT_EQ(fetches, 1);
  clock.advance_ms(60);
  EXPECT_EQ(error_of_current(key_set), ErrorCode::kUnavailable);
  EXPECT_EQ(fetches, 2);
}

TEST(FetchedKeySetLoopsTest, TheFetchOutlivesTheKeySetAndWhoAskedFirst) {
  ManualClock clock(0);
  Provider provider;
  asio::io_context loop;
  auto key_set = std::make_unique<FetchedKeySet>(provider.fetch(), clock);
  asio::co_spawn(loop, key_set->current(), asio::detached);
  key_set.reset();
  loop.run();
  EXPECT_EQ(provider.fetches, 1);
}

class FileKeySetTest : public ::testing::Test {
 protected:
  FileKeySetTest() {
    std::string pattern = (fs::temp_directory_path() / "key_set_test.XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    path_ = folder_ / "keys.json";
  }
  ~FileKeySetTest() override { fs::remove_all(folder_); }

  void write(const std::string& text) const { std::ofstream(path_, std::ios::binary) << text; }

  fs::path folder_;
  fs::path path_;
};

TEST_F(FileKeySetTest, IsReadAgainWhenItChanges) {
  write(keys_of("one"));
  FileKeySet key_set(path_, 1h);
  const auto first = run_task(key_set.current());
  EXPECT_TRUE(has_key(first, "one"));
  EXPECT_FALSE(key_set.reload_if_changed());
  write(keys_of("two"));
  EXPECT_TRUE(key_set.reload_if_changed());
  const auto second = run_task(key_set.newer_than(first->version));
  EXPECT_TRUE(has_key(second, "two"));
  EXPECT_NE(second->version, first->version);
  EXPECT_FALSE(key_set.reload_if_changed());
}

TEST_F(FileKeySetTest, ItsThreadNoticesTheChange) {
  write(keys_of("one"));
  FileKeySet key_set(path_, 5ms);
  write(keys_of("two"));
  const auto deadline = std::chrono::steady_clock::now() + 30s;
  while (!has_key(run_task(key_set.current()), "two")) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    std::this_thread::yield();
  }
}

TEST_F(FileKeySetTest, KeepsTheLastGoodKeysWhileTheFileIsBadOrGone) {
  write(keys_of("one"));
  FileKeySet key_set(path_, 1h);
  for (const auto* text : {"", "{", "[]", "not json"}) {
    write(text);
    EXPECT_FALSE(key_set.reload_if_changed());
    EXPECT_TRUE(has_key(run_task(key_set.current()), "one"));
  }
  fs::remove(path_);
  EXPECT_FALSE(key_set.reload_if_changed());
  EXPECT_TRUE(has_key(run_task(key_set.current()), "one"));
  write(keys_of("two"));
  EXPECT_TRUE(key_set.reload_if_changed());
  EXPECT_TRUE(has_key(run_task(key_set.current()), "two"));
}

TEST_F(FileKeySetTest, RefusesToStartWithoutAUsableKey) {
  EXPECT_EQ(error_of([&] { FileKeySet key_set(path_); }), ErrorCode::kNotFound);
  for (const auto* text : {"", "{}", R"({"keys":[]})", R"({"keys":[{"kty":"oct","k":"AAAA"}]})"}) {
    write(text);
    EXPECT_EQ(error_of([&] { FileKeySet key_set(path_); }), ErrorCode::kInvalid) << text;
  }
}

}  // namespace
}  // namespace colloquy::auth
