// How users and their files are called on the volume. Pure functions; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"

namespace colloquy::files {

inline constexpr std::size_t kNameBytes = 255;
inline constexpr std::size_t kPathBytes = 1024;
inline constexpr std::size_t kPathNames = 32;

// The name of a user's folder. An id of letters, digits, '_', '-', '.' and '@' that begins with a
// letter, a digit or '_' is its own name, such as "user_123"; in others each other byte stands as
// %XX. Where that is longer than a name may be, its end gives way to "%~" and the id's SHA-256. So
// no two ids have one folder, none is "." or "..", and none begins with '.'.
std::string folder_of(const UserId& user);

// Why a path cannot be a file's, in words for the client; nullopt for one that can: names of 1 to
// 255 bytes with '/' between them, valid UTF-8 without control characters and backslashes, none of
// them "." or "..". Names are kept byte for byte; two forms of one letter are two names.
std::optional<std::string> refusal_of_path(std::string_view path);

// One name of such a path.
bool is_name(std::string_view name);

// The names of a path that is not refused.
std::vector<std::string> names_of(std::string_view path);

}  // namespace colloquy::files
