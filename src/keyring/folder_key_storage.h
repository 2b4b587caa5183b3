// A keyring in a folder: a file with its id, and a file for each user's key, in 256 folders. Each
// is written beside its place, synced and moved there; a lock keeps the processes that write apart.
// Where the folder is not there any more, or is another one than when id() was asked (a volume that
// was unmounted), nobody is without a key: it is kUnavailable.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "base/thread_pool.h"
#include "keyring/key_storage.h"

namespace colloquy::keyring {

class FolderKeyStorage final : public KeyStorage {
 public:
  // The folder is made where it is missing, for this user of the system alone. Throws
  // Error(kInvalid) where it cannot be used.
  explicit FolderKeyStorage(const std::filesystem::path& folder);

  Task<std::string> id(bool make) override;
  Task<std::optional<KeyRecord>> find(std::string name) override;
  Task<bool> put_new(std::string name, KeyRecord record) override;
  Task<bool> replace(std::string name, KeyRecord before, KeyRecord after) override;
  Task<bool> erase(std::string name, std::string key_id) override;
  Task<KeyPage> list(std::string position) override;

  // Whether everyone on this machine may read it. Blocks.
  bool is_open_to_all() const;

 private:
  class Identity;
  const std::filesystem::path folder_;
  const std::shared_ptr<Identity> identity_;
  ThreadPool threads_{2, 4096, "Too many keys are being read right now."};
};

}  // namespace colloquy::keyring
