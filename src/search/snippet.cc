#include "search/snippet.h"

#include <algorithm>
#include <set>

#include "base/text.h"

namespace colloquy::search {
namespace {

constexpr std::size_t kBeforeBytes = 60;
// Of how many places the best is sought.
constexpr std::size_t kPlacesSeen = 200;
constexpr std::string_view kEllipsis = "…";

bool continues(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }
bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// Where the window begins: at the place with the most different phrases behind it.
const Match& best_place(const Matches& matches) {
  const auto& places = matches.places;
  auto count = std::min(places.size(), kPlacesSeen);
  std::size_t best = 0;
  std::size_t most = 0;
  for (std::size_t i = 0; i < count; ++i) {
    std::set<std::size_t> phrases;
    for (auto j = i; j < count && places[j].end <= places[i].begin + kSnippetBytes - kBeforeBytes;
         ++j) {
      phrases.insert(places[j].phrase);
    }
    if (phrases.size() > most) {
      most = phrases.size();
      best = i;
    }
  }
  return places[best];
}

struct Window {
  std::size_t begin = 0;
  std::size_t end = 0;
};

// Begins and ends between characters, and at a space where one is near.
Window window_of(std::string_view text, const Matches& matches) {
  Window window;
  std::size_t first = 0;
  if (!matches.places.empty()) first = best_place(matches).begin;
  if (first > kBeforeBytes) {
    window.begin = first - kBeforeBytes;
    while (window.begin < first && continues(text[window.begin])) ++window.begin;
    auto space = window.begin;
    while (space < first && !is_space(text[space])) ++space;
    if (space < first) window.begin = space + 1;
  }
  window.end = window.begin + cut_utf8(text.substr(window.begin), kSnippetBytes).size();
  if (window.end < text.size()) {
    auto space = window.end;
    while (space > window.end - kBeforeBytes / 2 && !is_space(text[space])) --space;
    if (is_space(text[space]) && space > window.begin) window.end = space;
  }
  return window;
}

class Builder {
 public:
  void add(std::string_view text, bool match) {
    for (char c : text) {
      char shown = is_space(c) ? ' ' : c;
      if (shown == ' ' && after_space_) continue;
      after_space_ = shown == ' ';
      append(std::string_view(&shown, 1), match);
    }
  }
  void add_ellipsis() { append(kEllipsis, false); }
  std::vector<Fragment> take() { return std::move(fragments_); }

 private:
  void append(std::string_view text, bool match) {
    if (fragments_.empty() || fragments_.back().match != match) fragments_.push_back({"", match});
    fragments_.back().text.append(text);
  }
  std::vector<Fragment> fragments_;
  bool after_space_ = true;
};

}  // namespace

std::vector<Fragment> make_snippet(std::string_view text, const Matches& matches) {
  auto window = window_of(text, matches);
  Builder builder;
  if (window.begin > 0) builder.add_ellipsis();
  auto at = window.begin;
  for (const auto& place : matches.places) {
    auto begin = std::max(place.begin, at);
    auto end = std::min(place.end, window.end);
    if (begin >= end) continue;
    builder.add(text.substr(at, begin - at), false);
    builder.add(text.substr(begin, end - begin), true);
    at = end;
  }
  if (at < window.end) builder.add(text.substr(at, window.end - at), false);
  if (window.end < text.size()) builder.add_ellipsis();
  return builder.take();
}

}  // namespace colloquy::search
