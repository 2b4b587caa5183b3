// What the tests of the model in the process share: the models that tests/llama/make_gguf.mjs has
// written, and completions on an event loop of their own.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <cstdlib>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "llm/provider.h"

namespace colloquy::llm {

inline std::string model_path(const std::string& name) {
  const char* folder = std::getenv("COLLOQUY_LLAMA_MODELS");  // NOLINT(concurrency-mt-unsafe)
  EXPECT_NE(folder, nullptr) << "COLLOQUY_LLAMA_MODELS names the folder of make_gguf.mjs";
  return std::string(folder == nullptr ? "." : folder) + "/" + name + ".gguf";
}

// One completion while it runs, and what came of it.
struct Asked {
  CompletionRequest request;
  Cancellation cancellation;
  std::vector<std::string> pieces;
  std::function<void()> on_piece;
  TextSink sink;
  std::future<CompletionResult> result;

  std::string text() const {
    std::string all;
    for (const auto& piece : pieces) all += piece;
    return all;
  }
};

inline CompletionRequest greedy(const std::string& prompt, int max_tokens) {
  CompletionRequest request;
  request.messages = {{Role::kUser, prompt}};
  request.sampling.temperature = 0;
  request.sampling.max_tokens = max_tokens;
  return request;
}

// Begins it on the loop, which the caller runs. Keep what is returned until the loop has ended.
inline std::unique_ptr<Asked> ask(boost::asio::io_context& loop, Provider& provider,
                                  CompletionRequest request) {
  auto asked = std::make_unique<Asked>();
  asked->request = std::move(request);
  asked->sink = [asked = asked.get()](std::string_view text) {
    asked->pieces.emplace_back(text);
    if (asked->on_piece) asked->on_piece();
  };
  asked->result = boost::asio::co_spawn(
      loop, provider.complete(asked->request, asked->sink, asked->cancellation),
      boost::asio::use_future);
  return asked;
}

}  // namespace colloquy::llm
