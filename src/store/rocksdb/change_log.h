// The rows in which commits say what they have changed (store/change_feed.h), and the record that
// names their sequence. A commit has at most one row, under a number that is greater than those of
// all commits before it. Its value: the format's version, the commit's time (8 bytes), then for
// each change the conversation's key (two bytes of length, then its bytes) and the message's id.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "store/change_feed.h"
#include "store/rocksdb/database.h"

namespace colloquy::store::change_log {

// Appends a change to `changes`.
void append(std::string& changes, std::string_view conversation_key, const MessageId& message);
std::string encode(std::int64_t at_ms, std::string_view changes);
// Throws kInternal for what encode does not make.
ChangeSet decode(std::uint64_t number, std::string_view value);

// Goes on with the sequence that there is, or begins one named `fresh`: where there is none, or
// where the last commit kept no changes (kChangesKept is then not the counters it wrote), as those
// of a program that does not know of them. Where the database does not keep changes there is none
// from then on: what it changes now would be missing.
//
// Before the Writer's first commit. Throws as a write.
Uuid begin(Database& database, Uuid fresh);
// Removes the sequence and its rows.
void drop(Database& database);

}  // namespace colloquy::store::change_log
