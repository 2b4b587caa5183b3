#include "search/checked_pages.h"

#include <array>
#include <cstdint>
#include <cstring>

#include "base/error.h"

namespace colloquy::search {
namespace {

// What SQLite is given as a file; the system's own one stands behind it in the same memory.
struct CheckedFile {
  sqlite3_file base;
  bool pages;  // of a database, not of a log
};

CheckedFile* checked(sqlite3_file* file) { return reinterpret_cast<CheckedFile*>(file); }
sqlite3_file* system_file(sqlite3_file* file) {
  return reinterpret_cast<sqlite3_file*>(checked(file) + 1);
}
const sqlite3_io_methods& system_methods(sqlite3_file* file) {
  return *system_file(file)->pMethods;
}
sqlite3_vfs* system_of(sqlite3_vfs* vfs) { return static_cast<sqlite3_vfs*>(vfs->pAppData); }

// Not against malice: eight bytes at a time, mixed as splitmix64 does.
std::uint64_t checksum(const unsigned char* page, sqlite3_int64 offset) {
  auto sum = static_cast<std::uint64_t>(offset) + 0x9e3779b97f4a7c15ULL;
  for (int at = 0; at < kPageBytes - kCheckedBytes; at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, page + at, sizeof word);
    sum = (sum ^ word) * 0xbf58476d1ce4e5b9ULL;
    sum ^= sum >> 31;
  }
  return sum;
}

bool whole_page(sqlite3_file* file, int size, sqlite3_int64 offset) {
  return checked(file)->pages && size == kPageBytes && offset % kPageBytes == 0;
}

int close_file(sqlite3_file* file) { return system_methods(file).xClose(system_file(file)); }

int read_file(sqlite3_file* file, void* out, int size, sqlite3_int64 offset) {
  auto code = system_methods(file).xRead(system_file(file), out, size, offset);
  if (code != SQLITE_OK || !whole_page(file, size, offset)) return code;
  const auto* page = static_cast<const unsigned char*>(out);
  std::uint64_t stored = 0;
  std::memcpy(&stored, page + kPageBytes - kCheckedBytes, sizeof stored);
  return stored == checksum(page, offset) ? SQLITE_OK : SQLITE_IOERR_DATA;
}

int write_file(sqlite3_file* file, const void* from, int size, sqlite3_int64 offset) {
  const auto& methods = system_methods(file);
  if (!whole_page(file, size, offset)) {
    return methods.xWrite(system_file(file), from, size, offset);
  }
  std::array<unsigned char, kPageBytes> page;
  std::memcpy(page.data(), from, page.size());
  auto sum = checksum(page.data(), offset);
  std::memcpy(page.data() + kPageBytes - kCheckedBytes, &sum, sizeof sum);
  return methods.xWrite(system_file(file), page.data(), size, offset);
}

int truncate_file(sqlite3_file* file, sqlite3_int64 size) {
  return system_methods(file).xTruncate(system_file(file), size);
}
int sync_file(sqlite3_file* file, int flags) {
  return system_methods(file).xSync(system_file(file), flags);
}
int file_size(sqlite3_file* file, sqlite3_int64* size) {
  return system_methods(file).xFileSize(system_file(file), size);
}
int lock_file(sqlite3_file* file, int lock) {
  return system_methods(file).xLock(system_file(file), lock);
}
int unlock_file(sqlite3_file* file, int lock) {
  return system_methods(file).xUnlock(system_file(file), lock);
}
int check_reserved(sqlite3_file* file, int* result) {
  return system_methods(file).xCheckReservedLock(system_file(file), result);
}
int control_file(sqlite3_file* file, int operation, void* argument) {
  return system_methods(file).xFileControl(system_file(file), operation, argument);
}
int sector_size(sqlite3_file* file) { return system_methods(file).xSectorSize(system_file(file)); }
int characteristics(sqlite3_file* file) {
  return system_methods(file).xDeviceCharacteristics(system_file(file));
}
int map_shared(sqlite3_file* file, int page, int size, int extend, void volatile** out) {
  return system_methods(file).xShmMap(system_file(file), page, size, extend, out);
}
int lock_shared(sqlite3_file* file, int offset, int count, int flags) {
  return system_methods(file).xShmLock(system_file(file), offset, count, flags);
}
void order_shared(sqlite3_file* file) { system_methods(file).xShmBarrier(system_file(file)); }
int unmap_shared(sqlite3_file* file, int remove) {
  return system_methods(file).xShmUnmap(system_file(file), remove);
}

// Version 2: with what write-ahead logs need, and without mapping files into memory, where pages
// would not pass through here.
constexpr sqlite3_io_methods kMethods{.iVersion = 2,
                                      .xClose = close_file,
                                      .xRead = read_file,
                                      .xWrite = write_file,
                                      .xTruncate = truncate_file,
                                      .xSync = sync_file,
                                      .xFileSize = file_size,
                                      .xLock = lock_file,
                                      .xUnlock = unlock_file,
                                      .xCheckReservedLock = check_reserved,
                                      .xFileControl = control_file,
                                      .xSectorSize = sector_size,
                                      .xDeviceCharacteristics = characteristics,
                                      .xShmMap = map_shared,
                                      .xShmLock = lock_shared,
                                      .xShmBarrier = order_shared,
                                      .xShmUnmap = unmap_shared,
                                      .xFetch = nullptr,
                                      .xUnfetch = nullptr};

int open_file(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  auto* system = system_of(vfs);
  auto* made = checked(file);
  made->base.pMethods = nullptr;
  made->pages = (flags & SQLITE_OPEN_MAIN_DB) != 0;
  auto code = system->xOpen(system, name, system_file(file), flags, out_flags);
  if (system_file(file)->pMethods != nullptr) made->base.pMethods = &kMethods;
  return code;
}

int remove_file(sqlite3_vfs* vfs, const char* name, int sync) {
  return system_of(vfs)->xDelete(system_of(vfs), name, sync);
}
int access_file(sqlite3_vfs* vfs, const char* name, int flags, int* out) {
  return system_of(vfs)->xAccess(system_of(vfs), name, flags, out);
}
int full_path(sqlite3_vfs* vfs, const char* name, int size, char* out) {
  return system_of(vfs)->xFullPathname(system_of(vfs), name, size, out);
}
int randomness(sqlite3_vfs* vfs, int size, char* out) {
  return system_of(vfs)->xRandomness(system_of(vfs), size, out);
}
int sleep_for(sqlite3_vfs* vfs, int microseconds) {
  return system_of(vfs)->xSleep(system_of(vfs), microseconds);
}
int current_time(sqlite3_vfs* vfs, double* out) {
  return system_of(vfs)->xCurrentTime(system_of(vfs), out);
}
int last_error(sqlite3_vfs* vfs, int size, char* out) {
  return system_of(vfs)->xGetLastError(system_of(vfs), size, out);
}
int current_time_ms(sqlite3_vfs* vfs, sqlite3_int64* out) {
  return system_of(vfs)->xCurrentTimeInt64(system_of(vfs), out);
}

constexpr const char* kName = "colloquy-checked-pages";

bool register_once() {
  auto* system = sqlite3_vfs_find(nullptr);
  if (system == nullptr) return false;
  static sqlite3_vfs vfs{};
  vfs.iVersion = 2;
  vfs.szOsFile = static_cast<int>(sizeof(CheckedFile)) + system->szOsFile;
  vfs.mxPathname = system->mxPathname;
  vfs.zName = kName;
  vfs.pAppData = system;
  vfs.xOpen = open_file;
  vfs.xDelete = remove_file;
  vfs.xAccess = access_file;
  vfs.xFullPathname = full_path;
  vfs.xRandomness = randomness;
  vfs.xSleep = sleep_for;
  vfs.xCurrentTime = current_time;
  vfs.xGetLastError = last_error;
  vfs.xCurrentTimeInt64 = current_time_ms;
  return sqlite3_vfs_register(&vfs, 0) == SQLITE_OK;
}

}  // namespace

const char* checked_pages() {
  static const bool registered = register_once();
  if (!registered) throw internal_error("SQLite takes no files of ours");
  return kName;
}

void reserve_checks(sqlite3* database) {
  int bytes = kCheckedBytes;
  sqlite3_file_control(database, "main", SQLITE_FCNTL_RESERVE_BYTES, &bytes);
}

}  // namespace colloquy::search
