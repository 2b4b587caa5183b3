#include "store/testing/faulty_file_system.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <utility>

namespace colloquy::store {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

namespace {

constexpr std::uint64_t kSector = 512;

std::string folder_of(const std::string& path) {
  return std::filesystem::path(path).parent_path().lexically_normal().string();
}

std::optional<std::string> contents_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

void write_contents(const std::string& path, const std::string& contents) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << contents;
}

}  // namespace

class FaultyFileSystem::File final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  File(FaultyFileSystem& files, std::string name, std::unique_ptr<rocksdb::FSWritableFile> target)
      : FSWritableFileOwnerWrapper(std::move(target)), files_(files), name_(std::move(name)) {}

  IOStatus Append(const rocksdb::Slice& data, const IOOptions& options,
                  IODebugContext* debug) override {
    std::scoped_lock lock(files_.mutex_);
    auto status = files_.count_write();
    if (status.ok()) status = target()->Append(data, options, debug);
    if (status.ok()) files_.lengths_[name_].written += data.size();
    return status;
  }
  IOStatus Append(const rocksdb::Slice& data, const IOOptions& options,
                  const rocksdb::DataVerificationInfo& /*info*/, IODebugContext* debug) override {
    return Append(data, options, debug);
  }
  IOStatus Truncate(std::uint64_t size, const IOOptions& options, IODebugContext* debug) override {
    std::scoped_lock lock(files_.mutex_);
    auto& length = files_.lengths_[name_];
    length.written = size;
    length.synced = std::min(length.synced, size);
    return target()->Truncate(size, options, debug);
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
    std::scoped_lock lock(files_.mutex_);
    auto status = files_.count_write();
    if (status.ok()) status = target()->Flush(options, debug);
    if (!status.ok()) return status;
    auto& length = files_.lengths_[name_];
    length.synced = length.written;
    return status;
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    return Sync(options, debug);
  }
  IOStatus RangeSync(std::uint64_t /*offset*/, std::uint64_t /*bytes*/,
                     const IOOptions& /*options*/, IODebugContext* /*debug*/) override {
    return IOStatus::OK();  // a hint; promises nothing
  }

 private:
  FaultyFileSystem& files_;
  const std::string name_;
};

class FaultyFileSystem::Directory final : public rocksdb::FSDirectory {
 public:
  Directory(FaultyFileSystem& files, const std::string& name)
      : files_(files), name_(folder_of(name + "/x")) {}

  IOStatus Fsync(const IOOptions& /*options*/, IODebugContext* /*debug*/) override {
    std::scoped_lock lock(files_.mutex_);
    auto status = files_.count_write();
    if (!status.ok()) return status;
    std::erase_if(files_.pending_,
                  [this](const Pending& pending) { return folder_of(pending.path) == name_; });
    return status;
  }
  IOStatus Close(const IOOptions& /*options*/, IODebugContext* /*debug*/) override {
    return IOStatus::OK();
  }

 private:
  FaultyFileSystem& files_;
  const std::string name_;
};

void FaultyFileSystem::fail(Fault fault, std::uint64_t after) {
  std::scoped_lock lock(mutex_);
  fault_ = fault;
  hanging_ = fault == Fault::kHang;
  fail_from_ = writes_ + after;
}

void FaultyFileSystem::heal() {
  hanging_ = false;  // before the lock, which the call that hangs has
  std::scoped_lock lock(mutex_);
  fail_from_ = std::numeric_limits<std::uint64_t>::max();
}

std::uint64_t FaultyFileSystem::writes() const {
  std::scoped_lock lock(mutex_);
  return writes_;
}

void FaultyFileSystem::set_free_space(std::optional<std::uint64_t> bytes) {
  std::scoped_lock lock(mutex_);
  free_space_ = bytes;
}

