// Removes everything that stands in a user's folder when an erasure begins, and the folder: also
// what is no file of ours, such as a link that another program has put there, which goes without
// being followed. Blocks; thread-safe.
//
// First the folder is moved away, by one rename, to ROOT/.colloquy-erased/USER-ERASURE (the user as
// a SHA-256), and there it is emptied. What is left of it, empty but for a mark, holds that name:
// so whoever comes late to the same erasure, in another process too, moves nothing away that the
// user has had since. Such a rest goes with an erasure that comes kRestStays later.
#pragma once

#include <chrono>
#include <cstddef>
#include <mutex>
#include <string>
#include <unordered_set>

#include "base/ids.h"
#include "files/volume.h"

namespace colloquy::files {

inline constexpr const char* kErasedFolder = ".colloquy-erased";
inline constexpr std::chrono::hours kRestStays{24};

inline constexpr std::size_t kStuckRestsMost = 1000;

// The rests that could not go, of which the log tells once for each, up to kStuckRestsMost.
// Thread-safe.
class StuckRests {
 public:
  void note(const std::string& rest, const std::string& why);

 private:
  std::mutex mutex_;
  std::unordered_set<std::string> noted_;  // guarded by mutex_
};

// At most about so many names at a time. `erasure`: a name that no other erasure has. True when
// there is nothing left, and that survives the loss of power. Another user's old rest that cannot
// go is noted, and passed over. Errors: kUnavailable; what is gone by then stays gone.
bool remove_some_of(const Volume& volume, const UserId& user, const std::string& erasure,
                    StuckRests& stuck, std::size_t most = 1000);

}  // namespace colloquy::files
