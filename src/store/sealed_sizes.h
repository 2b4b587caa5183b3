// How much longer texts are where they are kept sealed (store/encrypted): what bounds the bytes of
// texts must then allow for it. Pure.
#pragma once

#include <cstddef>

#include "store/types.h"

namespace colloquy::store {

// Of one text, beside the third that base64 adds.
inline constexpr std::size_t kSealedBytes = 96;

// At least as many bytes as so many texts of so many bytes have once they are sealed.
constexpr std::size_t sealed_bytes(std::size_t bytes, std::size_t texts) {
  return bytes + bytes / 3 + texts * kSealedBytes;
}

// So much of what is sealed that the range of what it was is within it.
inline RecentRange sealed_range(RecentRange range) {
  range.content_bytes = sealed_bytes(range.content_bytes, range.messages + 1);
  return range;
}

}  // namespace colloquy::store
