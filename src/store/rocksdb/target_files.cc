#include "store/rocksdb/target_files.h"

#include <rocksdb/file_system.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <utility>

#include "base/error.h"
#include "store/rocksdb/status.h"

namespace colloquy::store {
namespace {

using rocksdb::IOOptions;

rocksdb::IOStatus write_whole(rocksdb::FileSystem& system, const std::string& path,
                              std::string_view text) {
  std::unique_ptr<rocksdb::FSWritableFile> file;
  auto status = system.NewWritableFile(path, rocksdb::FileOptions(), &file, nullptr);
  if (!status.ok()) return status;
  status = file->Append(rocksdb::Slice(text.data(), text.size()), IOOptions(), nullptr);
  if (status.ok()) status = file->Fsync(IOOptions(), nullptr);
  auto closed = file->Close(IOOptions(), nullptr);
  return status.ok() ? closed : status;
}

rocksdb::IOStatus sync_folder(rocksdb::FileSystem& system, const std::string& path) {
  std::unique_ptr<rocksdb::FSDirectory> folder;
  auto status = system.NewDirectory(path, IOOptions(), &folder, nullptr);
  return status.ok() ? folder->Fsync(IOOptions(), nullptr) : status;
}

// So that a power loss leaves the folder in it. What is mounted there is not in it, and one that
// may not be read cannot be synced.
void sync_parent(rocksdb::FileSystem& system, const std::filesystem::path& folder) {
  auto parent = folder.parent_path().string();
  if (parent.empty()) parent = ".";
  const auto above = TargetFiles::identity(parent);
  const auto here = TargetFiles::identity(folder.string());
  const bool within = above && here && above->device == here->device;
  if (!within || ::access(parent.c_str(), R_OK) != 0) return;
  check(sync_folder(system, parent), "syncing the folder " + parent);
}

}  // namespace

TargetFiles::TargetFiles(std::shared_ptr<rocksdb::FileSystem> system)
    : system_(system ? std::move(system) : rocksdb::FileSystem::Default()) {}

std::optional<TargetFiles::Identity> TargetFiles::identity(const std::string& path) {
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0 || !S_ISDIR(found.st_mode)) return std::nullopt;
  return Identity{static_cast<std::uint64_t>(found.st_dev),
                  static_cast<std::uint64_t>(found.st_ino)};
}

void TargetFiles::make_folder(const std::string& path) {
  std::filesystem::path whole(path);
  if (!whole.has_filename()) whole = whole.parent_path();  // "a/b/"
  std::filesystem::path so_far;
  for (const auto& part : whole) {
    so_far /= part;
    const bool there = system_->FileExists(so_far.string(), IOOptions(), nullptr).ok();
    if (there) {
      bool is_folder = false;
      auto status = system_->IsDirectory(so_far.string(), IOOptions(), &is_folder, nullptr);
      if (status.ok() && !is_folder) {
        throw Error(ErrorCode::kInvalid, so_far.string() + " is no folder.");
      }
    } else {
      check(system_->CreateDirIfMissing(so_far.string(), IOOptions(), nullptr),
            "making the folder " + so_far.string());
    }
    // Whoever made it may have died before the sync.
    if (!there || so_far == whole) sync_parent(*system_, so_far);
  }
}

void TargetFiles::write_new(const std::string& path, std::string_view text) {
  auto status = write_whole(*system_, path, text);
  if (status.ok()) {
    status = sync_folder(*system_, std::filesystem::path(path).parent_path().string());
  }
  if (status.ok()) return;
  system_->DeleteFile(path, IOOptions(), nullptr).PermitUncheckedError();
  check(status, "writing " + path);
}

std::string TargetFiles::read(const std::string& path) const {
  std::string text;
  check(rocksdb::ReadFileToString(system_.get(), path, &text), "reading " + path);
  return text;
}

std::vector<std::string> TargetFiles::list(const std::string& path) const {
  std::vector<std::string> names;
  if (!exists(path)) return names;
  check(system_->GetChildren(path, IOOptions(), &names, nullptr), "listing " + path);
  std::erase_if(names, [](const std::string& name) { return name == "." || name == ".."; });
  return names;
}

std::size_t TargetFiles::size(const std::string& path) const {
  std::uint64_t bytes = 0;
  check(system_->GetFileSize(path, IOOptions(), &bytes, nullptr), "looking at " + path);
  return bytes;
}

bool TargetFiles::exists(const std::string& path) const {
  auto status = system_->FileExists(path, IOOptions(), nullptr);
  if (!status.IsNotFound()) check(status, "looking for " + path);
  return status.ok();
}

void TargetFiles::remove(const std::string& path) {
  auto status = system_->DeleteFile(path, IOOptions(), nullptr);
  if (!status.IsNotFound() && !status.IsPathNotFound()) check(status, "removing " + path);
}

void TargetFiles::remove_folder(const std::string& path) {
  for (const auto& name : list(path)) {
    const auto within = path + "/" + name;
    bool folder = false;
    auto status = system_->IsDirectory(within, IOOptions(), &folder, nullptr);
    if (status.IsNotFound() || status.IsPathNotFound()) continue;
    check(status, "looking at " + within);
    folder ? remove_folder(within) : remove(within);
  }
  auto status = system_->DeleteDir(path, IOOptions(), nullptr);
  if (!status.IsNotFound() && !status.IsPathNotFound()) check(status, "removing " + path);
}

}  // namespace colloquy::store
