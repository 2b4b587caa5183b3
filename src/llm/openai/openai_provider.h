// Any OpenAI-compatible upstream (OpenAI, vLLM, llama.cpp's server, Ollama): streams from
// POST {base_url}/chat/completions. Thread-safe: completions may run on many event loops.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "llm/provider.h"
#include "net/http_client.h"

namespace colloquy::llm {

enum class MaxTokensField : std::uint8_t { kMaxTokens, kMaxCompletionTokens };
enum class Roles : std::uint8_t { kAsTheyAre, kStrictlyAlternating };  // see request_body.h
// Whether stream_options.include_usage is sent. An upstream that refuses it is asked without from
// then on.
enum class UsageInStream : std::uint8_t { kAskedFor, kLeftOut };

struct OpenAiOptions {
  std::string base_url;                     // with its /v1; a slash at its end does not matter
  std::string api_key;                      // sent as a bearer token; empty: none is sent
  std::string model;                        // the default
  std::vector<std::string> allowed_models;  // that requests may name too
  Roles roles = Roles::kAsTheyAre;
  UsageInStream usage = UsageInStream::kAskedFor;
  MaxTokensField max_tokens_field = MaxTokensField::kMaxTokens;
  std::optional<int> max_tokens_default;  // for requests that say nothing; none: the upstream's
  std::chrono::milliseconds connect_timeout{5'000};
  std::chrono::milliseconds first_token_timeout{
      60'000};                                     // from the request to the first sign of life
  std::chrono::milliseconds idle_timeout{60'000};  // between two signs of life
  std::size_t content_bytes_max = std::size_t{1024} * 1024;  // a longer answer ends there (kLength)
};

class OpenAiProvider final : public Provider {
 public:
  // Throws Error(kInvalid) when base_url is no URL, model is empty or the key cannot be sent.
  OpenAiProvider(OpenAiOptions options, std::shared_ptr<net::HttpClient> client);
  ~OpenAiProvider() override;

  const std::vector<std::string>& models() const override { return models_; }
  // Token counts are the upstream's, or estimates (llm/token_estimate.h) where it gives none.
  Task<CompletionResult> complete(CompletionRequest request, const TextSink& sink,
                                  Cancellation& cancellation) override;

 private:
  class Call;
  net::HttpRequest http_request(const CompletionRequest& request, UsageInStream usage) const;

  const OpenAiOptions options_;
  const std::shared_ptr<net::HttpClient> client_;
  std::vector<std::string> models_;
  std::string url_;
  std::atomic<UsageInStream> usage_;
};

}  // namespace colloquy::llm
