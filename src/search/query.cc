#include "search/query.h"

#include <algorithm>

namespace colloquy::search {
namespace {

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// Shorter beginnings are in nearly every text, and reading all words that begin so takes long.
bool may_go_on(const Token& token) {
  auto letters = std::count_if(token.text.begin(), token.text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  });
  return token.kind == Token::Kind::kWord && letters >= 3;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Query run() {
    std::size_t at = 0;
    while (at < text_.size()) {
      if (text_[at] == '"') {
        auto close = std::min(text_.find('"', at + 1), text_.size());
        add(at + 1, close, false);
        at = close + 1;
      } else if (is_space(text_[at])) {
        ++at;
      } else {
        auto end = at;
        while (end < text_.size() && !is_space(text_[end]) && text_[end] != '"') ++end;
        add(at, end, end == text_.size());
        at = end;
      }
    }
    return std::move(query_);
  }

 private:
  void add(std::size_t begin, std::size_t end, bool last) {
    auto part = text_.substr(begin, end - begin);
    auto tokens = tokenize(part);
    Phrase phrase;
    // The pairs say it all, unless something stands behind the last character.
    if (!tokens.empty() && tokens.back().kind == Token::Kind::kLast) tokens.pop_back();
    for (auto& token : tokens) {
      if (terms_ == kTerms) break;
      ++terms_;
      bool is_last = &token == &tokens.back();
      phrase.prefix = is_last && (token.kind == Token::Kind::kLone ||
                                  (last && token.end == part.size() && may_go_on(token)));
      phrase.terms.push_back(std::move(token.text));
    }
    if (phrase.terms.empty()) return;
    auto& known = query_.phrases;
    if (std::find(known.begin(), known.end(), phrase) == known.end()) {
      known.push_back(std::move(phrase));
    }
  }

  std::string_view text_;
  Query query_;
  std::size_t terms_ = 0;
};

bool stands_at(const Phrase& phrase, const std::vector<Token>& tokens, std::size_t at) {
  auto count = phrase.terms.size();
  if (at + count > tokens.size()) return false;
  for (std::size_t i = 0; i < count; ++i) {
    const auto& term = phrase.terms[i];
    const auto& token = tokens[at + i].text;
    bool fits = phrase.prefix && i + 1 == count ? token.starts_with(term) : token == term;
    if (!fits) return false;
  }
  return true;
}

}  // namespace

Query parse_query(std::string_view text) { return Parser(text).run(); }

bool Matches::all() const {
  return !counts.empty() && std::find(counts.begin(), counts.end(), 0U) == counts.end();
}

Matches find_matches(const Query& query, std::string_view text) {
  auto tokens = tokenize(text);
  Matches found;
  found.tokens = tokens.size();
  found.counts.resize(query.phrases.size());
  for (std::size_t at = 0; at < tokens.size(); ++at) {
    for (std::size_t i = 0; i < query.phrases.size(); ++i) {
      const auto& phrase = query.phrases[i];
      if (!stands_at(phrase, tokens, at)) continue;
      ++found.counts[i];
      if (found.places.size() == kPlaces) continue;
      const auto last = at + phrase.terms.size() - 1;
      auto end = tokens[last].end;
      // Of a pair that was found by its first character, that alone: the next token begins behind
      // it.
      bool half = phrase.prefix && tokens[last].kind == Token::Kind::kPair;
      if (half && last + 1 < tokens.size()) end = tokens[last + 1].begin;
      found.places.push_back({tokens[at].begin, end, i});
    }
  }
  return found;
}

double relevance(const std::vector<std::size_t>& counts, std::size_t tokens) {
  if (counts.empty()) return 0;
  constexpr double kHalf = 0.3;            // as many times in a very short text are worth a half
  constexpr double kHalfPerToken = 0.004;  // and so many more for each word of it
  auto half = kHalf + kHalfPerToken * static_cast<double>(tokens);
  double sum = 0;
  for (auto count : counts) sum += static_cast<double>(count) / (static_cast<double>(count) + half);
  return sum / static_cast<double>(counts.size());
}

}  // namespace colloquy::search
