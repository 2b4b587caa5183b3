// One JSON object of an OpenAI-compatible upstream, understood: a chunk of a streamed answer
// (chat.completion.chunk), a whole answer (chat.completion), or an error. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace colloquy::llm {

// What an upstream says of its failure; for the log, but for its classification.
struct UpstreamMessage {
  int status = 0;  // as the message itself says; 0: it does not
  std::string code;
  std::string type;
  std::string text;
};

struct StreamChunk {
  std::string content;  // bytes; a UTF-8 character may be cut at either end
  bool alive = false;   // the model said something, were it only reasoning, which is not delivered
  std::string finish_reason;
  std::optional<std::int64_t> prompt_tokens;
  std::optional<std::int64_t> completion_tokens;
  std::optional<UpstreamMessage> error;
};

// nullopt when it is not a JSON object or a field is of a wrong kind.
std::optional<StreamChunk> parse_stream_chunk(std::string_view json);

// The body of a response that is not 200: JSON of the usual shapes, or the start of any other text.
UpstreamMessage parse_upstream_message(std::string_view body);

}  // namespace colloquy::llm
