// How many calls of a kind there may be at once, of all users and of each, where every one holds
// much in memory. Thread-safe.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "base/ids.h"

namespace colloquy {

class UserSlots {
 public:
  // `of`: what a client is told that there are too many of.
  UserSlots(std::string of, std::size_t most, std::size_t most_of_a_user)
      : of_(std::move(of)), most_(most), most_of_a_user_(most_of_a_user) {}

  // A place, for as long as it lives.
  class Slot {
   public:
    // Throws kUnavailable where all are taken, kThrottled where this user has theirs.
    Slot(UserSlots& slots, const UserId& user);
    ~Slot();
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;

   private:
    UserSlots& slots_;
    const UserId user_;
  };

 private:
  const std::string of_;
  const std::size_t most_;
  const std::size_t most_of_a_user_;
  std::mutex mutex_;
  std::size_t taken_ = 0;                  // guarded by mutex_
  std::map<UserId, std::size_t> of_user_;  // guarded by mutex_; none is 0
};

}  // namespace colloquy
