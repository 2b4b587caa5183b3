// What every program of this folder does around its work: reads its flags, runs,
// and says what went wrong.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <exception>
#include <iostream>

namespace colloquy::bench {

// `work` prints its figures on standard output, `name=value` each, and may throw.
template <class Work>
int run_program(CLI::App& flags, int argc, char** argv, Work work) {
  try {
    flags.parse(argc, argv);
    work();
    return EXIT_SUCCESS;
  } catch (const CLI::ParseError& error) {
    return flags.exit(error);
  } catch (const std::exception& error) {
    std::cerr << flags.get_name() << ": " << error.what() << "\n";
    return EXIT_FAILURE;
  }
}

}  // namespace colloquy::bench
