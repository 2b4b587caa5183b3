// SQLite as the index uses it: a connection, a statement, and its errors.
//
// Errors become two here: IndexDamaged where the file is not what was written, or not there, so
// that it is to be made anew; and kUnavailable for all else, which says nothing of the file (a full
// disk, no memory, no descriptor, a search that was cut off). For one thread at a time.
#pragma once

#include <sqlite3.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace colloquy::search {

class IndexDamaged : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Statement {
 public:
  Statement(sqlite3* database, std::string_view sql);
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  // Parameters are numbered from 1. What is bound outlives the steps. Binding begins anew.
  Statement& reset();
  Statement& bind(int parameter, std::int64_t value);
  Statement& bind_text(int parameter, std::string_view text);
  Statement& bind_blob(int parameter, std::string_view bytes);

  // False after the last row.
  bool step();
  // Runs it to its end.
  void run();
  std::int64_t integer(int column) { return sqlite3_column_int64(statement_, column); }
  double number(int column) { return sqlite3_column_double(statement_, column); }
  // Until the next step.
  std::string_view bytes(int column);

 private:
  void check(int code);
  sqlite3* database_;
  sqlite3_stmt* statement_ = nullptr;
};

class Connection;

// A statement that its connection keeps prepared, until the end of the scope: then it is reset, so
// that it holds no state of the file open.
class Prepared {
 public:
  // `sql` is a literal.
  Prepared(Connection& connection, const char* sql);
  ~Prepared() { statement_.reset(); }
  Prepared(const Prepared&) = delete;
  Prepared& operator=(const Prepared&) = delete;
  Statement* operator->() { return &statement_; }

 private:
  Statement& statement_;
};

class Connection {
 public:
  enum class Mode : std::uint8_t { kRead, kWrite, kCreate };
  Connection(const std::string& path, Mode mode);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  sqlite3* get() const { return database_; }
  Statement& prepared(const char* sql);
  void run(std::string_view sql);
  // Statements end with kUnavailable once it has passed.
  void set_deadline(std::chrono::steady_clock::time_point deadline) { deadline_ = deadline; }
  // They end so too once it is set; it outlives the connection.
  void set_cancelled(const std::atomic<bool>& cancelled) { cancelled_ = &cancelled; }
  // Is the file not where it was any more?
  bool moved() const;

 private:
  static int to_be_ended(void* connection);
  sqlite3* database_ = nullptr;
  std::map<const char*, std::unique_ptr<Statement>> prepared_;
  std::chrono::steady_clock::time_point deadline_ = std::chrono::steady_clock::time_point::max();
  const std::atomic<bool>* cancelled_ = nullptr;
};

// IndexDamaged where the tables of the index are not there.
void check_schema(Connection& connection);

}  // namespace colloquy::search
