// The backups of databases that are no more, beside one that goes on: removed once nobody can want
// anything of them. For one thread; blocks on the target, and throws Error.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

#include "base/ids.h"
#include "store/rocksdb/target_files.h"

namespace colloquy::backup {

class OldLineages {
 public:
  // How long one must be seen without any use: whoever ships there says so every few seconds,
  // whatever our clock says of the time that is said.
  static constexpr std::chrono::hours kWatched{1};

  OldLineages(store::TargetFiles files, std::string target,
              std::chrono::milliseconds watched = kWatched)
      : files_(std::move(files)), target_(std::move(target)), watched_(watched) {}

  // From time to time, and at any call's cost otherwise: removes another lineage than `own`, which
  // can be restored itself, when its last use is longer ago than both its window and `window`. One
  // at a time; logs which.
  void step(const Uuid& own, std::int64_t now_ms, std::chrono::seconds window);

 private:
  using Steady = std::chrono::steady_clock;
  struct Seen {
    std::int64_t last_use_ms = 0;
    std::uint64_t last_sequence = 0;  // of its segments
    Steady::time_point since;
  };

  store::TargetFiles files_;
  const std::string target_;
  const std::chrono::milliseconds watched_;
  std::map<Uuid, Seen> seen_;
  Steady::time_point next_look_;
};

}  // namespace colloquy::backup
