// Feeds text to what understands a search. The first line is what is sought, the rest is the text;
// then the query is run by SQLite over that very text, which must find what we find, and must never
// take a query for something to parse.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "check.h"
#include "search/index_format.h"
#include "search/index_writer.h"
#include "search/query.h"
#include "search/search.h"
#include "search/snippet.h"
#include "search/sqlite.h"

namespace {

using namespace colloquy;
using namespace colloquy::search;

constexpr std::int64_t kUser = 77;

// A table as the index has it, in memory.
class Words {
 public:
  Words() : connection_(":memory:", Connection::Mode::kCreate) {
    connection_.run("CREATE VIRTUAL TABLE words USING fts5(text, content='', tokenize='ascii')");
  }

  bool finds(const Query& query, std::string_view text, const ConversationId& conversation) {
    connection_.run("BEGIN");
    auto words = index_format::words_of(tokens_of(text), kUser, conversation);
    auto expression = index_format::match_expression(query, kUser, conversation);
    bool found = false;
    {
      Prepared add(connection_, "INSERT INTO words(rowid, text) VALUES(1, ?1)");
      add->bind_text(1, words).run();
      Prepared look(connection_, "SELECT rowid FROM words WHERE words MATCH ?1");
      look->bind_text(1, expression);
      found = look->step();
    }
    connection_.run("ROLLBACK");
    return found;
  }

 private:
  Connection connection_;
};

void check_tokens(std::string_view text) {
  for (const auto& token : tokenize(text)) {
    COLLOQUY_CHECK(!token.text.empty() && token.begin < token.end && token.end <= text.size());
    for (char c : token.text) {
      bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c & 0x80) != 0;
      COLLOQUY_CHECK(good);
    }
  }
}

void check_snippet(std::string_view text, const Matches& matches) {
  std::size_t bytes = 0;
  for (const auto& fragment : make_snippet(text, matches)) {
    COLLOQUY_CHECK(!fragment.text.empty());
    bytes += fragment.text.size();
  }
  COLLOQUY_CHECK(bytes <= kSnippetBytes + 16);
}

void check_cursor(const std::string& text) {
  try {
    COLLOQUY_CHECK(decode_cursor(text, 5).size() == 5);
  } catch (const Error& error) {
    COLLOQUY_CHECK(error.code() == ErrorCode::kInvalid);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  auto line = std::min(input.find('\n'), input.size());
  auto sought = input.substr(0, std::min(line, kQueryBytes));
  auto text = line < input.size() ? input.substr(line + 1) : sought;
  check_tokens(text);
  check_cursor(std::string(sought));
  auto query = parse_query(sought);
  std::size_t terms = 0;
  for (const auto& phrase : query.phrases) terms += phrase.terms.size();
  COLLOQUY_CHECK(terms <= kTerms);
  auto matches = find_matches(query, text);
  check_snippet(text, matches);
  if (query.empty()) return 0;
  static Words words;
  COLLOQUY_CHECK(words.finds(query, text, ConversationId()) == matches.all());
  return 0;
}
