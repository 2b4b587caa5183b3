// A keyring in a folder: a file with its id, and a file for each user's key, in 256 folders. Each
// is written beside its place, synced and moved there; a lock keeps the processes that write apart.
// Where the folder is not there any more, or is another one than when id() was asked (a volume that
// was unmounted), nobody is without a key: it is kUnavailable.
//
// Whatever it answers survives the loss of power: a key that it tells of, and that one is gone.
// After an error what was to be done may be done or not, and may be tried again.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "base/file_system.h"
#include "base/thread_pool.h"
#include "keyring/key_storage.h"

namespace colloquy::keyring {

class KeyFolder;

class FolderKeyStorage final : public KeyStorage {
 public:
  // The folder is made where it is missing, for this user of the system alone. `system` outlives
  // this. Throws Error(kInvalid) where it cannot be used.
  explicit FolderKeyStorage(const std::filesystem::path& folder,
                            FileSystem& system = linux_file_system());
  ~FolderKeyStorage() override;

  Task<std::string> id(bool make) override;
  Task<std::optional<KeyRecord>> find(std::string name) override;
  Task<bool> put_new(std::string name, KeyRecord record) override;
  Task<bool> replace(std::string name, KeyRecord before, KeyRecord after) override;
  Task<bool> erase(std::string name, std::string key_id) override;
  Task<KeyPage> list(std::string position) override;

  // Whether everyone on this machine may read it. Blocks.
  bool is_open_to_all() const;

 private:
  const std::shared_ptr<KeyFolder> folder_;  // also of a job whose caller has gone
  ThreadPool threads_{2, 4096, "Too many keys are being read right now."};
};

}  // namespace colloquy::keyring
