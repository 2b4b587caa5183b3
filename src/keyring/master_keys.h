// What users' data keys are wrapped with: a master key that is kept somewhere else than they are.
// One wraps; older ones may still unwrap, so that a new one can be taken without a stop.
//
// Calls run on the event loop that awaits them and do not block it. Errors: kUnavailable where
// whoever has the key cannot be reached; kInternal, with a detail for an operator, where a key is
// missing or what was wrapped has been changed.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/task.h"
#include "base/thread_pool.h"

namespace colloquy::keyring {

struct Wrapped {
  std::string master;  // the name of the master key that unwraps it: no space, no line end
  std::string bytes;
};

class MasterKeys {
 public:
  virtual ~MasterKeys() = default;

  // The name of the master key that wraps now. Whoever has it may be asked.
  virtual Task<std::string> current() = 0;
  virtual bool unwraps(std::string_view master) = 0;
  // `context` must be the same when it is unwrapped.
  virtual Task<Wrapped> wrap(std::string secret, std::string context) = 0;
  virtual Task<std::string> unwrap(Wrapped wrapped, std::string context) = 0;
};

// Keys in this process's memory, which stay there when they are not given any more. Thread-safe.
class LocalMasterKeys final : public MasterKeys {
 public:
  // `read` gives the text of the keys: 32 bytes in base64 each, one a line (or with commas between
  // them), of which the first wraps; lines that begin with # say nothing. It is asked again where a
  // name is unknown, on a thread of its own, where it may block, and not within `read_again_after`
  // of the last time. Throws Error(kInvalid) for a text that is none.
  explicit LocalMasterKeys(
      std::function<std::string()> read,
      std::chrono::milliseconds read_again_after = std::chrono::milliseconds(5'000));
  ~LocalMasterKeys() override;

  Task<std::string> current() override;
  bool unwraps(std::string_view master) override;
  Task<Wrapped> wrap(std::string secret, std::string context) override;
  Task<std::string> unwrap(Wrapped wrapped, std::string context) override;

 private:
  struct Key;
  using Keys = std::vector<std::shared_ptr<const Key>>;
  static Keys parse(std::string text);
  std::shared_ptr<const Key> held(std::string_view master);
  Task<std::shared_ptr<const Key>> find(std::string master);
  std::shared_ptr<const Key> read_again(const std::string& master);

  const std::function<std::string()> read_;
  const std::chrono::milliseconds read_again_after_;
  std::mutex mutex_;
  Keys keys_;                                                       // guarded by mutex_
  std::optional<std::chrono::steady_clock::time_point> last_read_;  // of the thread that reads
  ThreadPool reading_{1, 4096, "Too many keys are being read right now."};
};

// One that wraps and unwraps, and one that unwraps what the other does not.
class ChainedMasterKeys final : public MasterKeys {
 public:
  ChainedMasterKeys(std::unique_ptr<MasterKeys> first, std::unique_ptr<MasterKeys> before)
      : first_(std::move(first)), before_(std::move(before)) {}

  Task<std::string> current() override { return first_->current(); }
  bool unwraps(std::string_view master) override {
    return first_->unwraps(master) || before_->unwraps(master);
  }
  Task<Wrapped> wrap(std::string secret, std::string context) override {
    return first_->wrap(std::move(secret), std::move(context));
  }
  Task<std::string> unwrap(Wrapped wrapped, std::string context) override {
    auto& keys = first_->unwraps(wrapped.master) ? *first_ : *before_;
    return keys.unwrap(std::move(wrapped), std::move(context));
  }

 private:
  std::unique_ptr<MasterKeys> first_;
  std::unique_ptr<MasterKeys> before_;
};

// A master key, as a line of its file.
std::string make_master_key();
// A text of keys for LocalMasterKeys from a file. Throws Error(kInvalid) for one that is not there
// or that everyone can read.
std::string read_master_keys(const std::string& path);

}  // namespace colloquy::keyring
