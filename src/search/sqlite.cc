#include "search/sqlite.h"

#include <filesystem>
#include <system_error>

#include "base/error.h"
#include "search/checked_pages.h"

namespace colloquy::search {
namespace {

constexpr int kBusyMs = 2'000;
constexpr int kOperationsBetweenLooks = 2'000;

bool says_damage(int code) {
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
      return true;
    default:
      return code == SQLITE_IOERR_DATA || code == SQLITE_IOERR_SHORT_READ;
  }
}

[[noreturn]] void fail(int code, const std::string& words) {
  if (says_damage(code)) throw IndexDamaged(words);
  bool cut_off = (code & 0xff) == SQLITE_INTERRUPT;
  throw unavailable(cut_off ? "The search took too long." : "Search cannot answer right now.",
                    words)
      .with_retry_after(1);
}

std::string words_of(sqlite3* database, int code) {
  std::string words = sqlite3_errstr(code);
  if (database != nullptr) words.append(": ").append(sqlite3_errmsg(database));
  return words + " (" + std::to_string(code) + ")";
}

}  // namespace

Statement::Statement(sqlite3* database, std::string_view sql) : database_(database) {
  check(
      sqlite3_prepare_v2(database, sql.data(), static_cast<int>(sql.size()), &statement_, nullptr));
}

void Statement::check(int code) {
  if (code == SQLITE_OK) return;
  auto words = words_of(database_, code);
  sqlite3_reset(statement_);
  fail(code, words);
}

Statement& Statement::reset() {
  sqlite3_reset(statement_);  // tells the last step's error once more
  sqlite3_clear_bindings(statement_);
  return *this;
}

Statement& Statement::bind(int parameter, std::int64_t value) {
  check(sqlite3_bind_int64(statement_, parameter, value));
  return *this;
}

Statement& Statement::bind_text(int parameter, std::string_view text) {
  check(sqlite3_bind_text64(statement_, parameter, text.data(), text.size(), SQLITE_STATIC,
                            SQLITE_UTF8));
  return *this;
}

Statement& Statement::bind_blob(int parameter, std::string_view bytes) {
  check(sqlite3_bind_blob64(statement_, parameter, bytes.data(), bytes.size(), SQLITE_STATIC));
  return *this;
}

bool Statement::step() {
  auto code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) check(code);
  return false;
}

void Statement::run() {
  while (step()) {
  }
  sqlite3_reset(statement_);
}

std::string_view Statement::bytes(int column) {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(statement_, column));
  auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
  return data == nullptr ? std::string_view() : std::string_view(data, size);
}

Connection::Connection(const std::string& path, Mode mode) {
  int flags = SQLITE_OPEN_NOMUTEX;
  flags |= mode == Mode::kRead ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
  if (mode == Mode::kCreate) flags |= SQLITE_OPEN_CREATE;
  auto code = sqlite3_open_v2(path.c_str(), &database_, flags,
                              path == ":memory:" ? nullptr : checked_pages());
  if (code != SQLITE_OK) {
    auto words = words_of(database_, code) + " (" + path + ")";
    sqlite3_close(database_);
    std::error_code unknown;
    bool missing = !std::filesystem::exists(path, unknown) && !unknown;
    if (mode != Mode::kCreate && missing) throw IndexDamaged("the file is not there");
    fail(code, words);
  }
  sqlite3_extended_result_codes(database_, 1);
  if (mode == Mode::kCreate) reserve_checks(database_);
  sqlite3_busy_timeout(database_, kBusyMs);
  sqlite3_progress_handler(database_, kOperationsBetweenLooks, to_be_ended, this);
}

Connection::~Connection() {
  prepared_.clear();
  sqlite3_close_v2(database_);
}

Statement& Connection::prepared(const char* sql) {
  auto& statement = prepared_[sql];
  if (!statement) statement = std::make_unique<Statement>(database_, sql);
  return *statement;
}

Prepared::Prepared(Connection& connection, const char* sql)
    : statement_(connection.prepared(sql)) {}

int Connection::to_be_ended(void* connection) {
  const auto& self = *static_cast<Connection*>(connection);
  bool cancelled = self.cancelled_ != nullptr && self.cancelled_->load(std::memory_order_relaxed);
  return cancelled || std::chrono::steady_clock::now() >= self.deadline_ ? 1 : 0;
}

void Connection::run(std::string_view sql) { Statement(database_, sql).run(); }

bool Connection::moved() const {
  int moved = 0;
  auto code = sqlite3_file_control(database_, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
  return code == SQLITE_OK && moved != 0;
}

void check_schema(Connection& connection) {
  Statement look(connection.get(),
                 "SELECT count(*) FROM sqlite_schema WHERE type = 'table'"
                 " AND name IN ('meta', 'users', 'documents', 'words')");
  if (!look.step() || look.integer(0) != 4) throw IndexDamaged("its tables are not there");
}

}  // namespace colloquy::search
