// The users who were erased, as a restore must know them: TARGET/erased/NAME-TIME, a file for each,
// written once and never changed. NAME is the SHA-256 of the user id in hexadecimal, TIME the Unix
// milliseconds of the erasure; the file's contents say nothing more. The list is of all lineages.
// Blocks; throws Error.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/ids.h"
#include "store/erasure.h"
#include "store/rocksdb/target_files.h"

namespace colloquy::backup {

class ErasedList {
 public:
  // What is in the target, and what a file has: a line for each user, NAME and TIME. Throws
  // kInvalid for a line that is none.
  void read_target(const store::TargetFiles& files, const std::string& target);
  void read_file(const std::string& path);
  void add(const store::ErasedUser& erased);

  // Whether the user was erased after that moment: what is older must not come back.
  bool erased_after(const UserId& user, std::int64_t time_ms) const;
  // Whether a restore leaves out for it all that it leaves out for `erased`.
  bool has(const store::ErasedUser& erased) const;
  bool empty() const { return last_.empty(); }
  // All of it, each user once.
  std::vector<store::ErasedUser> users() const;

 private:
  std::map<std::string, std::int64_t> last_;  // by name, the last time
};

// Safe to repeat. Makes the target where it is not there: callers who do not want that look first.
void note_erased(store::TargetFiles& files, const std::string& target,
                 const store::ErasedUser& erased);
bool is_noted(const store::TargetFiles& files, const std::string& target,
              const store::ErasedUser& erased);

}  // namespace colloquy::backup
