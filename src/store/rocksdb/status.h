// The one place where RocksDB's errors become ours.
#pragma once

#include <rocksdb/status.h>

#include <string_view>

#include "base/error.h"

namespace colloquy::store {

// kUnavailable for what may pass (a full disk, an I/O error, a stalled writer), kInternal for
// damage and for everything else. `doing` goes into the detail, before RocksDB's own words.
Error to_error(const rocksdb::Status& status, std::string_view doing);

// Throws unless `status` is ok.
void check(const rocksdb::Status& status, std::string_view doing);

// "The disk is full.", with Retry-After.
Error disk_full(std::string detail);

}  // namespace colloquy::store
