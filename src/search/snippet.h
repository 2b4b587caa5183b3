// The part of a text that shows why it was found, in pieces that are matches or not: a client that
// shows each piece as text, and those that match marked, needs to trust nothing. Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "search/query.h"

namespace colloquy::search {

inline constexpr std::size_t kSnippetBytes = 240;

struct Fragment {
  std::string text;
  bool match = false;
  bool operator==(const Fragment&) const = default;
};

// About kSnippetBytes of the text, around the place where most of the query is together. White
// space becomes single spaces, and … stands where something was left out.
std::vector<Fragment> make_snippet(std::string_view text, const Matches& matches);

}  // namespace colloquy::search
