// Who may write: nobody for a user who is being erased; and nobody at all for whom it is not known,
// where other servers erase users too (admit_until). Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/boot_clock.h"
#include "base/ids.h"

namespace colloquy::erase {

class UserGate {
 public:
  using Time = BootClock::time_point;

  enum class State : std::uint8_t {
    kValid,
    kClosed,   // the user is being erased, or was
    kUnknown,  // the user may have been
  };
  // A write of a user that is under way. Void from the moment that the gate is closed for the user,
  // also when it is open again. The gate outlives it.
  class Pass {
   public:
    Pass(Pass&& other) noexcept
        : gate_(std::exchange(other.gate_, nullptr)),
          user_(std::move(other.user_)),
          state_(std::move(other.state_)) {}
    ~Pass();
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;
    Pass& operator=(Pass&&) = delete;
    // Of a write that takes long, before each thing that it writes: kConflict once the user is
    // being erased, or was since it entered; kUnavailable as enter(), and where it is not known.
    void check() const;

   private:
    friend class UserGate;
    Pass(UserGate& gate, UserId user, std::shared_ptr<const std::atomic<State>> state)
        : gate_(&gate), user_(std::move(user)), state_(std::move(state)) {}
    UserGate* gate_;
    UserId user_;
    std::shared_ptr<const std::atomic<State>> state_;
  };

  // kConflict, with a time to come again, for a user who is being erased; kUnavailable where it has
  // not been known for too long who is.
  Pass enter(const UserId& user);

  // From then on nobody is admitted, unless it is said again; at first there is no such time.
  void admit_until(Time time) { admit_until_ = time.time_since_epoch().count(); }

  // All passes: any user may have been erased since they entered.
  void void_all();

  bool is_closed(const UserId& user) const;
  void close(const UserId& user);
  void open(const UserId& user);
  // Nothing that has entered is under way.
  bool is_idle(const UserId& user) const;

 private:
  struct Entered {
    int count = 0;
    std::shared_ptr<std::atomic<State>> state;  // of those that enter now
  };
  void require_known() const;
  static void void_passes(Entered& entered, State state);

  std::atomic<Time::rep> admit_until_{Time::max().time_since_epoch().count()};
  mutable std::mutex mutex_;
  std::set<UserId> closed_;                           // guarded by mutex_
  std::unordered_map<std::string, Entered> entered_;  // guarded by mutex_; none has the count 0
};

}  // namespace colloquy::erase
