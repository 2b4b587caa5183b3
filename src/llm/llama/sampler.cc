#include "llm/llama/sampler.h"

#include <llama.h>

#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstdlib>

namespace colloquy::llm {
namespace {

constexpr double kTemperature = 0.8;
constexpr double kTopP = 0.95;
constexpr double kTopK = 40;

double recommended(const ModelFile& model, llama_model_meta_key key, double otherwise) {
  char text[64];
  const char* name = llama_model_meta_key_str(key);
  if (name == nullptr || llama_model_meta_val_str(model.get(), name, text, sizeof text) < 0) {
    return otherwise;
  }
  char* end = nullptr;
  const double value = std::strtod(text, &end);
  return end == text || !std::isfinite(value) ? otherwise : value;
}

std::uint32_t seed_of(std::optional<std::int64_t> seed) {
  if (!seed) return LLAMA_DEFAULT_SEED;  // llama.cpp draws one then
  const auto bits = static_cast<std::uint64_t>(*seed);
  const auto folded = static_cast<std::uint32_t>(bits ^ (bits >> 32U));
  return folded == LLAMA_DEFAULT_SEED ? folded - 1 : folded;
}

}  // namespace

void FreeSampler::operator()(llama_sampler* sampler) const { llama_sampler_free(sampler); }

Sampler make_sampler(const ModelFile& model, const SamplingOptions& options) {
  Sampler chain(llama_sampler_chain_init(llama_sampler_chain_default_params()));
  const double temperature = options.temperature.value_or(
      recommended(model, LLAMA_MODEL_META_KEY_SAMPLING_TEMP, kTemperature));
  if (temperature <= 0) {
    llama_sampler_chain_add(chain.get(), llama_sampler_init_greedy());
    return chain;
  }
  const double top_k = options.top_k
                           ? *options.top_k
                           : recommended(model, LLAMA_MODEL_META_KEY_SAMPLING_TOP_K, kTopK);
  const double top_p =
      options.top_p.value_or(recommended(model, LLAMA_MODEL_META_KEY_SAMPLING_TOP_P, kTopP));
  if (top_k >= 1 && top_k < INT32_MAX) {
    llama_sampler_chain_add(chain.get(), llama_sampler_init_top_k(static_cast<int>(top_k)));
  }
  llama_sampler_chain_add(chain.get(), llama_sampler_init_top_p(static_cast<float>(top_p), 1));
  llama_sampler_chain_add(chain.get(), llama_sampler_init_temp(static_cast<float>(temperature)));
  llama_sampler_chain_add(chain.get(), llama_sampler_init_dist(seed_of(options.seed)));
  return chain;
}

}  // namespace colloquy::llm
