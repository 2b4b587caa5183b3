// Sets a completion to what a function returns or throws: the end of a job on a thread of a pool.
#pragma once

#include <exception>
#include <type_traits>
#include <utility>

#include "base/completion.h"

namespace colloquy {

template <class Result, class Function>
void complete_with(Completion<Result>& completion, Function&& function) {
  try {
    if constexpr (std::is_void_v<Result>) {
      std::forward<Function>(function)();
      completion.set_value_now();
    } else {
      completion.set_value_now(std::forward<Function>(function)());
    }
  } catch (...) {
    completion.set_error_now(std::current_exception());
  }
}

}  // namespace colloquy
