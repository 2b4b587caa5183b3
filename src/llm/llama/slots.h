// The places in the model's memory (its KV cache), one for each answer that is being made. A place
// remembers the tokens that were read and made there, and the next prompt with the same beginning
// goes on from there.
//
// Used by the model's thread alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "llm/llama/completion_job.h"
#include "llm/llama/model_file.h"
#include "llm/llama/sampler.h"

struct llama_context;

namespace colloquy::llm {

struct Slot {
  std::int32_t id = 0;                 // the sequence in the model's memory
  std::shared_ptr<CompletionJob> job;  // null: not busy
  std::vector<Token> tokens;           // what the memory holds, by position
  std::vector<Token> prompt;           // of the job
  std::optional<Token> next;           // sampled, and not in the memory yet
  Sampler sampler;
  std::size_t made = 0;  // tokens of the answer
  std::size_t made_max = 0;
  std::uint64_t used_at = 0;
  bool background = false;   // its last job was
  std::int32_t output = -1;  // where in the running batch its logits are; -1: nowhere

  bool reading() const { return job && tokens.size() < prompt.size(); }
  bool making() const { return job && next.has_value(); }
};

class Slots {
 public:
  // `context` outlives it.
  Slots(llama_context* context, std::size_t count);

  bool any_idle() const;
  std::size_t busy() const;
  std::vector<Slot>& all() { return slots_; }

  // Puts a job in a place that is idle (there must be one), and returns how many tokens of its
  // prompt, which is not empty, need not be read again. At least one is to be read.
  std::size_t place(std::shared_ptr<CompletionJob> job, std::vector<Token> prompt, Sampler sampler,
                    std::size_t made_max);
  // The job has ended; what was read stays.
  static void release(Slot& slot);
  // Forgets everything; no place may be busy.
  void forget();

 private:
  llama_context* context_;
  std::vector<Slot> slots_;
  std::uint64_t uses_ = 0;
};

}  // namespace colloquy::llm
