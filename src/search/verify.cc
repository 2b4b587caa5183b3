#include "search/verify.h"

#include <utility>

namespace colloquy::search {

const std::string& text_of(const Hit& hit) {
  return hit.message ? hit.message->content : hit.title;
}

std::vector<Hit> verified(const Query& query, std::vector<Hit> hits, Deadline deadline) {
  std::vector<Hit> good;
  for (auto& hit : hits) {
    check_deadline(deadline);
    const auto& text = text_of(hit);
    auto matches = find_matches(query, text);
    if (!matches.all()) continue;
    hit.snippet = make_snippet(text, matches);
    good.push_back(std::move(hit));
  }
  return good;
}

}  // namespace colloquy::search
