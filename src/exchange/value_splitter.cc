#include "exchange/value_splitter.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace colloquy::exchange {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

// What is kept of a value that is too large.
constexpr std::size_t kBeginning = 256;

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
bool is_bare(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
         c == '+' || c == '.';
}

Error not_json(std::size_t line) {
  return {ErrorCode::kInvalid, "Line " + std::to_string(line) + " is not JSON."};
}

}  // namespace

std::optional<ValueSplitter::Value> ValueSplitter::next() {
  if (ready_.empty()) return std::nullopt;
  auto value = std::move(ready_.front());
  ready_.pop_front();
  return value;
}

void ValueSplitter::feed(std::string_view piece) {
  for (char c : piece) {
    if (bare_ && !is_bare(c)) finish();
    if (depth_ == 0 && !bare_) {
      between(c);
    } else {
      inside(c);
    }
    if (c == '\n') ++line_;
  }
}

void ValueSplitter::between(char c) {
  if (is_space(c)) return;
  bool may_be_mark = !any_ && !in_array_ && byte_order_mark_ < kByteOrderMark.size();
  if (may_be_mark && c == kByteOrderMark[byte_order_mark_]) {
    ++byte_order_mark_;
  } else if (in_array_ && !array_ended_) {
    between_elements(c);
  } else if (c == '[' && !any_ && !in_array_) {
    in_array_ = true;
  } else if (c == '{' && !array_ended_) {
    begin(c);
  } else {
    throw not_json(line_);
  }
}

void ValueSplitter::between_elements(char c) {
  bool may_begin = !any_ || after_comma_;
  if (c == ',' && any_) {
    after_comma_ = true;
  } else if (c == ']') {
    array_ended_ = true;
  } else if (may_begin && (c == '{' || c == '[' || c == '"' || is_bare(c))) {
    begin(c);
  } else {
    throw not_json(line_);
  }
}

void ValueSplitter::begin(char c) {
  any_ = true;
  after_comma_ = false;
  current_ = {};
  current_.line = line_;
  values_ = 1;
  in_string_ = c == '"';
  bare_ = is_bare(c);
  depth_ = bare_ ? 0 : 1;
  keep(c);
}

void ValueSplitter::keep(char c) {
  bool fits = current_.text.size() < limits_.bytes && values_ <= limits_.values;
  if (!fits && !current_.too_large) {
    current_.too_large = true;
    current_.text.resize(std::min(current_.text.size(), kBeginning));
    current_.text.shrink_to_fit();
  }
  if (!current_.too_large) current_.text.push_back(c);
}

void ValueSplitter::finish() {
  depth_ = 0;
  in_string_ = false;
  escaped_ = false;
  bare_ = false;
  ready_.push_back(std::exchange(current_, {}));
}

void ValueSplitter::in_string(char c) {
  if (c == '\n' && !in_array_) {
    finish();  // no string may have one
  } else if (escaped_) {
    escaped_ = false;
  } else if (c == '\\') {
    escaped_ = true;
  } else if (c == '"') {
    in_string_ = false;
    if (current_.text.front() == '"') finish();
  }
}

void ValueSplitter::inside(char c) {
  keep(c);
  if (bare_) return;
  if (in_string_) {
    in_string(c);
    return;
  }
  if (c == '"') in_string_ = true;
  if (c == '{' || c == '[') ++depth_;
  if (c == '{' || c == '[' || c == ',') ++values_;
  if (c == '}' || c == ']') --depth_;
  if (depth_ == 0) finish();
}

}  // namespace colloquy::exchange
