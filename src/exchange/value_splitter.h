// Cuts a text that comes in pieces into the JSON values that it is made of: objects one after the
// other (JSON Lines, or any white space between), or the elements of one array, whatever they are.
// Finds where each ends and nothing more: whether it is JSON the parser says. An object that is
// broken by the end of a line inside a string ends there. Holds no more than one of them. Not
// thread-safe.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

namespace colloquy::exchange {

class ValueSplitter {
 public:
  struct Value {
    std::string text;
    std::size_t line = 0;    // on which it begins, from 1
    bool too_large = false;  // then with the beginning of its text
  };
  struct Limits {
    std::size_t bytes = 0;   // of a value
    std::size_t values = 0;  // in it: each is many times its bytes in memory, once it is parsed
  };

  explicit ValueSplitter(Limits limits) : limits_(limits) {}

  // Throws Error(kInvalid), naming the line, where what stands between two values is not allowed.
  // What ended before it is still to be had.
  void feed(std::string_view piece);
  // The values that have come to their end, in order.
  std::optional<Value> next();
  // Whether the text may end here.
  bool at_end() const { return depth_ == 0 && !bare_ && !(in_array_ && !array_ended_); }
  bool any() const { return any_; }
  bool in_array() const { return in_array_; }
  std::size_t line() const { return line_; }

 private:
  void between(char c);
  void between_elements(char c);
  void begin(char c);
  void inside(char c);
  void in_string(char c);
  void keep(char c);
  void finish();

  const Limits limits_;
  std::deque<Value> ready_;
  Value current_;
  std::size_t line_ = 1;
  std::size_t depth_ = 0;
  std::size_t values_ = 0;           // in the current one
  std::size_t byte_order_mark_ = 0;  // how many of its bytes have been seen
  bool in_string_ = false;
  bool bare_ = false;  // in a number, true, false or null
  bool escaped_ = false;
  bool in_array_ = false;
  bool array_ended_ = false;
  bool after_comma_ = false;
  bool any_ = false;
};

}  // namespace colloquy::exchange
