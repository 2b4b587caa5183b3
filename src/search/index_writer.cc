#include "search/index_writer.h"

#include "base/limits.h"
#include "base/parse_number.h"
#include "base/text.h"
#include "search/index_format.h"
#include "search/tokenizer.h"

namespace colloquy::search {
namespace {

// Of a longer text the beginning is found.
constexpr std::size_t kIndexedBytes = limits::kMiB;
constexpr std::size_t kRemovedBytes = 4 * limits::kMiB;
constexpr std::size_t kDocumentBytes = 512;  // so that small ones count too
constexpr std::size_t kUserNumbersKept = 10'000;
constexpr int kTriesInAMillisecond = 64;

constexpr const char* kSchema[] = {
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID",
    "CREATE TABLE users(number INTEGER PRIMARY KEY AUTOINCREMENT, user BLOB NOT NULL UNIQUE)",
    R"(CREATE TABLE documents(id INTEGER PRIMARY KEY, conversation BLOB NOT NULL,
       message BLOB NOT NULL, user INTEGER NOT NULL, tokens BLOB NOT NULL,
       pending INTEGER NOT NULL))",
    "CREATE UNIQUE INDEX documents_by_message ON documents(conversation, message)",
    "CREATE INDEX documents_by_user ON documents(user)",
    "CREATE INDEX documents_pending ON documents(id) WHERE pending = 1",
    "CREATE VIRTUAL TABLE words USING fts5(text, content='', tokenize='ascii')",
    // More of the newest words in memory, so that fewer small pieces are merged.
    "INSERT INTO words(words, rank) VALUES('hashsize', 8388608)",
};

std::uint64_t number_of(const std::string& text) {
  auto number = parse_number<std::uint64_t>(text);
  if (!number) throw IndexDamaged("the index's own record is garbled");
  return *number;
}

Uuid uuid_of(std::string_view bytes) {
  auto uuid = Uuid::from_bytes(bytes);
  if (!uuid) throw IndexDamaged("an id in the index is garbled");
  return *uuid;
}

}  // namespace

std::string find_damage(const std::string& path, const std::atomic<bool>& cancelled) {
  try {
    Connection connection(path, Connection::Mode::kWrite);
    connection.set_cancelled(cancelled);
    check_schema(connection);
    // Every page passes by its checksum.
    Statement look(connection.get(), "PRAGMA quick_check(1)");
    while (look.step()) {
      if (look.bytes(0) != "ok") return std::string(look.bytes(0));
    }
    connection.run("INSERT INTO words(words) VALUES('integrity-check')");
  } catch (const IndexDamaged& damage) {
    return damage.what();
  }
  return {};
}

std::string tokens_of(std::string_view text) {
  std::string out;
  for (const auto& token : tokenize(cut_utf8(text, kIndexedBytes))) {
    if (!out.empty()) out.push_back(' ');
    out.append(token.text);
  }
  return out;
}

IndexWriter::IndexWriter(const std::string& path)
    : path_(path), connection_(path, Connection::Mode::kWrite) {
  check_schema(connection_);
  prepare();
  if (number_of(read_meta("version")) != index_format::kVersion) {
    throw IndexDamaged("the index is of another version");
  }
  state_.sequence = uuid_of(read_meta("sequence"));
  state_.fed = number_of(read_meta("fed"));
  state_.whole = read_meta("whole") == "1";
  state_.position = read_meta("position");
  state_.documents = static_cast<std::int64_t>(number_of(read_meta("documents")));
}

IndexWriter::IndexWriter(const std::string& path, const IndexState& fresh)
    : path_(path), connection_(path, Connection::Mode::kCreate), state_(fresh) {
  prepare();
  begin();
  for (const auto* sql : kSchema) connection_.run(sql);
  write_meta("version", std::to_string(index_format::kVersion));
  commit();
}

void IndexWriter::prepare() {
  connection_.run("PRAGMA page_size = 4096");  // kPageBytes, whatever SQLite was built with
  connection_.run("PRAGMA journal_mode = WAL");
  // What is fed is forgotten by the store only after a commit that a loss of power does not undo.
  connection_.run("PRAGMA synchronous = FULL");
  connection_.run("PRAGMA secure_delete = ON");  // nothing of deleted texts stays in free pages
  connection_.run("PRAGMA cache_size = -16384");
  connection_.run("PRAGMA wal_autocheckpoint = 4000");
  connection_.run("PRAGMA journal_size_limit = 16777216");
}

