// Erases users: all that the store, the volume of files, the index of search and whoever else keeps
// of one. Any number of servers on one store may do so.
//
// The store's record (store/erasure.h) comes first, and goes last. So whatever dies between, the
// next start, or another server on the same store, goes on: each step looks at what is left and
// removes a piece of it.
//
// Each server looks for records every kLookInterval. Where it finds one, it closes the gate for the
// user, cuts the user's turns, forgets their key, and acknowledges the record once nothing of the
// user's is being written there. It opens the gate when it finds that the record has gone. Where it
// could not look for the store's lookout(), it admits nobody.
//
// One server at a time carries an erasure out, once all have acknowledged it: files; the store; the
// index. Then the moment is fixed, the keys are destroyed, the moment is told to those who keep
// lists for restores (`note`), and the record gives way to an entry of the store's own list. A
// server that stands still, and goes on after another one has taken the erasure over and ended it,
// harms nothing of what the user has made since: each step asks for what is of this erasure alone.
//
// erase() and is_erasing() may be called on any event loop; run() is awaited on one.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/signal.h"
#include "base/task.h"
#include "base/thread_pool.h"
#include "erase/user_gate.h"
#include "files/user_files.h"
#include "keyring/keyring.h"
#include "search/search.h"
#include "store/erasure.h"
#include "telemetry/metrics.h"

namespace colloquy::erase {

struct EraserParts {
  store::Erasures& store;
  UserGate& gate;
  files::UserFiles* files = nullptr;  // null where none are kept
  search::Search* search = nullptr;   // null: switched off
  keyring::Keyring* keys = nullptr;   // null where nothing is encrypted
  // Ends what is being made for the user without a pass; said again and again. Does not wait.
  std::function<void(const UserId&)> quiet = {};
  // Puts a user on a list that restores read, before the erasure ends. Blocks; on a thread of the
  // eraser's; safe to repeat. Whoever keeps the list has those of before from the store. Empty:
  // there is none.
  std::function<void(const store::ErasedUser&)> note = {};
  // The same before anything is removed, with the time of the call. It may fail, and is then called
  // again with the next step: what ends an erasure is `note`.
  std::function<void(const UserId&)> note_begun = {};
};

class Eraser {
 public:
  static constexpr std::chrono::milliseconds kLookInterval{2000};

  // All that is referred to outlives it.
  Eraser(EraserParts parts, telemetry::Metrics& metrics);

  // Begins, durably. Then waits, at most so long: true when it has ended.
  Task<bool> erase(UserId user, std::chrono::milliseconds at_most);
  bool is_erasing(const UserId& user) const { return parts_.gate.is_closed(user); }
  // The store's list, page by page.
  Task<std::vector<store::ErasedUser>> erased_users(std::string after) {
    return parts_.store.erased_users(std::move(after));
  }

  // Learns what is unfinished, closes the gate for it; to be awaited once before writes are
  // admitted, and not at once with run().
  Task<> look();
  // Until wait_until_ended(): looks, and carries out what was begun here or anywhere, until stop().
  // Keeps `self` for as long as it runs.
  static Task<> run(std::shared_ptr<Eraser> self);
  // Begins no step any more.
  void stop();
  // To be called when nothing is written here any more: the other servers need not wait for this
  // one. Whether run() has ended, or was never begun; false after that time.
  Task<bool> wait_until_ended(std::chrono::milliseconds at_most);

 private:
  using Time = std::chrono::steady_clock::time_point;
  // An erasure that has not ended, as far as this server knows.
  struct Work {
    std::string name;  // empty: only begun here, and not looked for since
    bool acknowledged = false;
    bool under_way = false;  // a step is
    bool ended = false;      // here; until the next look
    bool begun_noted = false;
    Time since = std::chrono::steady_clock::now();
    Time next = {};  // step
    std::chrono::milliseconds waiting_pause{0};
    std::chrono::milliseconds failure_pause{0};
  };
  enum class Step : std::uint8_t { kMoved, kWaits, kEnded };

  void take_in(const std::vector<store::Erasure>& found, const std::set<UserId>& before,
               bool begun_meanwhile);
  std::vector<store::Erasure> find_idle();
  Task<> acknowledge(store::Erasure erasure);
  static Task<> acknowledge_again_and_again(std::shared_ptr<Eraser> self);
  static Task<> look_again_and_again(std::shared_ptr<Eraser> self);
  static Task<> carry_out(std::shared_ptr<Eraser> self);
  static Task<> carry_out_step(std::shared_ptr<Eraser> self, store::Erasure erasure);
  bool are_all_acknowledged() const;
  bool unfinished() const;
  std::optional<store::Erasure> take_next();
  bool has_steps() const;
  void put_back(const store::Erasure& erasure, std::optional<Step> outcome);
  void end_one();

  Task<Step> step(const store::Erasure& erasure);
  Task<> note(store::ErasedUser erased);
  Task<> note_begun(const store::Erasure& erasure);
  bool is_begun_noted(const store::Erasure& erasure) const;

  const EraserParts parts_;
  telemetry::Counter& erased_;
  telemetry::Gauge& erasing_;
  telemetry::Gauge& longest_;
  ThreadPool pool_;
  Signal look_wanted_;
  Signal step_wanted_;
  Signal seen_;     // a look has ended
  Signal changed_;  // a user is not being erased any more
  Signal ended_;
  std::atomic<bool> stopped_{false};
  std::atomic<bool> left_{false};
  std::atomic<int> running_{0};
  std::optional<UserGate::Time> looked_at_;  // of look()
  mutable std::mutex mutex_;
  std::map<UserId, Work> unfinished_;  // guarded by mutex_; for whom the gate is closed
  std::uint64_t begun_ = 0;            // guarded by mutex_; how many times erase() has begun one
  std::size_t steps_ = 0;              // guarded by mutex_; that are under way
};

}  // namespace colloquy::erase
