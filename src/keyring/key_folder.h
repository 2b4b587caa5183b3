// The folder of FolderKeyStorage, by calls that block. Thread-safe. Errors as KeyStorage.
//
// A file is synced before it gets its name, so that the loss of power can only take names: that of
// a key from its part, or that of a part from the folder. Before anything is answered, both are
// synced by whoever answers, also where nothing was to be done: whoever did it, this process or
// another, may have died or failed between the change and its sync. So a failed sync needs nothing
// taken back: what is there is told to nobody before another sync has succeeded.
#pragma once

#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>

#include "base/file_descriptor.h"
#include "base/file_system.h"
#include "keyring/key_storage.h"

namespace colloquy::keyring {

class KeyFolder {
 public:
  // The folder is made where it is missing. `system` outlives this. Throws kInvalid where it cannot
  // be used.
  KeyFolder(FileSystem& system, const std::filesystem::path& folder);

  const std::filesystem::path& path() const { return path_; }

  // As KeyStorage has them.
  std::string id(bool make);
  std::optional<KeyRecord> find(const std::string& name);
  bool put_new(const std::string& name, const KeyRecord& record);
  bool replace(const std::string& name, const KeyRecord& before, const KeyRecord& after);
  bool erase(const std::string& name, const std::string& key_id);
  // The keys of one of the 256 parts, such as "0f".
  KeyPage list(const std::string& part);

 private:
  struct Place {
    const FileDescriptor& folder;
    std::filesystem::path path;
  };

  std::filesystem::path part_path(const std::string& name) const;
  std::filesystem::path path_of(const std::string& name) const;
  FileDescriptor open_root() const;
  // Not open: there is none.
  FileDescriptor open_part(const FileDescriptor& root, const std::string& name) const;
  FileDescriptor make_part(const FileDescriptor& root, const std::string& name) const;
  // Of all processes and threads that change the folder, one at a time.
  FileDescriptor lock_of(const FileDescriptor& root) const;
  // nullopt: there is none.
  std::optional<std::string> read(const Place& place, const std::string& name) const;
  // All of it is durable but its name.
  void write(const Place& place, const std::string& name, std::string_view text) const;
  bool remove(const FileDescriptor& part, const std::string& name, const std::string& file) const;
  void sync(const Place& place) const;
  void sync_part(const FileDescriptor& root, const FileDescriptor& part,
                 const std::string& name) const;
  // Empty: there is none.
  std::string read_id(const FileDescriptor& root) const;
  // Throws kUnavailable where it is not the one there that id() has told of.
  void require_identity(const FileDescriptor& root) const;
  std::optional<KeyRecord> read_key(const FileDescriptor& part, const std::string& name) const;
  bool is_another(const FileDescriptor& part, const std::string& name,
                  const std::string& key_id) const;
  std::optional<KeyRecord> find_once(const std::string& name);
  void read_part(const FileDescriptor& root, const FileDescriptor& part,
                 const std::string& part_name, KeyPage& page) const;
  bool is_synced(const std::string& key_id) const;
  void note_synced(const std::string& key_id);

  FileSystem& system_;
  const std::filesystem::path path_;
  mutable std::mutex mutex_;
  std::string id_;  // that was asked for; empty: not known yet; guarded by mutex_
  // The ids of keys whose names this process has synced, so that it does so once for each that it
  // finds. Guarded by mutex_.
  std::unordered_set<std::string> synced_;
};

}  // namespace colloquy::keyring