void IndexWriter::begin() {
  if (in_transaction_) return;
  connection_.run("BEGIN IMMEDIATE");
  in_transaction_ = true;
}

void IndexWriter::commit() {
  begin();
  write_state();
  connection_.run("COMMIT");
  in_transaction_ = false;
  uncommitted_bytes_ = 0;
}

void IndexWriter::roll_back() {
  if (!in_transaction_) return;
  in_transaction_ = false;
  uncommitted_bytes_ = 0;
  user_numbers_.clear();
  // A commit that failed may have ended it already.
  if (sqlite3_get_autocommit(connection_.get()) == 0) connection_.run("ROLLBACK");
  state_.sequence = uuid_of(read_meta("sequence"));
  state_.fed = number_of(read_meta("fed"));
  state_.whole = read_meta("whole") == "1";
  state_.position = read_meta("position");
  state_.documents = static_cast<std::int64_t>(number_of(read_meta("documents")));
}

std::string IndexWriter::read_meta(const char* key) {
  Prepared look(connection_, "SELECT value FROM meta WHERE key = ?1");
  look->bind_text(1, key);
  if (!look->step()) throw IndexDamaged("the index's own record is missing");
  return std::string(look->bytes(0));
}

void IndexWriter::write_meta(const char* key, std::string_view value) {
  Prepared write(connection_, "INSERT OR REPLACE INTO meta(key, value) VALUES(?1, ?2)");
  write->bind_text(1, key).bind_blob(2, value).run();
}

void IndexWriter::write_state() {
  write_meta("sequence", state_.sequence.raw());
  write_meta("fed", std::to_string(state_.fed));
  write_meta("whole", state_.whole ? "1" : "0");
  write_meta("position", state_.position);
  write_meta("documents", std::to_string(state_.documents));
}

void IndexWriter::forget(const UserId& user) {
  begin();
  user_numbers_.erase(user);
  Prepared change(connection_, "UPDATE users SET user = randomblob(24) WHERE user = ?1");
  change->bind_blob(1, user.value()).run();
}

std::int64_t IndexWriter::user_number(const UserId& user) {
  auto known = user_numbers_.find(user);
  if (known != user_numbers_.end()) return known->second;
  if (user_numbers_.size() >= kUserNumbersKept) user_numbers_.clear();
  Prepared look(connection_, "SELECT number FROM users WHERE user = ?1");
  look->bind_blob(1, user.value());
  if (look->step()) return user_numbers_[user] = look->integer(0);
  Prepared add(connection_, "INSERT INTO users(user) VALUES(?1)");
  add->bind_blob(1, user.value()).run();
  return user_numbers_[user] = sqlite3_last_insert_rowid(connection_.get());
}

std::optional<IndexWriter::Stored> IndexWriter::find(const ConversationId& conversation,
                                                     const MessageId& message) {
  Prepared look(connection_,
                "SELECT id, user, tokens, pending FROM documents"
                " WHERE conversation = ?1 AND message = ?2");
  look->bind_blob(1, conversation.raw()).bind_blob(2, message.raw());
  if (!look->step()) return std::nullopt;
  return Stored{look->integer(0), look->integer(1), std::string(look->bytes(2)),
                look->integer(3) != 0};
}

void IndexWriter::change_words(const char* sql, const Stored& stored,
                               const ConversationId& conversation) {
  auto words = index_format::words_of(stored.tokens, stored.user, conversation);
  Prepared change(connection_, sql);
  change->bind(1, stored.id).bind_text(2, words).run();
}

void IndexWriter::erase(const Stored& stored, const ConversationId& conversation) {
  if (!stored.tokens.empty()) {
    change_words("INSERT INTO words(words, rowid, text) VALUES('delete', ?1, ?2)", stored,
                 conversation);
  }
  Prepared forget(connection_, "DELETE FROM documents WHERE id = ?1");
  forget->bind(1, stored.id).run();
  --state_.documents;
  uncommitted_bytes_ += stored.tokens.size() + kDocumentBytes;
}

