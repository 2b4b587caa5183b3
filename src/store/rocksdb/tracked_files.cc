#include "store/rocksdb/tracked_files.h"

#include <functional>
#include <utility>

namespace colloquy::store {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

namespace {

struct ThreadState {
  bool memory_only = false;
  bool refused = false;
};
thread_local ThreadState thread_state;

// True, and noted, when this thread must not read now.
bool refuse() {
  if (!thread_state.memory_only) return false;
  thread_state.refused = true;
  return true;
}

IOStatus refusal() { return IOStatus::Aborted("the thread reads from memory only"); }

}  // namespace

MemoryOnly::MemoryOnly() { thread_state = {true, false}; }
MemoryOnly::~MemoryOnly() { thread_state = {false, false}; }
bool MemoryOnly::refused() const { return thread_state.refused; }

class TrackedFiles::TableFile final : public rocksdb::FSRandomAccessFileOwnerWrapper {
 public:
  explicit TableFile(std::unique_ptr<rocksdb::FSRandomAccessFile> file)
      : FSRandomAccessFileOwnerWrapper(std::move(file)) {}

  IOStatus Read(std::uint64_t offset, std::size_t n, const IOOptions& options,
                rocksdb::Slice* result, char* scratch, IODebugContext* debug) const override {
    if (refuse()) return refusal();
    return target()->Read(offset, n, options, result, scratch, debug);
  }
  IOStatus MultiRead(rocksdb::FSReadRequest* requests, std::size_t count, const IOOptions& options,
                     IODebugContext* debug) override {
    if (refuse()) return refusal();
    return target()->MultiRead(requests, count, options, debug);
  }
  IOStatus Prefetch(std::uint64_t offset, std::size_t n, const IOOptions& options,
                    IODebugContext* debug) override {
    if (refuse()) return refusal();
    return target()->Prefetch(offset, n, options, debug);
  }
  IOStatus ReadAsync(rocksdb::FSReadRequest& request, const IOOptions& options,
                     std::function<void(const rocksdb::FSReadRequest&, void*)> done, void* argument,
                     void** handle, rocksdb::IOHandleDeleter* deleter,
                     IODebugContext* debug) override {
    if (refuse()) return refusal();
    return target()->ReadAsync(request, options, std::move(done), argument, handle, deleter, debug);
  }
};

class TrackedFiles::File final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  File(TrackedFiles& files, std::unique_ptr<rocksdb::FSWritableFile> target)
      : FSWritableFileOwnerWrapper(std::move(target)), files_(files) {}

  IOStatus Append(const rocksdb::Slice& data, const IOOptions& options,
                  IODebugContext* debug) override {
    return files_.seen(target()->Append(data, options, debug));
  }
  IOStatus Append(const rocksdb::Slice& data, const IOOptions& options,
                  const rocksdb::DataVerificationInfo& info, IODebugContext* debug) override {
    return files_.seen(target()->Append(data, options, info, debug));
  }
  IOStatus Flush(const IOOptions& options, IODebugContext* debug) override {
    return files_.seen(target()->Flush(options, debug));
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
    return files_.seen(target()->Sync(options, debug));
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    return files_.seen(target()->Fsync(options, debug));
  }
  IOStatus RangeSync(std::uint64_t offset, std::uint64_t bytes, const IOOptions& options,
                     IODebugContext* debug) override {
    return files_.seen(target()->RangeSync(offset, bytes, options, debug));
  }
  IOStatus Close(const IOOptions& options, IODebugContext* debug) override {
    return files_.seen(target()->Close(options, debug));
  }

 private:
  TrackedFiles& files_;
};

class TrackedFiles::Directory final : public rocksdb::FSDirectory {
 public:
  Directory(TrackedFiles& files, std::unique_ptr<rocksdb::FSDirectory> target)
      : files_(files), target_(std::move(target)) {}

  IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
    return files_.seen(target_->Fsync(options, debug));
  }
  IOStatus FsyncWithDirOptions(const IOOptions& options, IODebugContext* debug,
                               const rocksdb::DirFsyncOptions& what) override {
    return files_.seen(target_->FsyncWithDirOptions(options, debug, what));
  }
  IOStatus Close(const IOOptions& options, IODebugContext* debug) override {
    return target_->Close(options, debug);
  }
  std::size_t GetUniqueId(char* id, std::size_t max_size) const override {
    return target_->GetUniqueId(id, max_size);
  }

 private:
  TrackedFiles& files_;
  std::unique_ptr<rocksdb::FSDirectory> target_;
};

std::string TrackedFiles::last_read() const {
  std::scoped_lock lock(mutex_);
  return last_read_;
}

IOStatus TrackedFiles::seen(IOStatus status) {
  if (status.ok()) {
    if (out_of_space()) out_of_space_ = false;
  } else if (status.subcode() == IOStatus::SubCode::kNoSpace) {
    out_of_space_ = true;
  }
  return status;
}

IOStatus TrackedFiles::NewSequentialFile(const std::string& name,
                                         const rocksdb::FileOptions& options,
                                         std::unique_ptr<rocksdb::FSSequentialFile>* file,
                                         IODebugContext* debug) {
  auto status = FileSystemWrapper::NewSequentialFile(name, options, file, debug);
  if (status.ok()) {
    std::scoped_lock lock(mutex_);
    last_read_ = name;
  }
  return status;
}

IOStatus TrackedFiles::NewRandomAccessFile(const std::string& name,
                                           const rocksdb::FileOptions& options,
                                           std::unique_ptr<rocksdb::FSRandomAccessFile>* file,
                                           IODebugContext* debug) {
  if (refuse()) return refusal();
  std::unique_ptr<rocksdb::FSRandomAccessFile> target;
  auto status = FileSystemWrapper::NewRandomAccessFile(name, options, &target, debug);
  if (status.ok()) *file = std::make_unique<TableFile>(std::move(target));
  return status;
}

IOStatus TrackedFiles::NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                       std::unique_ptr<rocksdb::FSWritableFile>* file,
                                       IODebugContext* debug) {
  std::unique_ptr<rocksdb::FSWritableFile> target;
  auto status = seen(FileSystemWrapper::NewWritableFile(name, options, &target, debug));
  if (status.ok()) *file = std::make_unique<File>(*this, std::move(target));
  return status;
}

IOStatus TrackedFiles::NewDirectory(const std::string& name, const IOOptions& options,
                                    std::unique_ptr<rocksdb::FSDirectory>* directory,
                                    IODebugContext* debug) {
  std::unique_ptr<rocksdb::FSDirectory> target;
  auto status = FileSystemWrapper::NewDirectory(name, options, &target, debug);
  if (status.ok()) *directory = std::make_unique<Directory>(*this, std::move(target));
  return status;
}

IOStatus TrackedFiles::RenameFile(const std::string& from, const std::string& to,
                                  const IOOptions& options, IODebugContext* debug) {
  return seen(FileSystemWrapper::RenameFile(from, to, options, debug));
}

}  // namespace colloquy::store
