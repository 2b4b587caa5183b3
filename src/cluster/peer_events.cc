#include "cluster/peer_events.h"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "base/json_writer.h"

namespace colloquy::cluster {
namespace {

namespace json = boost::json;

std::optional<json::object> parse_object(std::string_view data) {
  boost::system::error_code error;
  auto value = json::parse(json::string_view(data.data(), data.size()), error);
  if (error || !value.is_object()) return std::nullopt;
  return std::move(value.get_object());
}

std::string text_of(const json::object& object, json::string_view name) {
  const auto* value = object.if_contains(name);
  const auto* text = value == nullptr ? nullptr : value->if_string();
  return text == nullptr ? std::string() : std::string(text->data(), text->size());
}

// What we do not know is passing.
ErrorCode parse_code(std::string_view name) {
  for (auto code : {ErrorCode::kThrottled, ErrorCode::kNotFound, ErrorCode::kInvalid,
                    ErrorCode::kInternal, ErrorCode::kConflict, ErrorCode::kTooLarge}) {
    if (error_code_name(code) == name) return code;
  }
  return ErrorCode::kUnavailable;
}

}  // namespace

std::string peer_target(const chat::AnswerName& name) {
  return "/cluster/generations/" + name.conversation.to_string() + "/" + name.message.to_string();
}

std::string start_data(std::size_t bytes) {
  std::string data;
  JsonWriter(data)
      .begin_object()
      .key("bytes")
      .integer(static_cast<std::int64_t>(bytes))
      .end_object();
  return data;
}

std::string token_data(std::string_view text) {
  std::string data;
  JsonWriter(data).begin_object().key("text").string(text).end_object();
  return data;
}

std::string end_data(const chat::GenerationOutcome& outcome) {
  std::string data;
  JsonWriter to(data);
  to.begin_object().key("durable").boolean(outcome.durable);
  if (outcome.error) {
    to.key("error").begin_object();
    to.key("code").string(error_code_name(outcome.error->code()));
    to.key("message").string(outcome.error->message()).end_object();
  }
  to.end_object();
  return data;
}

std::optional<std::size_t> parse_start(std::string_view data) {
  auto object = parse_object(data);
  const auto* bytes = object ? object->if_contains("bytes") : nullptr;
  const auto* number = bytes == nullptr ? nullptr : bytes->if_int64();
  if (number == nullptr || *number < 0) return std::nullopt;
  return static_cast<std::size_t>(*number);
}

std::optional<std::string> parse_token(std::string_view data) {
  auto object = parse_object(data);
  if (!object) return std::nullopt;
  auto text = text_of(*object, "text");
  if (text.empty()) return std::nullopt;
  return text;
}

std::optional<chat::PeerEnd> parse_end(std::string_view data) {
  auto object = parse_object(data);
  const auto* durable = object ? object->if_contains("durable") : nullptr;
  if (durable == nullptr || !durable->is_bool()) return std::nullopt;
  chat::PeerEnd end;
  end.durable = durable->get_bool();
  const auto* error = object->if_contains("error");
  if (error != nullptr && error->is_object()) {
    const auto& described = error->get_object();
    end.error = Error(parse_code(text_of(described, "code")), text_of(described, "message"));
  }
  return end;
}

}  // namespace colloquy::cluster
