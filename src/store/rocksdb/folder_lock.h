// Keeps a folder to one process: held from before the first file in it is looked
// at until it is destroyed, and let go by the system when the process dies.
#pragma once

#include <string>

#include "base/file_descriptor.h"

namespace colloquy::store {

class FolderLock {
 public:
  // Makes the folder if it is not there. Throws kInvalid when another process has it, kUnavailable
  // when it cannot be made or locked.
  explicit FolderLock(const std::string& folder);

 private:
  FileDescriptor file_;
};

}  // namespace colloquy::store
