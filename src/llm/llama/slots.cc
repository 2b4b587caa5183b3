#include "llm/llama/slots.h"

#include <llama.h>

#include <algorithm>
#include <utility>

#include "llm/llama/slot_choice.h"

namespace colloquy::llm {

Slots::Slots(llama_context* context, std::size_t count) : context_(context), slots_(count) {
  for (std::size_t i = 0; i < count; ++i) slots_[i].id = static_cast<std::int32_t>(i);
}

std::size_t Slots::busy() const {
  return static_cast<std::size_t>(std::count_if(
      slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.job != nullptr; }));
}

bool Slots::any_idle() const { return busy() < slots_.size(); }

std::size_t Slots::place(std::shared_ptr<CompletionJob> job, std::vector<Token> prompt,
                         Sampler sampler, std::size_t made_max) {
  std::vector<SlotView> views;
  for (const auto& slot : slots_)
    views.push_back({slot.job != nullptr, &slot.tokens, slot.used_at, slot.background});
  const bool background = job->request().background;
  const auto chosen = background ? choose_background_slot(views) : choose_slot(views, prompt);
  auto& slot = slots_.at(chosen.value());
  // The last token is always read again: the first of the answer follows from its reading.
  auto kept = std::min(common_prefix(slot.tokens, prompt), prompt.size() - 1);
  auto* memory = llama_get_memory(context_);
  // A memory that is no list of tokens (a recurrent model's) cannot go back.
  if (kept < slot.tokens.size() &&
      !llama_memory_seq_rm(memory, slot.id, static_cast<std::int32_t>(kept), -1)) {
    llama_memory_seq_rm(memory, slot.id, -1, -1);
    kept = 0;
  }
  slot.tokens.resize(kept);
  slot.job = std::move(job);
  slot.prompt = std::move(prompt);
  slot.sampler = std::move(sampler);
  slot.next.reset();
  slot.made = 0;
  slot.made_max = made_max;
  slot.used_at = ++uses_;
  slot.background = background;
  return kept;
}

void Slots::release(Slot& slot) {
  slot.job.reset();
  slot.prompt.clear();
  slot.next.reset();
  slot.sampler.reset();
}

void Slots::forget() {
  llama_memory_clear(llama_get_memory(context_), false);
  for (auto& slot : slots_) slot.tokens.clear();
}

}  // namespace colloquy::llm
