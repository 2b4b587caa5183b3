// Which folder a server has its backup in, as a file of the data folder says. A server
// that starts looks at it: without it an empty mount point is taken for the folder
// of a backup that is to be begun. For one thread; blocks.
#pragma once

#include <optional>
#include <string>

#include "base/ids.h"

namespace colloquy::backup {

struct RememberedTarget {
  std::string target;
  Uuid lineage;  // the database's own in it
  bool operator==(const RememberedTarget&) const = default;
};

// nullopt where there is no such file, and where it says nothing that could be understood.
std::optional<RememberedTarget> read_remembered_target(const std::string& file);
// In the place of what it said; durable when it returns. Throws kUnavailable.
void remember_target(const std::string& file, const RememberedTarget& remembered);

}  // namespace colloquy::backup
