// A wait that takes nobody's time.
#pragma once

#include <chrono>

#include "base/task.h"

namespace colloquy {

Task<> pause(std::chrono::milliseconds time);

}  // namespace colloquy
