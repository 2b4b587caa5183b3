#include "llm/llama/slot_choice.h"

#include <algorithm>
#include <utility>

namespace colloquy::llm {
namespace {

bool remembers_conversation(const SlotView& slot) {
  return !slot.background && !slot.tokens->empty();
}

std::optional<std::size_t> least_missed(const std::vector<SlotView>& slots) {
  std::optional<std::size_t> least;
  auto rank = [&](std::size_t i) {
    return std::pair(remembers_conversation(slots[i]), slots[i].used_at);
  };
  for (std::size_t i = 0; i < slots.size(); ++i) {
    if (slots[i].busy) continue;
    if (!least || rank(i) < rank(*least)) least = i;
  }
  return least;
}

}  // namespace

std::size_t common_prefix(const std::vector<Token>& one, const std::vector<Token>& other) {
  const auto size = static_cast<std::ptrdiff_t>(std::min(one.size(), other.size()));
  const auto end = std::mismatch(one.begin(), one.begin() + size, other.begin()).first;
  return static_cast<std::size_t>(end - one.begin());
}

std::optional<std::size_t> choose_slot(const std::vector<SlotView>& slots,
                                       const std::vector<Token>& prompt) {
  std::optional<std::size_t> best;
  std::size_t longest = 0;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const auto& slot = slots[i];
    if (slot.busy) continue;
    const auto common = common_prefix(*slot.tokens, prompt);
    if (common > longest && 2 * common >= slot.tokens->size()) {
      best = i;
      longest = common;
    }
  }
  return best ? best : least_missed(slots);
}

std::optional<std::size_t> choose_background_slot(const std::vector<SlotView>& slots) {
  std::optional<std::size_t> latest;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const auto& slot = slots[i];
    if (slot.busy || !slot.background) continue;
    if (!latest || slot.used_at > slots[*latest].used_at) latest = i;
  }
  return latest ? latest : least_missed(slots);
}

}  // namespace colloquy::llm
