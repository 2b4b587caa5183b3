// The contract of a language model: a list of messages in, text out, piece by piece.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/task.h"
#include "base/trace_context.h"

namespace colloquy::llm {

enum class Role : std::uint8_t { kSystem, kUser, kAssistant };

// As endpoints and chat templates know it; ends with a NUL.
constexpr std::string_view role_name(Role role) {
  switch (role) {
    case Role::kSystem:
      return "system";
    case Role::kUser:
      return "user";
    case Role::kAssistant:
      return "assistant";
  }
  return "user";
}

struct ChatMessage {
  Role role = Role::kUser;
  std::string content;
};

struct SamplingOptions {
  std::optional<int> max_tokens;      // at least 1
  std::optional<double> temperature;  // 0 to 2
  std::optional<double> top_p;        // above 0, to 1
  std::optional<int> top_k;           // at least 1
  std::optional<std::int64_t> seed;
  std::vector<std::string> stop;  // the answer ends before the first of these
};

struct CompletionRequest {
  std::string model;                  // one of models(); empty: the default
  std::vector<ChatMessage> messages;  // oldest first; the prompt is the last
  SamplingOptions sampling;
  std::string request_id;  // of the request that started the turn, for the log
  TraceContext trace;      // that it belongs to, and the turn's span
  // Nobody waits for it and nothing goes on from it: it should not push out what turns go on from.
  bool background = false;
};

enum class StopReason : std::uint8_t { kStop, kLength };

struct CompletionResult {
  StopReason stop_reason = StopReason::kStop;
  std::int64_t prompt_tokens = 0;
  std::int64_t completion_tokens = 0;
};

// Asks a running completion to stop. Belongs to one event loop: `request` and
// the provider's use of it happen on the executor of the turn.
class Cancellation {
 public:
  bool requested() const { return requested_; }
  // Runs the callback that the provider has set, if any. A second call does nothing.
  void request() {
    if (requested_) return;
    requested_ = true;
    if (callback_) callback_();
  }
  // Called by the provider: what ends its current wait. An empty function removes it.
  void on_request(std::function<void()> callback) { callback_ = std::move(callback); }

 private:
  bool requested_ = false;
  std::function<void()> callback_;
};

// Receives the answer. Called on the executor of the turn, and never blocks.
using TextSink = std::function<void(std::string_view text)>;

// How much of one text count_tokens() reads at most, where reading it takes its time.
inline constexpr std::size_t kCountedBytesMax = std::size_t{64} * 1024;

class Provider {
 public:
  virtual ~Provider() = default;

  // The models that a request may name, the default first. Never empty.
  virtual const std::vector<std::string>& models() const = 0;

  // How many tokens a text has by the tokenizer of one of models() (empty: the default), exactly
  // up to kCountedBytesMax, beyond perhaps from its beginning; nullopt: the provider has no
  // tokenizer. Callable from every event loop, which it holds up while it computes: for so many
  // bytes tens of milliseconds, of words without end hundreds. Who counts many texts has a budget
  // of bytes (chat/token_count.h).
  virtual std::optional<std::size_t> count_tokens(std::string_view model, std::string_view text) {
    static_cast<void>(model);
    static_cast<void>(text);
    return std::nullopt;
  }

  // Streams an answer into `sink`, in whole UTF-8 characters, and returns when it has ended.
  // Throws kThrottled, kUnavailable (out, slow, cut off or garbled), kInvalid (the model refused
  // the request); what was given to the sink before stays valid. When cancelled it returns soon,
  // with what it has said. `sink` and `cancellation` outlive the call.
  virtual Task<CompletionResult> complete(CompletionRequest request, const TextSink& sink,
                                          Cancellation& cancellation) = 0;
};

}  // namespace colloquy::llm