IOStatus FaultyFileSystem::count_write() {
  if (writes_++ < fail_from_) return IOStatus::OK();
  if (fault_ == Fault::kKill) std::raise(SIGKILL);
  if (fault_ == Fault::kHang) {
    while (hanging_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return IOStatus::OK();
  }
  return fault_ == Fault::kNoSpace ? IOStatus::NoSpace("injected: no space left on device")
                                   : IOStatus::IOError("injected: input/output error");
}

IOStatus FaultyFileSystem::NewWritableFile(const std::string& name,
                                           const rocksdb::FileOptions& options,
                                           std::unique_ptr<rocksdb::FSWritableFile>* file,
                                           IODebugContext* debug) {
  std::scoped_lock lock(mutex_);
  auto status = count_write();
  if (!status.ok()) return status;
  bool is_new = !std::filesystem::exists(name);
  std::unique_ptr<rocksdb::FSWritableFile> target;
  status = FileSystemWrapper::NewWritableFile(name, options, &target, debug);
  if (!status.ok()) return status;
  lengths_[name] = {};
  if (is_new) pending_.push_back({name, {}, {}});
  *file = std::make_unique<File>(*this, name, std::move(target));
  return status;
}

IOStatus FaultyFileSystem::ReopenWritableFile(const std::string& name,
                                              const rocksdb::FileOptions& options,
                                              std::unique_ptr<rocksdb::FSWritableFile>* file,
                                              IODebugContext* debug) {
  std::scoped_lock lock(mutex_);
  auto status = count_write();
  if (!status.ok()) return status;
  std::unique_ptr<rocksdb::FSWritableFile> target;
  status = FileSystemWrapper::ReopenWritableFile(name, options, &target, debug);
  if (!status.ok()) return status;
  if (!lengths_.contains(name)) {
    auto size = std::filesystem::file_size(name);
    lengths_[name] = {size, size};
  }
  *file = std::make_unique<File>(*this, name, std::move(target));
  return status;
}

IOStatus FaultyFileSystem::NewDirectory(const std::string& name, const IOOptions& options,
                                        std::unique_ptr<rocksdb::FSDirectory>* directory,
                                        IODebugContext* debug) {
  std::unique_ptr<rocksdb::FSDirectory> target;
  auto status = FileSystemWrapper::NewDirectory(name, options, &target, debug);
  if (status.ok()) *directory = std::make_unique<Directory>(*this, name);
  return status;
}

IOStatus FaultyFileSystem::RenameFile(const std::string& from, const std::string& to,
                                      const IOOptions& options, IODebugContext* debug) {
  std::scoped_lock lock(mutex_);
  auto status = count_write();
  if (!status.ok()) return status;
  auto old_contents = contents_of(to);
  status = FileSystemWrapper::RenameFile(from, to, options, debug);
  if (!status.ok()) return status;
  lengths_[to] = lengths_[from];
  lengths_.erase(from);
  pending_.push_back({to, from, std::move(old_contents)});
  return status;
}

IOStatus FaultyFileSystem::DeleteFile(const std::string& name, const IOOptions& options,
                                      IODebugContext* debug) {
  std::scoped_lock lock(mutex_);
  if (fault_ == Fault::kKill) count_write().PermitUncheckedError();
  auto status = FileSystemWrapper::DeleteFile(name, options, debug);
  if (!status.ok()) return status;
  lengths_.erase(name);
  std::erase_if(pending_, [&](const Pending& pending) { return pending.path == name; });
  return status;
}

IOStatus FaultyFileSystem::GetFreeSpace(const std::string& path, const IOOptions& options,
                                        std::uint64_t* bytes, IODebugContext* debug) {
  {
    std::scoped_lock lock(mutex_);
    if (free_space_) {
      *bytes = *free_space_;
      return IOStatus::OK();
    }
  }
  return FileSystemWrapper::GetFreeSpace(path, options, bytes, debug);
}

void FaultyFileSystem::lose_power(std::mt19937* torn) {
  std::scoped_lock lock(mutex_);
  for (const auto& [path, length] : lengths_) cut(path, length, torn);
  std::for_each(pending_.rbegin(), pending_.rend(), [this](const auto& each) { undo(each); });
  lengths_.clear();
  pending_.clear();
  fail_from_ = std::numeric_limits<std::uint64_t>::max();
}

void FaultyFileSystem::undo(const Pending& pending) {
  std::error_code ignored;
  if (pending.renamed_from.empty()) {
    std::filesystem::remove(pending.path, ignored);
    return;
  }
  std::filesystem::rename(pending.path, pending.renamed_from, ignored);
  if (pending.old_contents) write_contents(pending.path, *pending.old_contents);
}

void FaultyFileSystem::cut(const std::string& path, const Length& length, std::mt19937* torn) {
  auto contents = contents_of(path);
  if (!contents || contents->size() <= length.synced) return;
  auto lost = contents->size() - length.synced;
  contents->resize(length.synced + (torn != nullptr ? (*torn)() % (lost + 1) : 0));
  // Sectors reach the disk in any order; one that did not, in the middle, reads as zeros.
  for (auto at = length.synced; torn != nullptr && at < contents->size();) {
    auto end = std::min<std::uint64_t>(contents->size(), (at / kSector + 1) * kSector);
    if ((*torn)() % 4 == 0)
      std::fill(contents->begin() + static_cast<std::ptrdiff_t>(at),
                contents->begin() + static_cast<std::ptrdiff_t>(end), '\0');
    at = end;
  }
  write_contents(path, *contents);
}

}  // namespace colloquy::store
