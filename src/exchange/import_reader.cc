#include "exchange/import_reader.h"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <utility>

#include "base/error.h"
#include "exchange/json_fields.h"

namespace colloquy::exchange {
namespace {

constexpr std::size_t kDepthMost = 64;

constexpr std::string_view kOfNoKind =
    "The file is none of Colloquy's, of ChatGPT's conversations.json, or of Open WebUI's.";

std::optional<boost::json::value> parse(const std::string& text) {
  boost::json::parse_options options;
  options.max_depth = kDepthMost;
  boost::system::error_code error;
  auto value = boost::json::parse(text, error, {}, options);
  if (error) return std::nullopt;
  return value;
}

// Of a line that cannot be parsed.
bool looks_like_a_head(std::string_view text) {
  std::string beginning;
  for (char c : text.substr(0, 64)) {
    if (c != ' ') beginning.push_back(c);
  }
  return beginning.starts_with(R"({"type":"conversation")");
}

// The first line of an export of Colloquy's.
bool is_ours(const boost::json::object& first) {
  if (string_at(first, "type") != "export" || string_at(first, "format") != "colloquy") {
    return false;
  }
  if (integer_at(first, "version") == 1) return true;
  throw Error(ErrorCode::kInvalid, "The file is of a version that this server does not know.");
}

}  // namespace

ImportReader::ImportReader(ImportLimits limits)
    : limits_(limits), splitter_({limits.conversation_bytes, limits.values}) {}

std::optional<ImportReader::Item> ImportReader::next() {
  if (ready_.empty()) return std::nullopt;
  auto item = std::move(ready_.front());
  ready_.pop_front();
  return item;
}

void ImportReader::feed(std::string_view piece) {
  std::optional<Error> broken;
  try {
    splitter_.feed(piece);
  } catch (const Error& error) {
    broken = error;
  }
  while (auto value = splitter_.next()) take(std::move(*value));
  if (!broken) return;
  finish_open(false);
  throw *broken;
}

void ImportReader::take(ValueSplitter::Value value) {
  auto parsed = value.too_large ? std::nullopt : parse(value.text);
  const auto* object = parsed ? parsed->if_object() : nullptr;
  std::string problem;
  if (value.too_large) problem = "It is too large.";
  if (!value.too_large && !parsed) problem = "It is not JSON.";
  if (kind_ == Kind::kUnknown && object != nullptr && is_ours(*object)) {
    kind_ = Kind::kColloquy;
    return;
  }
  if (kind_ != Kind::kColloquy) {
    take_element(parsed ? &*parsed : nullptr, value.line, std::move(problem));
    return;
  }
  if (object == nullptr) {
    problem = "Line " + std::to_string(value.line) + ": " + problem;
    // It cannot be of the conversation before it.
    if (looks_like_a_head(value.text)) begin_conversation(value.line, "");
    refuse(std::move(problem));
    return;
  }
  if (string_at(*object, "type") == "conversation") {
    begin_conversation(value.line, string_at(*object, "conversation_id").value_or(""));
  }
  take_line(*object, value.text.size());
}

void ImportReader::begin_conversation(std::size_t line, std::string source_id) {
  finish_open(true);
  open_.emplace();
  open_->line = line;
  open_->source_id = std::move(source_id);
  open_bytes_ = 0;
}

// What is no conversation of theirs is refused by itself where it is an element among others.
void ImportReader::take_element(const boost::json::value* value, std::size_t line,
                                std::string problem) {
  const auto* object = value == nullptr ? nullptr : value->if_object();
  bool known = object != nullptr && (object->contains("mapping") || object->contains("chat"));
  if (known) kind_ = Kind::kForeign;
  if (kind_ == Kind::kUnknown && !splitter_.in_array()) {
    throw Error(ErrorCode::kInvalid, value == nullptr
                                         ? "Line " + std::to_string(line) + ": " + problem
                                         : std::string(kOfNoKind));
  }
  Item item;
  item.line = line;
  if (problem.empty() && !known) problem = "It is no conversation of ChatGPT's or Open WebUI's.";
  try {
    if (!problem.empty()) throw Error(ErrorCode::kInvalid, problem);
    auto draft = object->contains("mapping") ? read_chatgpt(*object, limits_)
                                             : read_open_webui(*object, limits_);
    item.source_id = draft.id;
    if (draft.messages.size() > limits_.messages) {
      throw Error(ErrorCode::kInvalid, "It has too many messages.");
    }
    if (draft.messages.empty()) {
      throw Error(ErrorCode::kInvalid, "It has no message that can be taken.");
    }
    check(draft, limits_);
    item.draft = std::move(draft);
  } catch (const Error& error) {
    item.refusal = error.message();
  }
  ready_.push_back(std::move(item));
}

void ImportReader::refuse(std::string why) {
  if (!open_) {
    auto& item = ready_.emplace_back();
    item.line = splitter_.line();
    item.refusal = std::move(why);
    return;
  }
  if (open_->refusal.empty()) open_->refusal = std::move(why);
  open_->draft.reset();
}

void ImportReader::take_line(const boost::json::object& line, std::size_t bytes) {
  auto type = string_at(line, "type").value_or("");
  try {
    if (type == "conversation") {
      open_->draft = read_head(line);
    } else if (type == "message") {
      if (!open_ || !open_->refusal.empty()) return;
      open_bytes_ += bytes;
      bool fits = open_bytes_ <= limits_.conversation_bytes &&
                  open_->draft->messages.size() < limits_.messages;
      if (!fits) throw Error(ErrorCode::kInvalid, "The conversation is too large.");
      auto message = read_message(line);
      if (boolean_at(line, "active")) open_->draft->active = message.id;
      open_->draft->messages.push_back(std::move(message));
    } else if (type == "dropped") {
      // It was deleted while it was exported.
      open_.reset();
    } else if (type == "end") {
      finish_open(true);
      ended_ = true;
    }
    // What a later version may add is passed over.
  } catch (const Error& error) {
    refuse(error.message());
  }
}

void ImportReader::finish_open(bool whole) {
  if (!open_) return;
  if (!whole) refuse("It is cut off.");
  if (open_->draft) {
    try {
      check(*open_->draft, limits_);
    } catch (const Error& error) {
      refuse(error.message());
    }
  }
  ready_.push_back(std::move(*open_));
  open_.reset();
}

void ImportReader::end() {
  if (kind_ == Kind::kColloquy && !ended_)
    incomplete_ = "The file is cut off: its last line is missing.";
  if (!splitter_.at_end()) incomplete_ = "The file is cut off.";
  if (kind_ == Kind::kUnknown && incomplete_.empty()) {
    incomplete_ = splitter_.any() ? kOfNoKind : "The file is empty.";
  }
  finish_open(false);
}

}  // namespace colloquy::exchange
