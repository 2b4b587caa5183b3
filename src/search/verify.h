// Holds what was found against the text that is there now: what does not say it any more is no hit.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "search/query.h"
#include "search/query_pool.h"
#include "search/search.h"
#include "store/store.h"

namespace colloquy::search {

// Hits to be verified together: so many bytes of text at most, and one more text.
inline constexpr std::size_t kVerifiedBytes = 8 * limits::kMiB;

// The text that a hit was found in.
const std::string& text_of(const Hit& hit);

// Sets the snippets, and leaves out whose text has not every part of the query. Takes as long as
// the texts are: not for an event loop. Throws kUnavailable once the deadline has passed.
std::vector<Hit> verified(const Query& query, std::vector<Hit> hits, Deadline deadline);

}  // namespace colloquy::search
