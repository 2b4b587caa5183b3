// The files of the index in its folder: index-N.db (and SQLite's -wal and -shm), the greatest N is
// the newest. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace colloquy::search::index_files {

std::string path_of(const std::string& folder, std::uint64_t number);
// From the newest to the oldest. Throws std::filesystem::filesystem_error.
std::vector<std::uint64_t> numbers_in(const std::string& folder);
// What cannot be removed stays.
void remove(const std::string& path);
// All of them, and the folder where nothing else is in it: for a server that keeps no index.
void remove_all(const std::string& folder);

}  // namespace colloquy::search::index_files
