// A ZIP archive that is imported: what it has of conversations is handed on, and its files become
// the user's. Which is which the names say: `export.jsonl` and `conversations.json` (or, where
// ChatGPT has cut it, `conversations-000.json` and so on) are conversations, what is in `files/` is
// files, and all else is passed over.
//
// For one coroutine. A file comes whole or not at all, by the same way as one that is PUT; one that
// is there is never written over.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "api/services.h"
#include "base/task.h"
#include "base/thread_pool.h"
#include "exchange/zip_reader.h"

namespace colloquy::api {

class ArchiveImport {
 public:
  struct Step {
    enum class Kind : std::uint8_t {
      kMore,   // feed it
      kBegin,  // of a text of conversations
      kText,   // of it
      kEnd,    // of it
      kFile,   // a file has its result
      kPart,   // of a file was taken
      kDone,   // nothing more is read
    };
    Kind kind = Kind::kMore;
    std::string text;  // of kText; of kDone why the archive is not whole, if it is not
  };
  struct Sums {
    std::size_t imported = 0;
    std::size_t there = 0;
    std::size_t refused = 0;
  };

  // A line for each file is appended to `results`, which outlives this, as do the others.
  ArchiveImport(Services& services, ThreadPool& readers, UserId user, std::string& results);
  ~ArchiveImport();
  ArchiveImport(const ArchiveImport&) = delete;
  ArchiveImport& operator=(const ArchiveImport&) = delete;

  // The next bytes; none is the end.
  void feed(std::string_view piece);
  // Throws what the user's files throw that is no fault of the one file.
  Task<Step> step();
  // What was taken of a file that is not whole is given back.
  Task<> give_up();
  const Sums& files() const { return sums_; }
  // A file has begun, or a text of conversations of a format that is known has come to its end.
  bool any() const { return any_; }
  // The text that was begun last is of a format that is known, and has come to its end.
  void know_text() { any_ = true; }
  // It is of none, for this reason. Returns what to tell of it, which is also why the archive is
  // not whole where nothing else in it is known.
  std::string refuse_text(const std::string& reason);

 private:
  class File;

  bool is_of_file(const exchange::ZipReader::Part& part) const;
  Step take_of_text(exchange::ZipReader::Part& part);
  Task<Step> take_of_file(exchange::ZipReader::Part part);
  void add_result(const File& file);

  Services& services_;
  ThreadPool& readers_;
  const UserId user_;
  std::string& results_;
  std::shared_ptr<exchange::ZipReader> zip_;  // used on a thread of the readers meanwhile
  std::unique_ptr<File> file_;                // that is being taken
  std::uint64_t text_bytes_ = 0;              // of conversations, unpacked
  Sums sums_;
  std::string text_name_;     // of the one that was begun last
  std::string text_refusal_;  // of the first that is of no format that is known
  bool any_ = false;
  bool ended_ = false;
};

}  // namespace colloquy::api
