#include "files/drafts.h"

#include <fcntl.h>

#include <cerrno>
#include <fstream>
#include <vector>

#include "base/error.h"
#include "files/failure.h"

namespace colloquy::files {
namespace {

constexpr const char* kLock = "lock";
constexpr int kFolderFlags = O_RDONLY | O_DIRECTORY;
constexpr unsigned kFileMode = 0666;  // less what the process's umask takes
constexpr int kNames = 100;
constexpr std::uint64_t kWriteOutBytes = 8ULL << 20U;

// Which machine this is, since it was started: only there are locks sure to be seen.
std::string this_machine() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string line;
  std::getline(file, line);
  return line;
}

std::vector<std::string> names_in(FileSystem& system, int folder) {
  std::vector<std::string> names;
  system.read_folder(folder, [&names](const char* name, unsigned char) {
    names.emplace_back(name);
    return true;
  });
  return names;
}

}  // namespace

Drafts::Drafts(FileSystem& system, int root, const std::string& unique)
    : system_(system), unique_(unique), machine_(this_machine()) {
  const int made = system_.make_folder(root, kDraftsFolder, kFolderMode);
  if (made < 0 && made != -EEXIST) throw error_of(-made, "the folder of uploads cannot be made");
  all_ = FileDescriptor(system_.open(root, kDraftsFolder, kFolderFlags, 0));
  if (!all_.is_open()) throw error_of(all_.error(), "the folder of uploads cannot be opened");
  require_case(root);
  const std::scoped_lock lock(mutex_);
  make_own();
}

Drafts::~Drafts() { remove(*own_); }

// Users whose ids differ in nothing else would share a folder.
void Drafts::require_case(int root) const {
  std::string other = kDraftsFolder;
  for (char& c : other) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  struct stat same {};
  struct stat found {};
  if (system_.stat_name(root, other, found) < 0 || system_.stat(all_.number(), same) < 0) return;
  if (found.st_ino != same.st_ino || found.st_dev != same.st_dev) return;
  throw Error(ErrorCode::kInvalid,
              "is on a file system that does not tell upper from lower case: users would share a "
              "folder");
}

void Drafts::make_own() {
  for (const int end = next_folder_ + kNames; next_folder_ < end;) {
    own_ = take_folder(unique_ + "-" + std::to_string(next_folder_++));
    if (own_) return;
  }
  throw unavailable("The files cannot be reached at the moment.",
                    "no folder of uploads can be had");
}

std::shared_ptr<const DraftsFolder> Drafts::own() {
  const std::scoped_lock lock(mutex_);
  return own_;
}

// Another folder in place of one that is gone.
std::shared_ptr<const DraftsFolder> Drafts::renew(const std::shared_ptr<const DraftsFolder>& gone) {
  const std::scoped_lock lock(mutex_);
  if (own_ != gone) return own_;
  try {
    make_own();
  } catch (...) {
    own_ = gone;
    throw;
  }
  return own_;
}

void Drafts::remove(const DraftsFolder& folder) {
  for (const auto& name : names_in(system_, folder.folder.number())) {
    system_.remove(folder.folder.number(), name);
  }
  system_.remove_folder(all_.number(), folder.name);
}

// Null where another process's sweep was faster.
std::shared_ptr<const DraftsFolder> Drafts::take_folder(const std::string& name) {
  auto taken = std::make_shared<DraftsFolder>();
  taken->name = name;
  const int made = system_.make_folder(all_.number(), name, kFolderMode);
  if (made == -EEXIST) return nullptr;
  if (made < 0) throw error_of(-made, "a folder of uploads cannot be made");
  auto& folder = taken->folder;
  folder = FileDescriptor(system_.open(all_.number(), name, kFolderFlags, 0));
  if (folder.error() == ENOENT) return nullptr;
  if (!folder.is_open()) throw error_of(folder.error(), "a folder of uploads cannot be opened");
  auto& lock = taken->lock;
  lock = FileDescriptor(system_.open(folder.number(), kLock, O_RDWR | O_CREAT | O_EXCL, kFileMode));
  if (lock.error() == ENOENT) return nullptr;
  if (!lock.is_open()) throw error_of(lock.error(), "a lock of uploads cannot be made");
  const int locked = system_.lock(lock.number());
  if (locked == -EWOULDBLOCK) return nullptr;
  if (locked < 0) throw Error(ErrorCode::kInvalid, "is on a file system without locks (flock)");
  system_.write(lock.number(), machine_, 0);  // without it, what is left is only swept later
  struct stat found {};
  const bool there = system_.stat(lock.number(), found) == 0 && found.st_nlink == 1;
  return there ? taken : nullptr;
}

