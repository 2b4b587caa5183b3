#include "llm/openai/request_body.h"

#include "base/json_writer.h"

namespace colloquy::llm {
namespace {

void append_paragraph(std::string& text, const std::string& more) {
  if (!text.empty()) text += "\n\n";
  text += more;
}

void write_sampling(JsonWriter& json, const SamplingOptions& sampling,
                    const OpenAiOptions& options) {
  const auto max_tokens = sampling.max_tokens ? sampling.max_tokens : options.max_tokens_default;
  if (max_tokens) {
    json.key(options.max_tokens_field == MaxTokensField::kMaxTokens ? "max_tokens"
                                                                    : "max_completion_tokens");
    json.integer(*max_tokens);
  }
  if (sampling.temperature) json.key("temperature").number(*sampling.temperature);
  if (sampling.top_p) json.key("top_p").number(*sampling.top_p);
  if (sampling.top_k) json.key("top_k").integer(*sampling.top_k);
  if (sampling.seed) json.key("seed").integer(*sampling.seed);
  if (!sampling.stop.empty()) {
    json.key("stop").begin_array();
    for (const std::string& sequence : sampling.stop) json.string(sequence);
    json.end_array();
  }
}

}  // namespace

std::vector<ChatMessage> strictly_alternating(const std::vector<ChatMessage>& messages) {
  ChatMessage system{Role::kSystem, {}};
  std::vector<ChatMessage> rest;
  for (const ChatMessage& message : messages) {
    if (message.role == Role::kSystem) {
      append_paragraph(system.content, message.content);
    } else if (!rest.empty() && rest.back().role == message.role) {
      append_paragraph(rest.back().content, message.content);
    } else if (!rest.empty() || message.role == Role::kUser) {
      rest.push_back(message);
    }
  }
  if (!system.content.empty()) rest.insert(rest.begin(), std::move(system));
  return rest;
}

std::string request_body(const CompletionRequest& request, const OpenAiOptions& options,
                         const std::string& model, UsageInStream usage) {
  std::string out;
  JsonWriter json(out);
  json.begin_object().key("model").string(model).key("messages").begin_array();
  const auto write = [&json](const std::vector<ChatMessage>& messages) {
    for (const ChatMessage& message : messages) {
      json.begin_object().key("role").string(role_name(message.role));
      json.key("content").string(message.content).end_object();
    }
  };
  write(options.roles == Roles::kStrictlyAlternating ? strictly_alternating(request.messages)
                                                     : request.messages);
  json.end_array().key("stream").boolean(true);
  if (usage == UsageInStream::kAskedFor) {
    json.key("stream_options").begin_object().key("include_usage").boolean(true).end_object();
  }
  write_sampling(json, request.sampling, options);
  json.end_object();
  return out;
}

}  // namespace colloquy::llm
