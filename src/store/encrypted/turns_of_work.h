// Says when who seals or opens many texts on an event loop has to let others have their turn: AES
// and base64 of half a mebibyte take about a millisecond.
#pragma once

#include <cstddef>

#include "base/limits.h"
#include "store/types.h"

namespace colloquy::store {

class TurnsOfWork {
 public:
  // Before the next message: others come first.
  bool over(const Message& next) {
    bool is_over = bytes_ > 0 && bytes_ + next.content.size() > kBytes;
    if (is_over) bytes_ = 0;
    bytes_ += next.content.size() + kMessageBytes;
    return is_over;
  }

 private:
  static constexpr std::size_t kBytes = 512 * limits::kKiB;
  static constexpr std::size_t kMessageBytes = 256;  // its other texts, and what begins with each
  std::size_t bytes_ = 0;
};

}  // namespace colloquy::store