// The volume's own clock, which is that of its files' times; 0: not known.
std::int64_t Drafts::now_s(const DraftsFolder& own) const {
  struct stat found {};
  if (system_.write(own.lock.number(), machine_, 0) < 0) return 0;
  return system_.stat(own.lock.number(), found) < 0 ? 0 : found.st_mtim.tv_sec;
}

std::uint64_t Drafts::sweep() {
  const auto own_folder = own();
  const std::int64_t now = now_s(*own_folder);
  std::uint64_t swept = 0;
  for (const auto& name : names_in(system_, all_.number())) {
    if (name != own_folder->name) swept += sweep_folder(name, now);
  }
  return swept;
}

bool Drafts::is_of_this_machine(int lock) const {
  std::string said(machine_.size() + 1, '\0');
  const auto got = system_.read(lock, said.data(), said.size(), 0);
  return !machine_.empty() && got == static_cast<ssize_t>(machine_.size()) &&
         said.compare(0, machine_.size(), machine_) == 0;
}

bool Drafts::is_left(int folder, const std::string& name, std::int64_t now_s) const {
  struct stat found {};
  if (system_.stat_name(folder, name, found) < 0) return false;
  return now_s - found.st_mtim.tv_sec >= std::chrono::seconds(kLeftAfter).count();
}

// Whatever goes wrong, it stays for the next time.
std::uint64_t Drafts::sweep_folder(const std::string& name, std::int64_t now_s) {
  const FileDescriptor folder(system_.open(all_.number(), name, kFolderFlags, 0));
  if (!folder.is_open()) return 0;
  const FileDescriptor lock(system_.open(folder.number(), kLock, O_RDWR | O_NONBLOCK, 0));
  if (lock.is_open() && system_.lock(lock.number()) < 0) return 0;
  const bool certain = lock.is_open() && is_of_this_machine(lock.number());
  std::uint64_t swept = 0;
  bool empty = true;
  for (const auto& left : names_in(system_, folder.number())) {
    if (left == kLock) continue;
    const bool gone = (certain || is_left(folder.number(), left, now_s)) &&
                      system_.remove(folder.number(), left) == 0;
    swept += gone ? 1 : 0;
    empty = empty && gone;
  }
  if (!empty) return swept;
  // An empty one may be another server's that is just making it, or has nothing to write: then that
  // one makes another.
  if (lock.is_open()) system_.remove(folder.number(), kLock);
  system_.remove_folder(all_.number(), name);
  return swept;
}

Draft::Draft(std::shared_ptr<Drafts> drafts)
    : drafts_(std::move(drafts)), folder_(drafts_->own()), name_(std::to_string(drafts_->next_++)) {
  const auto open = [this] {
    return FileDescriptor(drafts_->system_.open(folder_->folder.number(), name_,
                                                O_RDWR | O_CREAT | O_EXCL, kFileMode));
  };
  file_ = open();
  if (file_.error() == ENOENT) {
    folder_ = drafts_->renew(folder_);
    file_ = open();
  }
  if (!file_.is_open()) throw error_of(file_.error(), "an upload cannot be begun");
}

Draft::~Draft() {
  if (!moved_ && file_.is_open()) drafts_->system_.remove(folder_->folder.number(), name_);
}

void Draft::append(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = drafts_->system_.write(file_.number(), bytes, bytes_);
    if (written < 0) throw error_of(static_cast<int>(-written), "an upload cannot be written");
    bytes.remove_prefix(static_cast<std::size_t>(written));
    bytes_ += static_cast<std::uint64_t>(written);
  }
  if (bytes_ - writing_out_ < kWriteOutBytes) return;
  // So that the sync at the end has little left to do. A file system that cannot, need not.
  drafts_->system_.begin_writing_out(file_.number(), writing_out_, bytes_ - writing_out_);
  writing_out_ = bytes_;
}

void Draft::finish() {
  const int dated = drafts_->system_.set_modified(file_.number());
  if (dated < 0) throw error_of(-dated, "an upload's time cannot be set");
  const int synced = drafts_->system_.sync(file_.number());
  if (synced < 0) throw error_of(-synced, "an upload cannot be synced");
}

int Draft::move_to(int folder, const std::string& name, bool only_new) {
  auto& system = drafts_->system_;
  const int own = folder_->folder.number();
  const int moved = only_new ? system.rename_to_free_name(own, name_, folder, name)
                             : system.rename(own, name_, folder, name);
  moved_ = moved >= 0;
  return moved;
}

}  // namespace colloquy::files
