// Reads an export of Colloquy's (JSON Lines), of ChatGPT's (conversations.json) or of Open WebUI's,
// piece by piece, and says what it is by itself. Holds one conversation at a time. Not thread-safe.
#pragma once

#include <boost/json/value.hpp>
#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "exchange/formats.h"
#include "exchange/value_splitter.h"

namespace colloquy::exchange {

// A conversation, or why it is refused.
struct ImportItem {
  std::size_t line = 0;  // on which it begins
  std::string source_id;
  std::optional<Draft> draft;
  std::string refusal;  // where there is no draft
};

class ImportReader {
 public:
  using Item = ImportItem;

  explicit ImportReader(ImportLimits limits);

  // Take out what is ready before the next piece. Throws Error(kInvalid), naming the line, where
  // the text is no JSON or of no kind that is known: nothing can be read after that, but what was
  // whole before it is ready.
  void feed(std::string_view piece);
  // No more pieces. A conversation that is cut off is refused.
  void end();
  std::optional<Item> next();
  // What kind of file it is has been seen.
  bool known() const { return kind_ != Kind::kUnknown; }
  // After end(): why the file is not whole; empty where it is.
  const std::string& incomplete() const { return incomplete_; }

 private:
  enum class Kind { kUnknown, kColloquy, kForeign };
  void take(ValueSplitter::Value value);
  void take_line(const boost::json::object& line, std::size_t bytes);
  void take_element(const boost::json::value* value, std::size_t line, std::string problem);
  void begin_conversation(std::size_t line, std::string source_id);
  void refuse(std::string why);
  void finish_open(bool whole);

  const ImportLimits limits_;
  ValueSplitter splitter_;
  Kind kind_ = Kind::kUnknown;
  std::deque<Item> ready_;
  std::optional<Item> open_;  // of Colloquy's own, whose messages come
  std::size_t open_bytes_ = 0;
  bool ended_ = false;  // Colloquy's own last line has come
  std::string incomplete_;
};

}  // namespace colloquy::exchange
