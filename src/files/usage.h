// What each user has on the volume, and what uploads that are under way will add, so that a quota
// is kept without walking the user's folder at every upload.
//
// The folder is walked at the user's first upload, and again once kRenewAfter has passed, since
// other programs may write there too; between, uploads and deletions are counted. Only the first
// walk is waited for by others. What changes during a walk may or may not have been seen by it:
// then the larger number is taken, and the folder is walked again soon. Only so many users are
// remembered. Thread-safe. `measure` blocks and is called on the caller's thread, without a lock.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "base/ids.h"
#include "files/volume.h"

namespace colloquy::files {

struct Quota {
  std::uint64_t bytes = 0;  // 0: none
  std::uint64_t files = 0;  // 0: none
};

class Usage {
 public:
  using Measure = std::function<Use(const UserId& user)>;
  static constexpr std::chrono::minutes kRenewAfter{10};
  static constexpr std::chrono::seconds kRenewSoon{30};
  // For somebody else's first walk.
  static constexpr std::chrono::seconds kWaitMost{10};
  static constexpr std::size_t kUsers = 10'000;

  Usage(Quota quota, const Clock& clock, Measure measure);

 private:
  struct Entry {
    std::mutex mutex;
    std::condition_variable walked;
    // Guarded by mutex.
    std::optional<std::int64_t> measured_ms;
    bool is_rough = false;  // walk again soon
    bool walking = false;
    std::uint64_t walks = 0;  // that were begun
    Use use;
    Use coming;     // of uploads under way
    Use unsettled;  // in `use`, but perhaps not yet in the folder
    Use added;      // what a walk that is running may have missed
  };

 public:
  // Room that an upload has taken until it is over. For one thread at a time.
  class Reservation {
   public:
    ~Reservation();
    Reservation(const Reservation&) = delete;
    Reservation& operator=(const Reservation&) = delete;

    // Takes room for so many bytes in all. kQuota where there is none; what was taken stays.
    void grow(std::uint64_t bytes);
    // The upload is about to be the user's file, with new folders on the way. kQuota, and nothing
    // has changed, where others have taken the room of what was to be replaced.
    void become(std::uint64_t bytes, const Change& change);
    // After become: it is not, after all.
    void undo();

   private:
    friend class Usage;
    void release();  // with the entry's mutex
    void settle();   // with the entry's mutex
    Reservation(Usage& usage, std::shared_ptr<Entry> entry)
        : usage_(usage), entry_(std::move(entry)) {}

    Usage& usage_;
    std::shared_ptr<Entry> entry_;
    Use taken_;
    std::uint64_t replaced_at_begin_ = 0;
    Use before_;
    Use after_;
    Use unsettled_;
  };

  // A deletion that may have begun. For one thread at a time.
  class Removal {
   public:
    void done(const Use& freed);

   private:
    friend class Usage;
    std::shared_ptr<Entry> entry_;
    std::uint64_t walks_ = 0;
    bool walking_ = false;
  };

  // For an upload of so many bytes, as far as is known, with what it changes, as far as can be
  // seen. Throws kQuota; kUnavailable where the first walk takes too long; what `measure` throws.
  std::unique_ptr<Reservation> reserve(const UserId& user, std::uint64_t bytes,
                                       const Change& change);
  Removal begin_removal(const UserId& user);
  // All of the user's files went: the next upload measures again.
  void forget(const UserId& user);

 private:
  bool is_limited() const { return quota_.bytes != 0 || quota_.files != 0; }
  std::shared_ptr<Entry> entry_of(const UserId& user);
  void renew(const UserId& user, Entry& entry, std::unique_lock<std::mutex>& lock);
  bool is_fresh(const Entry& entry) const;
  void require_room(const Use& wanted) const;

  const Quota quota_;
  const Clock& clock_;
  const Measure measure_;
  std::mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<Entry>> entries_;  // guarded by mutex_
};

}  // namespace colloquy::files
