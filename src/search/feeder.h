// Keeps the index in a folder as the store is: the one thread that writes it.
//
// It reads the store's change feed, looks at what each change has left, and commits that to the
// index before the store forgets the change. So whatever a crash leaves of either, feeding goes on
// from a place that is early enough, and doing something twice changes nothing.
//
// An index that is missing, damaged, of another version, or does not follow the store's sequence of
// changes is made anew from all conversations, in pieces, while changes are fed to it too. The one
// in use, if it can be read, answers meanwhile, and goes when the new one is whole. A half-made
// index is taken up again after a restart.
//
// The index gives way to the store: where the volume has little more room than the store needs to
// take writes, nothing is fed and an index that is being made is removed.
//
// Where changes cannot be followed any more (a row of them is garbled, or too many wait), they are
// forgotten and the index is made anew.
//
// Thread-safe, but for construction and destruction. Nothing it meets stops the server: it logs,
// waits and tries again.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/limits.h"
#include "search/index_fill.h"
#include "search/index_progress.h"
#include "search/index_writer.h"
#include "store/change_feed.h"
#include "telemetry/metrics.h"

namespace colloquy::search {

struct IndexOptions {
  std::string folder;
  // Of the volume: with less room the store takes no writes.
  std::uint64_t min_free_disk_bytes = 0;
  // The free room of the volume; null: as the operating system says.
  std::function<std::uint64_t()> free_disk_bytes = {};
  // Once the numbers of changes that wait are so far apart, the index is made anew instead.
  std::uint64_t most_unfed = 20'000'000;
  // What a search may take, before it fails with kUnavailable.
  std::chrono::milliseconds time_limit{5000};
};

// What searches read now.
struct IndexView {
  std::string path;  // empty: there is nothing to read yet
  bool complete = false;
};

class Feeder {
 public:
  // Room beyond what the store needs: with less nothing is fed, with less than twice as much none
  // is begun.
  static constexpr std::uint64_t kMarginBytes = 128 * limits::kMiB;

  // All outlive it. Begins at once; makes the folder. `replaced` is told, on the feeder's thread,
  // when searches are to read another file.
  Feeder(IndexOptions options, std::unique_ptr<store::ChangeFeed> feed, telemetry::Metrics& metrics,
         std::function<void()> replaced);
  // Ends after the record that is under way.
  ~Feeder();

  // Complete only where everything was in the index some seconds ago.
  IndexView view() const;
  // Makes the index anew, beside the one in use.
  void rebuild();
  // Search::forget.
  bool forget(const UserId& user);
  // A search could not read the file at `path`. It is dropped once its damage has been seen here.
  void report_damage(const std::string& path, const std::string& why);

 private:
  void run();
  // False when there was nothing to do.
  bool round();
  void recover();
  void take_requests();
  void take_report(std::unique_ptr<IndexWriter>& index, const std::string& path,
                   const std::string& why);
  void open_indexes();
  void open_file(std::uint64_t number);
  bool follows(const IndexWriter& index) const;
  bool following() const;
  void begin_building(const char* why);
  // Not used any more: its file is removed.
  void discard(std::unique_ptr<IndexWriter>& index);
  void drop(std::unique_ptr<IndexWriter>& index, const std::string& why);
  // `function(index)` for each; one that is found damaged is dropped.
  template <class Function>
  void for_each_index(Function function);
  void check_in_place();
  bool look_at_room();
  bool feed_changes();
  bool forgets_users();
  void forget_users();
  void lose_track(const std::string& why);
  void lose_track_if_far_behind();
  bool build_piece();
  void finish_building();
  void look_at_pending();
  void forget_fed();
  // What is committed may be forgotten up to here.
  std::uint64_t fed() const;
  std::vector<IndexWriter*> indexes() const;
  void publish();
  bool stopping() const { return stopping_.load(std::memory_order_relaxed); }
  void pause(std::chrono::milliseconds for_so_long);

  const IndexOptions options_;
  const std::unique_ptr<store::ChangeFeed> feed_;
  const std::function<void()> replaced_;
  telemetry::Gauge& documents_gauge_;
  telemetry::Counter& rebuilds_;
  telemetry::Counter& changes_;
  const std::shared_ptr<IndexProgress> progress_;  // for metrics too
  std::atomic<bool> stopping_{false};

  // Of the feeder's thread.
  using Time = std::chrono::steady_clock::time_point;
  IndexFill fill_;
  bool opened_ = false;
  std::unique_ptr<IndexWriter> active_;    // whole
  std::unique_ptr<IndexWriter> building_;  // not yet
  std::uint64_t next_number_ = 1;
  std::uint64_t reached_ = 0;  // changes up to here were fed, or there were none
  std::uint64_t forgotten_ = 0;
  bool low_room_ = false;
  int unconfirmed_ = 0;   // reports of damage that was not found
  Time not_before_{};     // another building may begin
  Time read_on_at_{};     // the building may go on
  Time lost_track_at_{};  // for the last time
  Time report_looked_at_{};
  Time pending_looked_at_{};
  Time forgotten_at_{};

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::string path_;             // guarded by mutex_
  bool rebuild_wanted_ = false;  // guarded by mutex_
  std::string damaged_path_;     // guarded by mutex_
  std::string damage_;           // guarded by mutex_
  struct Forgetting {
    std::optional<std::uint64_t> after;  // these changes were fed
    bool done = false;
  };
  std::map<UserId, Forgetting> forgetting_;  // guarded by mutex_
  std::thread thread_;                       // last
};

}  // namespace colloquy::search
