// Reads the body of an upstream's answer, in pieces of any size: server-sent events, or one JSON
// object from an upstream that ignores `stream`. Hands the text on in whole characters, up to a
// bound. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "llm/openai/stream_chunk.h"
#include "llm/provider.h"
#include "llm/token_estimate.h"
#include "llm/utf8_repair.h"
#include "net/sse_reader.h"

namespace colloquy::llm {

class AnswerReader {
 public:
  enum class State : std::uint8_t {
    kOpen,       // more is to come
    kFinished,   // the upstream gave a finish_reason; its usage may still come
    kDone,       // nothing more will come
    kOverBound,  // said more than content_bytes_max; the rest is not wanted
  };

  // `sink` outlives the reader.
  AnswerReader(const TextSink& sink, std::size_t content_bytes_max);

  // Both throw Error as upstream_failure.h has it; what was given to the sink stays said.
  void push(std::string_view bytes);
  void end();  // the body's end; still kOpen after it: the answer was cut off

  State state() const { return state_; }
  // Counts the chunks in which the model showed that it is at work.
  std::uint64_t signs_of_life() const { return signs_of_life_; }
  // Of what was given to the sink.
  std::size_t delivered_bytes() const { return delivered_bytes_; }
  std::size_t estimated_tokens() const { return estimate_.tokens(); }
  const std::string& finish_reason() const { return finish_reason_; }
  std::optional<std::int64_t> prompt_tokens() const { return prompt_tokens_; }
  std::optional<std::int64_t> completion_tokens() const { return completion_tokens_; }

 private:
  enum class Form : std::uint8_t { kUnknown, kEvents, kObject };
  void take_chunk(std::string_view json);
  void take_events(std::string_view bytes);
  void deliver(const std::string& text);

  const TextSink& sink_;
  const std::size_t content_bytes_max_;
  Form form_ = Form::kUnknown;
  State state_ = State::kOpen;
  net::SseReader events_;
  std::string object_;
  Utf8Repair repair_;
  std::uint64_t signs_of_life_ = 0;
  std::size_t delivered_bytes_ = 0;
  TokenEstimate estimate_;
  std::string finish_reason_;
  std::optional<std::int64_t> prompt_tokens_;
  std::optional<std::int64_t> completion_tokens_;
};

}  // namespace colloquy::llm
