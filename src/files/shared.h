// What the calls of a UserFiles on its threads have in common: the volume, quotas, the floor of
// free space, how many uploads and readers there may be, and what is counted. It ends with the last
// upload or reader. Thread-safe; what says so blocks.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <unordered_map>

#include "base/clock.h"
#include "base/error.h"
#include "files/removal.h"
#include "files/sealed_file.h"
#include "files/usage.h"
#include "files/user_files.h"
#include "files/volume.h"
#include "telemetry/metrics.h"

namespace colloquy::files {

// How many of something each user may have at once, and all users together. Outlives its places.
class Places {
 public:
  Places(Allowance allowance, std::string what) : allowance_(allowance), what_(std::move(what)) {}

  // One of them, given back at its end. Throws kThrottled where the user has all that one may have,
  // kUnavailable where all are taken.
  std::shared_ptr<void> take(const UserId& user);

 private:
  void give_back(const std::string& user);

  const Allowance allowance_;
  const std::string what_;
  std::mutex mutex_;
  // Guarded by mutex_.
  std::unordered_map<std::string, std::size_t> taken_;
  std::size_t all_ = 0;
};

struct FilesShared {
  FilesShared(const UserFilesOptions& options, FileSystem& system, const Clock& clock,
              telemetry::Metrics& registry);

  // Room that an upload will still write to.
  class Promise {
   public:
    explicit Promise(FilesShared& shared) : shared_(shared) {}
    ~Promise() { keep(bytes_); }
    Promise(const Promise&) = delete;
    Promise& operator=(const Promise&) = delete;

    // So many more bytes. kQuota where they are not there beside what others were promised and the
    // floor. Blocks.
    void add(std::uint64_t bytes);
    void keep(std::uint64_t bytes);  // they are written now
    std::uint64_t bytes() const { return bytes_; }

   private:
    FilesShared& shared_;
    std::uint64_t bytes_ = 0;
  };

  // kQuota where what was promised is not there any more. Blocks.
  void require_free_space();
  // Sets the gauge. Blocks; throws nothing.
  void show_free_space();
  // Removes what uploads have left, if it is time again. Blocks.
  void sweep_at_times();

  // Counts what an operation came to, and hands on its result.
  template <class Operation>
  auto counted(const char* name, Operation operation) -> decltype(operation()) {
    try {
      if constexpr (std::is_void_v<decltype(operation())>) {
        operation();
        count(name, "ok");
      } else {
        auto result = operation();
        count(name, "ok");
        return result;
      }
    } catch (const Error& error) {
      count(name, outcome_of(error));
      throw;
    }
  }
  void count(const char* name, const std::string& outcome);
  static std::string outcome_of(const Error& error) {
    return std::string(error_code_name(error.code()));
  }

  // Of files that may be encrypted; null: none is.
  const SealedForm* form() const { return sealed_form ? &*sealed_form : nullptr; }

  Volume volume;
  const std::optional<SealedForm> sealed_form;
  const bool encrypt;
  Usage usage;
  StuckRests stuck_rests;
  Places upload_places;
  Places reader_places;
  const std::uint64_t min_free_bytes;
  const std::uint64_t max_file_bytes;
  const Clock& clock;
  std::atomic<std::uint64_t> coming{0};  // promised, and not yet written
  std::atomic<bool> showing{false};      // show_free_space is to come
  std::atomic<std::int64_t> next_sweep_ms{0};
  telemetry::Metrics& metrics;
  telemetry::Counter& bytes_in;
  telemetry::Counter& bytes_out;
  telemetry::Gauge& uploads;
  telemetry::Gauge& free;
};

}  // namespace colloquy::files
