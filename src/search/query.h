// What a user asks for, understood: every part of it must be in a text.
//
//   sea shell     both words, anywhere
//   "sea shell"   one after the other
//   sea-shell     likewise: what is written without a space
//   sea she       the last word may go on (shell)
//
// The last word goes on if it has three letters or more and nothing stands behind it.
//
// Every string can be asked for; one without a letter, digit or symbol finds nothing. Only the
// first kTerms words count. Pure values and functions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "search/tokenizer.h"

namespace colloquy::search {

inline constexpr std::size_t kQueryBytes = 1024;
inline constexpr std::size_t kTerms = 64;

// Tokens that stand side by side.
struct Phrase {
  std::vector<std::string> terms;
  bool prefix = false;  // the last one may go on
  bool operator==(const Phrase&) const = default;
};

struct Query {
  std::vector<Phrase> phrases;
  bool empty() const { return phrases.empty(); }
  bool operator==(const Query&) const = default;
};

Query parse_query(std::string_view text);

// Where the parts of a query are in a text.
struct Match {
  std::size_t begin = 0;  // bytes of the text
  std::size_t end = 0;
  std::size_t phrase = 0;  // which of the query's
};
inline constexpr std::size_t kPlaces = 4096;
struct Matches {
  std::vector<Match> places;        // in the order of the text; the first kPlaces
  std::vector<std::size_t> counts;  // of each phrase
  std::size_t tokens = 0;           // of the text
  bool all() const;                 // every phrase is there
};
Matches find_matches(const Query& query, std::string_view text);

// How well a text fits, from 0 to 1, by how often each phrase is in it and how long it is. It
// depends on the text and the query alone, so that an index that changes does not change it.
double relevance(const std::vector<std::size_t>& counts, std::size_t tokens);

}  // namespace colloquy::search