std::int64_t IndexWriter::free_id(const DocumentKey& key) {
  using index_format::document_id;
  bool title = key.message == MessageId();
  auto time_ms = (title ? key.conversation.uuid() : key.message.uuid()).unix_ms();
  auto id = document_id(time_ms, index_format::document_tie(key.conversation, key.message));
  time_ms = index_format::document_ms(id);
  const int step = document_id(time_ms + 1, 0) > id ? 1 : -1;  // back from the last there is
  Prepared look(connection_, "SELECT 1 FROM documents WHERE id = ?1");
  // The ids of messages that are imported are the user's choice: whoever has them all in one place
  // must not make each look through the others. So the next is by chance.
  for (int tries = 1; look->reset().bind(1, id).step(); ++tries) {
    if (tries % kTriesInAMillisecond == 0) time_ms += step;
    id = document_id(time_ms, chance_());
  }
  return id;
}

void IndexWriter::store(const DocumentKey& key, std::string tokens, bool pending) {
  begin();
  auto before = find(key.conversation, key.message);
  if (before) {
    if (before->tokens == tokens && before->pending == pending) return;
    erase(*before, key.conversation);
  }
  if (tokens.empty() && !pending) {
    if (before) forget_idle_user(before->user);
    return;
  }
  Stored fresh{before ? before->id : free_id(key), user_number(key.user), std::move(tokens),
               pending};
  Prepared add(connection_,
               "INSERT INTO documents(id, conversation, message, user, tokens, pending)"
               " VALUES(?1, ?2, ?3, ?4, ?5, ?6)");
  add->bind(1, fresh.id).bind_blob(2, key.conversation.raw()).bind_blob(3, key.message.raw());
  add->bind(4, fresh.user).bind_blob(5, fresh.tokens).bind(6, pending ? 1 : 0).run();
  ++state_.documents;
  uncommitted_bytes_ += fresh.tokens.size() + kDocumentBytes;
  if (!fresh.tokens.empty()) {
    change_words("INSERT INTO words(rowid, text) VALUES(?1, ?2)", fresh, key.conversation);
  }
}

void IndexWriter::put(const DocumentKey& key, std::string_view text) {
  store(key, tokens_of(text), false);
}

void IndexWriter::put_pending(const DocumentKey& key) { store(key, {}, true); }

void IndexWriter::remove(const ConversationId& conversation, const MessageId& message) {
  begin();
  auto stored = find(conversation, message);
  if (!stored) return;
  erase(*stored, conversation);
  forget_idle_user(stored->user);
}

std::optional<IndexWriter::Stored> IndexWriter::first_of(const ConversationId& conversation) {
  Prepared look(connection_,
                "SELECT id, user, tokens FROM documents WHERE conversation = ?1 LIMIT 1");
  look->bind_blob(1, conversation.raw());
  if (!look->step()) return std::nullopt;
  return Stored{look->integer(0), look->integer(1), std::string(look->bytes(2)), false};
}

bool IndexWriter::remove_some(const ConversationId& conversation) {
  begin();
  // One at a time: each may be a megabyte, and twice that as words.
  std::size_t bytes = 0;
  while (bytes < kRemovedBytes) {
    auto stored = first_of(conversation);
    if (!stored) return false;
    bytes += stored->tokens.size() + kDocumentBytes;
    erase(*stored, conversation);
    forget_idle_user(stored->user);
  }
  return true;
}

void IndexWriter::forget_idle_user(std::int64_t number) {
  Prepared look(connection_, "SELECT 1 FROM documents WHERE user = ?1 LIMIT 1");
  if (look->bind(1, number).step()) return;
  Prepared forget(connection_, "DELETE FROM users WHERE number = ?1");
  forget->bind(1, number).run();
  std::erase_if(user_numbers_, [number](const auto& known) { return known.second == number; });
}

std::vector<DocumentKey> IndexWriter::pending() {
  std::vector<DocumentKey> found;
  Prepared look(connection_,
                "SELECT u.user, d.conversation, d.message FROM documents d"
                " JOIN users u ON u.number = d.user WHERE d.pending = 1");
  while (look->step()) {
    found.push_back({UserId(std::string(look->bytes(0))), ConversationId(uuid_of(look->bytes(1))),
                     MessageId(uuid_of(look->bytes(2)))});
  }
  return found;
}

}  // namespace colloquy::search
