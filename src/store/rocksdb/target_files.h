// The files of a backup's target, through RocksDB's file system, so that one disk
// that fails makes both the bases and the log behind them fail in tests.
//
// A file is written once, whole, under its final name: nothing is appended to or
// renamed, so that a mounted bucket serves. Thread-safe. Every call blocks, and
// throws Error (kUnavailable for a full disk or an I/O error).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rocksdb {
class FileSystem;
}

namespace colloquy::store {

class TargetFiles {
 public:
  // Null: the operating system's.
  explicit TargetFiles(std::shared_ptr<rocksdb::FileSystem> system = nullptr);

  // Which folder is there, whatever it is called; nullopt where there is none. A share that is no
  // longer mounted leaves its mount point, which is another one.
  struct Identity {
    std::uint64_t device = 0;
    std::uint64_t number = 0;  // of the folder, there
    bool operator==(const Identity&) const = default;
  };
  static std::optional<Identity> identity(const std::string& path);
  // With its parents; durable when it returns, also where it was there.
  void make_folder(const std::string& path);
  // Durable when it returns. A file that could not be written whole is taken away where that can be
  // done; readers must know half a file from a whole one.
  void write_new(const std::string& path, std::string_view text);
  std::string read(const std::string& path) const;
  // Names; none where there is no such folder.
  std::vector<std::string> list(const std::string& path) const;
  std::size_t size(const std::string& path) const;
  bool exists(const std::string& path) const;
  // It is no error that there is none.
  void remove(const std::string& path);
  // With all that is in it; the same.
  void remove_folder(const std::string& path);

  const std::shared_ptr<rocksdb::FileSystem>& system() const { return system_; }

 private:
  std::shared_ptr<rocksdb::FileSystem> system_;
};

}  // namespace colloquy::store
