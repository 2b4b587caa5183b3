// For tests that fail, or kill, at every call, one after the other: which call comes next.
//
// Every build tries all of them but those for the sanitizers, where each try takes several times as
// long: these try two of five, never all of one kind.
#pragma once

#include <type_traits>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define COLLOQUY_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COLLOQUY_SANITIZED 1
#endif

namespace colloquy {

#ifdef COLLOQUY_SANITIZED
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

template <class Count>
constexpr Count next_call(Count call) {
  static_assert(std::is_unsigned_v<Count>);
  return kSanitized ? call + 1 + call % 5 : call + 1;
}

}  // namespace colloquy
