// One conversation of both sides, compared in everything that moves. For one event loop.
#pragma once

#include <optional>
#include <string>

#include "migrate/totals.h"
#include "store/transfer.h"

namespace colloquy::migrate {

struct Compared {
  Totals from;
  Totals to;
  // What differs first, in words for a person; empty: nothing.
  std::string difference;
};

// `conversation` is of `from`. Holds the ids and digests of all its messages in memory, and the
// contents of a page.
Task<Compared> compare(store::Exporter& from, store::Importer& to,
                       store::MovedConversation conversation);

// The first field, of those that move, in which they differ; empty: none.
std::string first_difference(const store::Conversation& from, const store::Conversation& to);

}  // namespace colloquy::migrate
