// Which place in the model's memory a prompt gets, so that conversations find their history there.
// Pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "llm/llama/model_file.h"

namespace colloquy::llm {

// A place as the choice sees it.
struct SlotView {
  bool busy = false;
  const std::vector<Token>* tokens = nullptr;  // what the model remembers there
  std::uint64_t used_at = 0;                   // greater: later
  bool background = false;                     // that is of background work
};

std::size_t common_prefix(const std::vector<Token>& one, const std::vector<Token>& other);

// For a turn, of the places that are not busy: the one with the longest common beginning, if that
// is at least half of what the place holds (it is the same conversation, or a branch of it); else
// one that remembers no conversation; else the one that was used longest ago. nullopt: all are
// busy.
std::optional<std::size_t> choose_slot(const std::vector<SlotView>& slots,
                                       const std::vector<Token>& prompt);

// For background work: the place where such work was done last, so that it pushes out nothing but
// its own; else as for a turn that has no place of its own. nullopt: all are busy.
std::optional<std::size_t> choose_background_slot(const std::vector<SlotView>& slots);

}  // namespace colloquy::llm
