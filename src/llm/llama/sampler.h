// How the next token is chosen, as a request asks for it.
#pragma once

#include <memory>

#include "llm/llama/model_file.h"
#include "llm/provider.h"

struct llama_sampler;

namespace colloquy::llm {

struct FreeSampler {
  void operator()(llama_sampler* sampler) const;
};
using Sampler = std::unique_ptr<llama_sampler, FreeSampler>;

// Temperature 0 takes the likeliest token, and nothing else matters. What the request leaves open
// is as the model's file recommends, else as llama.cpp does it: temperature 0.8, top_k 40, top_p
// 0.95. Without a seed each answer has its own.
Sampler make_sampler(const ModelFile& model, const SamplingOptions& options);

}  // namespace colloquy::llm
