// States what must hold for every input: a false one ends the fuzzer with a report.
#pragma once

#include <cstdio>
#include <cstdlib>

#define COLLOQUY_CHECK(condition)                                                  \
  do {                                                                             \
    if (!(condition)) {                                                            \
      std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                \
    }                                                                              \
  } while (false)
