// What a file is, by the end of its name. Other programs write files too, so nothing else is known
// of it. Pure; any thread.
#pragma once

#include <string_view>

namespace colloquy::files {

struct MediaType {
  std::string_view name;  // for Content-Type
  // A browser shows it without running anything of it; all else is to be saved.
  bool is_shown = false;
};

// "application/octet-stream" where the end is not known.
MediaType media_type_of(std::string_view path);

}  // namespace colloquy::files
