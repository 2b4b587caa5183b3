// Where the key set of an identity provider comes from, and how long one is
// good: from a file that is watched, or from a URL that is fetched again before
// the keys grow old. Thread-safe: one KeySet serves every event loop, and none
// of them is ever blocked by it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

#include "auth/jwks.h"
#include "base/clock.h"
#include "base/task.h"

namespace colloquy::auth {

struct KeySetSnapshot {
  JwkSet keys;
  std::uint64_t version = 0;  // another one whenever the keys' text is another
};

class KeySet {
 public:
  using Snapshot = std::shared_ptr<const KeySetSnapshot>;  // never null where it is returned
  virtual ~KeySet() = default;
  // The keys to use now. Throws kUnavailable when there are none and none can be had.
  virtual Task<Snapshot> current() = 0;
  // For a token whose key is not among those of `seen_version`: newer keys if there may be some,
  // else the same again. Throws as current() does.
  virtual Task<Snapshot> newer_than(std::uint64_t seen_version) = 0;
};

// Reads the file when made, and again, on a thread of its own, within `check_interval` of its
// change. A file that has become unreadable or wrong is logged and the last good keys are kept.
class FileKeySet final : public KeySet {
 public:
  // Throws Error kInvalid or kNotFound, naming the file, when it cannot be read, is no key set or
  // holds no usable key.
  explicit FileKeySet(std::filesystem::path path,
                      std::chrono::milliseconds check_interval = std::chrono::seconds(1));

  Task<Snapshot> current() override;
  Task<Snapshot> newer_than(std::uint64_t seen_version) override;
  // What the thread does at each interval; true when the keys are other ones now. Blocks.
  bool reload_if_changed();

 private:
  void watch(const std::stop_token& stop, std::chrono::milliseconds interval);

  const std::filesystem::path path_;
  std::mutex mutex_;
  std::condition_variable_any stopping_;
  std::string text_;     // guarded by mutex_
  std::string problem_;  // guarded by mutex_; what was logged last, so that it is said once
  Snapshot snapshot_;    // guarded by mutex_
  std::jthread thread_;  // last: ends before what it uses
};

// Fetches the text of a key set, on the event loop that it is awaited on, with deadlines of its
// own. May throw anything derived from std::exception.
using FetchKeySet = std::function<Task<std::string>()>;

struct FetchedKeySetOptions {
  std::int64_t max_age_ms = 10LL * 60 * 1000;  // fetched again in the background at 4/5 of it
  std::int64_t max_stale_ms = 24LL * 60 * 60 * 1000;  // how old keys may grow while fetching fails
  std::int64_t unknown_key_interval_ms =
      60LL * 1000;                              // between fetches for a key that is not there
  std::int64_t retry_interval_ms = 5LL * 1000;  // after a fetch that failed
  std::int64_t wait_ms = 10LL * 1000;           // how long a request waits for a fetch
};

// Fetches when first asked. However many ask, on however many event loops, one fetch is under way
// at a time, on the loop of whoever asked first, and the others wait for it. `clock` must outlive
// those event loops.
class FetchedKeySet final : public KeySet {
 public:
  FetchedKeySet(FetchKeySet fetch, const Clock& clock, FetchedKeySetOptions options = {});

  Task<Snapshot> current() override;
  Task<Snapshot> newer_than(std::uint64_t seen_version) override;

 private:
  struct State;  // shared with the fetch under way, which may outlast the KeySet
  static Task<Snapshot> resolve(std::shared_ptr<State> state, std::uint64_t unless_version);
  static Task<> fly(std::shared_ptr<State> state, std::uint64_t flight);

  std::shared_ptr<State> state_;
};

}  // namespace colloquy::auth
