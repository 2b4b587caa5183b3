#include "search/index_reader.h"

#include <algorithm>
#include <limits>

#include "search/index_format.h"
#include "search/search.h"

namespace colloquy::search {
namespace {

// fit(words, n): relevance() by the first n phrases of the expression.
void fit(const Fts5ExtensionApi* api, Fts5Context* row, sqlite3_context* result, int count,
         sqlite3_value** values) {
  int instances = 0;
  auto code = api->xInstCount(row, &instances);
  auto phrases = static_cast<std::size_t>(count > 0 ? sqlite3_value_int(values[0]) : 0);
  std::vector<std::size_t> counts(phrases);
  for (int i = 0; code == SQLITE_OK && i < instances; ++i) {
    int phrase = 0;
    int column = 0;
    int offset = 0;
    code = api->xInst(row, i, &phrase, &column, &offset);
    if (static_cast<std::size_t>(phrase) < phrases) ++counts[static_cast<std::size_t>(phrase)];
  }
  int tokens = 0;
  if (code == SQLITE_OK) code = api->xColumnSize(row, 0, &tokens);
  if (code != SQLITE_OK) {
    sqlite3_result_error_code(result, code);
    return;
  }
  sqlite3_result_double(result, relevance(counts, static_cast<std::size_t>(std::max(tokens, 0))));
}

void add_fit(sqlite3* database) {
  fts5_api* api = nullptr;
  sqlite3_stmt* statement = nullptr;
  auto code = sqlite3_prepare_v2(database, "SELECT fts5(?1)", -1, &statement, nullptr);
  if (code == SQLITE_OK) {
    sqlite3_bind_pointer(statement, 1, static_cast<void*>(&api), "fts5_api_ptr", nullptr);
    sqlite3_step(statement);
  }
  sqlite3_finalize(statement);
  if (api == nullptr) throw IndexDamaged("this SQLite has no FTS5");
  api->xCreateFunction(api, "fit", nullptr, fit, nullptr);
}

bool before(double left_score, std::int64_t left_id, double right_score, std::int64_t right_id) {
  if (left_score != right_score) return left_score > right_score;
  return left_id > right_id;
}

}  // namespace

IndexReader::IndexReader(const std::string& path) : connection_(path, Connection::Mode::kRead) {
  check_schema(connection_);
  connection_.run("PRAGMA cache_size = -8192");
  add_fit(connection_.get());
}

std::optional<std::int64_t> IndexReader::user_number(const UserId& user) {
  Prepared look(connection_, "SELECT number FROM users WHERE user = ?1");
  look->bind_blob(1, user.value());
  if (!look->step()) return std::nullopt;
  return look->integer(0);
}

std::vector<IndexReader::Ranked> IndexReader::window(const std::string& expression,
                                                     std::size_t phrases,
                                                     const IndexPosition& position, bool& more) {
  Prepared look(connection_,
                "SELECT rowid, fit(words, ?1) FROM words WHERE words MATCH ?2"
                " AND rowid <= ?3 AND rowid >= ?4 ORDER BY rowid DESC LIMIT ?5");
  look->bind(1, static_cast<std::int64_t>(phrases)).bind_text(2, expression);
  look->bind(3, position.newest).bind(4, position.oldest);
  const auto most = position.oldest == 0 ? kWindow : kWindowMost;
  look->bind(5, static_cast<std::int64_t>(most) + 1);
  std::vector<Ranked> ranked;
  while (ranked.size() < most && look->step()) {
    auto id = look->integer(0);
    auto newness = recency(index_format::document_ms(id), position.as_of_ms);
    ranked.push_back({id, look->number(1) + newness});
  }
  // Known to be the whole window: what is older is behind it.
  more = position.oldest != 0 || (ranked.size() == most && look->step());
  return ranked;
}

std::optional<Candidate> IndexReader::load(const Ranked& ranked) {
  Prepared look(connection_, "SELECT conversation, message FROM documents WHERE id = ?1");
  look->bind(1, ranked.id);
  if (!look->step()) return std::nullopt;
  auto conversation = Uuid::from_bytes(look->bytes(0));
  auto message = Uuid::from_bytes(look->bytes(1));
  if (!conversation || !message) throw IndexDamaged("an id in the index is garbled");
  return Candidate{ConversationId(*conversation), MessageId(*message), ranked.score, ranked.id};
}

Candidates IndexReader::find(const UserId& user, const Query& query,
                             const std::optional<ConversationId>& conversation,
                             const IndexPosition& position, std::size_t limit,
                             std::chrono::steady_clock::time_point deadline) {
  Candidates candidates;
  connection_.set_deadline(deadline);
  auto number = user_number(user);
  if (!number) return candidates;
  auto expression = index_format::match_expression(query, *number, conversation);
  auto ranked = window(expression, query.phrases.size(), position, candidates.more_windows);
  candidates.oldest = position.oldest;
  if (!ranked.empty()) {
    candidates.newest = ranked.front().id;
    if (candidates.oldest == 0) candidates.oldest = ranked.back().id;
  }
  std::sort(ranked.begin(), ranked.end(), [](const Ranked& left, const Ranked& right) {
    return before(left.score, left.id, right.score, right.id);
  });
  for (const auto& one : ranked) {
    bool given = position.id != 0 && !before(position.score, position.id, one.score, one.id);
    if (given) continue;
    if (candidates.found.size() == limit) {
      candidates.more_in_window = true;
      break;
    }
    if (auto candidate = load(one)) candidates.found.push_back(*candidate);
  }
  return candidates;
}

}  // namespace colloquy::search
