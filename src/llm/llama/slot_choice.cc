#include "llm/llama/slot_choice.h"

#include <algorithm>

namespace colloquy::llm {

std::size_t common_prefix(const std::vector<Token>& one, const std::vector<Token>& other) {
  const auto size = static_cast<std::ptrdiff_t>(std::min(one.size(), other.size()));
  const auto end = std::mismatch(one.begin(), one.begin() + size, other.begin()).first;
  return static_cast<std::size_t>(end - one.begin());
}

std::optional<std::size_t> choose_slot(const std::vector<SlotView>& slots,
                                       const std::vector<Token>& prompt) {
  std::optional<std::size_t> best;
  std::optional<std::size_t> oldest;
  std::size_t longest = 0;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const auto& slot = slots[i];
    if (slot.busy) continue;
    if (!oldest || slot.used_at < slots[*oldest].used_at) oldest = i;
    const auto common = common_prefix(*slot.tokens, prompt);
    if (common > longest && 2 * common >= slot.tokens->size()) {
      best = i;
      longest = common;
    }
  }
  return best ? best : oldest;
}

}  // namespace colloquy::llm
