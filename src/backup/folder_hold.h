// Keeps a folder to one user for as long as it is there, by flock(2) on the folder
// itself: nothing is written into it, the system lets go when the process dies, and
// the path by which it was reached does not matter. On a file system without such
// locks it keeps nobody out.
#pragma once

#include <string>

#include "base/file_descriptor.h"

namespace colloquy::backup {

class FolderHold {
 public:
  // Throws kUnavailable with `refusal` while another has it, in this process or in another of this
  // machine.
  FolderHold(const std::string& folder, const std::string& refusal);

  // Not where another folder has taken its place since, as when a disk was mounted again.
  bool is_of(const std::string& folder) const;

 private:
  const FileDescriptor folder_;
};

}  // namespace colloquy::backup
