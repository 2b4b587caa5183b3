#include "llm/openai/stream_chunk.h"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <charconv>

namespace colloquy::llm {
namespace {

namespace json = boost::json;

constexpr std::size_t kMessageBytes = 1000;  // of an upstream's message, in our log

std::optional<json::value> parse(std::string_view text) {
  json::parse_options options;
  options.allow_invalid_utf8 = true;  // a character may be split between two chunks
  boost::system::error_code error;
  json::value value = json::parse(json::string_view(text.data(), text.size()), error, {}, options);
  if (error) return std::nullopt;
  return value;
}

std::string_view view(const json::string& text) { return {text.data(), text.size()}; }

// The member, or null when it is absent or JSON's null.
const json::value* member(const json::object& object, json::string_view name) {
  const json::value* const value = object.if_contains(name);
  return value == nullptr || value->is_null() ? nullptr : value;
}

std::string string_member(const json::object& object, json::string_view name) {
  const json::value* const value = member(object, name);
  if (value == nullptr) return {};
  if (const json::string* text = value->if_string()) {
    return std::string(view(*text).substr(0, kMessageBytes));
  }
  if (const std::int64_t* number = value->if_int64()) return std::to_string(*number);
  return {};
}

std::optional<std::int64_t> count_member(const json::object& object, json::string_view name) {
  const json::value* const value = member(object, name);
  const std::int64_t* const count = value == nullptr ? nullptr : value->if_int64();
  if (count == nullptr || *count < 0) return std::nullopt;
  return *count;
}

UpstreamMessage message_of(const json::value& error) {
  UpstreamMessage message;
  if (const json::string* text = error.if_string()) {
    message.text = view(*text).substr(0, kMessageBytes);
    return message;
  }
  const json::object* const object = error.if_object();
  if (object == nullptr) return message;
  message.code = string_member(*object, "code");
  message.type = string_member(*object, "type");
  message.text = string_member(*object, "message");
  if (message.text.empty()) message.text = string_member(*object, "detail");
  int status = 0;
  std::from_chars(message.code.data(), message.code.data() + message.code.size(), status);
  if (status >= 400 && status <= 599) message.status = status;
  return message;
}

// Text, null, or a list of parts of which those with text count. False when it is neither.
bool add_content(const json::value& content, std::string& out) {
  if (const json::string* text = content.if_string()) {
    out.append(view(*text));
    return true;
  }
  const json::array* const parts = content.if_array();
  if (parts == nullptr) return false;
  for (const json::value& part : *parts) {
    const json::object* const object = part.if_object();
    const json::value* const text = object == nullptr ? nullptr : member(*object, "text");
    if (text != nullptr && text->is_string()) out.append(view(text->get_string()));
  }
  return true;
}

bool read_choice(const json::value& value, StreamChunk& chunk) {
  const json::object* const choice = value.if_object();
  if (choice == nullptr) return false;
  chunk.finish_reason = string_member(*choice, "finish_reason");
  const json::value* said = member(*choice, "delta");
  if (said == nullptr) said = member(*choice, "message");
  if (said == nullptr) return true;
  const json::object* const object = said->if_object();
  if (object == nullptr) return false;
  chunk.alive =
      member(*object, "reasoning_content") != nullptr || member(*object, "reasoning") != nullptr;
  const json::value* const content = member(*object, "content");
  if (content == nullptr) return true;
  if (!add_content(*content, chunk.content)) return false;
  chunk.alive = chunk.alive || !chunk.content.empty();
  return true;
}

}  // namespace

std::optional<StreamChunk> parse_stream_chunk(std::string_view text) {
  const auto value = parse(text);
  const json::object* const object = value ? value->if_object() : nullptr;
  if (object == nullptr) return std::nullopt;
  StreamChunk chunk;
  if (const json::value* error = member(*object, "error")) {
    chunk.error = message_of(*error);
    return chunk;
  }
  if (string_member(*object, "object") == "error") {
    chunk.error = message_of(*value);
    return chunk;
  }
  if (const json::value* usage = member(*object, "usage"); usage && usage->is_object()) {
    chunk.prompt_tokens = count_member(usage->get_object(), "prompt_tokens");
    chunk.completion_tokens = count_member(usage->get_object(), "completion_tokens");
  }
  const json::value* const choices = member(*object, "choices");
  if (choices == nullptr) return chunk;
  if (!choices->is_array()) return std::nullopt;
  const json::array& list = choices->get_array();
  if (!list.empty() && !read_choice(list.front(), chunk)) return std::nullopt;
  return chunk;
}

UpstreamMessage parse_upstream_message(std::string_view body) {
  const auto value = parse(body);
  if (const json::object* object = value ? value->if_object() : nullptr) {
    const json::value* const error = member(*object, "error");
    return message_of(error != nullptr ? *error : *value);
  }
  UpstreamMessage message;
  message.text = body.substr(0, kMessageBytes);
  return message;
}

}  // namespace colloquy::llm
