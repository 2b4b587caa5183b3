// Writes one file of the index (index_format.h). For the feeder's thread. What is put or removed
// takes effect with `commit`, durably. Putting the same again changes nothing, and a document that
// is not there is removed without a word. Errors as sqlite.h.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "search/sqlite.h"

namespace colloquy::search {

// How far an index is; stored with each commit.
struct IndexState {
  Uuid sequence;          // of the changes that it follows
  std::uint64_t fed = 0;  // all changes up to this number are in it
  bool whole = false;     // all that was there before it began is in it too
  std::string position;   // else: how far that is
  std::int64_t documents = 0;
};

// Of a message, or with a nil id of its conversation's title.
struct DocumentKey {
  UserId user;
  ConversationId conversation;
  MessageId message;
};

class IndexWriter {
 public:
  // Opens a file, or makes one whose state is `fresh`. IndexDamaged where it is of another version.
  explicit IndexWriter(const std::string& path);
  IndexWriter(const std::string& path, const IndexState& fresh);

  const std::string& path() const { return path_; }
  IndexState& state() { return state_; }
  const IndexState& state() const { return state_; }
  bool moved() const { return connection_.moved(); }

  void put(const DocumentKey& key, std::string_view text);
  // An answer that is still being made: to be looked at again.
  void put_pending(const DocumentKey& key);
  void remove(const ConversationId& conversation, const MessageId& message);
  // Removes some of a conversation's documents, some megabytes of them at most; false when none is
  // left.
  bool remove_some(const ConversationId& conversation);
  std::vector<DocumentKey> pending();
  // Takes the user's id out. Their number, which their words have in front, is never given again.
  void forget(const UserId& user);

  // About so much text was put or removed since the last commit.
  std::size_t uncommitted_bytes() const { return uncommitted_bytes_; }
  void commit();
  // Forgets what was not committed.
  void roll_back();

 private:
  struct Stored {
    std::int64_t id = 0;
    std::int64_t user = 0;
    std::string tokens;
    bool pending = false;
  };
  void prepare();
  // The next document of a conversation; nullopt: none is left.
  std::optional<Stored> first_of(const ConversationId& conversation);
  // Removes the row of a user without documents.
  void forget_idle_user(std::int64_t number);
  void begin();
  std::optional<Stored> find(const ConversationId& conversation, const MessageId& message);
  void store(const DocumentKey& key, std::string tokens, bool pending);
  void erase(const Stored& stored, const ConversationId& conversation);
  void change_words(const char* sql, const Stored& stored, const ConversationId& conversation);
  std::int64_t free_id(const DocumentKey& key);
  std::int64_t user_number(const UserId& user);
  void write_state();
  std::string read_meta(const char* key);
  void write_meta(const char* key, std::string_view value);

  const std::string path_;
  Connection connection_;
  IndexState state_;
  bool in_transaction_ = false;
  std::size_t uncommitted_bytes_ = 0;
  std::map<UserId, std::int64_t> user_numbers_;  // some of them
  std::mt19937_64 chance_{std::random_device()()};
};

// Reads a whole file: what is wrong with it, or nothing. Takes long; ends with kUnavailable once
// `cancelled`.
std::string find_damage(const std::string& path, const std::atomic<bool>& cancelled);

// The tokens of a text, parted by spaces.
std::string tokens_of(std::string_view text);

}  // namespace colloquy::search
