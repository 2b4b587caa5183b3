// Files of SQLite whose every page carries a checksum, verified whenever it is read from the file:
// so that damage to an index is found where it is met, and not taken for words.
//
// SQLite itself looks at the structure of a page only. This stands between it and the operating
// system's files (its own "VFS"), as its extension cksumvfs does: the last kCheckedBytes of each
// page are reserved and hold the checksum of the rest and of the page's place. Pages in a
// write-ahead log have checksums of SQLite's own. A page that does not fit is an I/O error
// (SQLITE_IOERR_DATA).
#pragma once

#include <sqlite3.h>

namespace colloquy::search {

inline constexpr int kPageBytes = 4096;
inline constexpr int kCheckedBytes = 8;

// The name to open a database with. Registers it with SQLite at the first call. Thread-safe.
const char* checked_pages();

// Before the first page of a new database is written.
void reserve_checks(sqlite3* database);

}  // namespace colloquy::search
