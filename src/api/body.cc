#include "api/body.h"

#include <algorithm>
#include <boost/json.hpp>

#include "base/text.h"

namespace colloquy::api {
namespace {

constexpr std::size_t kMaxDepth = 16;

// "application/json", with or without parameters, or a "+json" type.
bool is_json_type(std::string_view content_type) {
  auto type = content_type.substr(0, content_type.find(';'));
  while (!type.empty() && type.back() == ' ') type.remove_suffix(1);
  auto lower = ascii_lower(std::string(type));
  return lower == "application/json" ||
         (lower.starts_with("application/") && lower.ends_with("+json"));
}

// The text where it fits, else its beginning with a sign that it was cut.
std::string shortened(const std::string& text, std::size_t bytes) {
  static constexpr std::string_view kCut = "…";
  if (text.size() <= bytes) return text;
  return std::string(cut_utf8(text, bytes - kCut.size())).append(kCut);
}

}  // namespace

Body::Body(const http::Request& request, Empty empty) {
  if (request.body.empty() && empty == Empty::kIsEmptyObject) return;
  auto content_type = request.header("Content-Type");
  if (!content_type || !is_json_type(*content_type)) {
    throw Error(ErrorCode::kUnsupportedMedia,
                "The body must be JSON: send Content-Type: application/json.");
  }
  boost::json::parse_options options;
  options.max_depth = kMaxDepth;
  boost::json::error_code error;
  auto value = boost::json::parse(request.body, error, {}, options);
  if (error) throw malformed("The body is not valid JSON: " + error.message() + ".");
  if (!value.is_object()) throw malformed("The body must be a JSON object.");
  object_ = std::move(value.as_object());
}

const boost::json::value* Body::find(std::string_view name) {
  read_.emplace(name);
  return object_.if_contains(name);
}

bool Body::has(std::string_view name) const { return object_.contains(name); }

bool Body::is_null(std::string_view name) {
  const auto* value = find(name);
  return value != nullptr && value->is_null();
}

void Body::refuse(const std::string& field, std::string message) {
  if (errors_.size() == kNamedFields) {
    ++unnamed_errors_;
    return;
  }
  errors_.push_back({shortened(prefix_ + field, kFieldNameBytes), std::move(message)});
}

std::optional<std::string> Body::optional_string(std::string_view name) {
  const auto* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) {
    refuse(std::string(name), "must be a string");
    return std::nullopt;
  }
  return std::string(value->get_string());
}

std::string Body::required_string(std::string_view name) {
  if (find(name) == nullptr) {
    refuse(std::string(name), "is missing");
    return "";
  }
  return optional_string(name).value_or("");
}

std::optional<bool> Body::optional_boolean(std::string_view name) {
  const auto* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_bool()) {
    refuse(std::string(name), "must be true or false");
    return std::nullopt;
  }
  return value->get_bool();
}

std::optional<std::int64_t> Body::optional_integer(std::string_view name, std::int64_t least,
                                                   std::int64_t most) {
  const auto* value = find(name);
  if (value == nullptr) return std::nullopt;
  boost::json::error_code error;
  auto number = value->is_number() ? value->to_number<std::int64_t>(error) : 0;
  if (!value->is_number() || error || number < least || number > most) {
    refuse(std::string(name),
           "must be a whole number from " + std::to_string(least) + " to " + std::to_string(most));
    return std::nullopt;
  }
  return number;
}

std::optional<double> Body::optional_number(std::string_view name, double least, double most) {
  const auto* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) {
    refuse(std::string(name), "must be a number");
    return std::nullopt;
  }
  auto number = value->to_number<double>();
  if (!(number >= least && number <= most)) {
    refuse(std::string(name), "is out of range");
    return std::nullopt;
  }
  return number;
}

std::vector<std::string> Body::string_or_strings(std::string_view name, std::size_t most,
                                                 std::size_t most_bytes) {
  const auto* value = find(name);
  if (value == nullptr) return {};
  std::vector<std::string> strings;
  bool good = true;
  if (value->is_string()) {
    strings.emplace_back(value->get_string());
  } else if (value->is_array()) {
    for (const auto& element : value->get_array()) {
      good = good && element.is_string() && strings.size() < most;
      if (!good) break;
      strings.emplace_back(element.get_string());
    }
  } else {
    good = false;
  }
  for (const auto& text : strings) good = good && !text.empty() && text.size() <= most_bytes;
  if (!good) {
    refuse(std::string(name), "must be a string or at most " + std::to_string(most) +
                                  " strings, none of them empty or longer than " +
                                  std::to_string(most_bytes) + " bytes");
    return {};
  }
  return strings;
}

std::optional<std::map<std::string, std::string>> Body::string_map(std::string_view name,
                                                                   std::set<std::string>* nulls) {
  const auto* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_object()) {
    refuse(std::string(name), "must be an object of strings");
    return std::nullopt;
  }
  std::map<std::string, std::string> map;
  for (const auto& member : value->get_object()) {
    std::string key(member.key());
    if (member.value().is_string()) {
      map.emplace(std::move(key), std::string(member.value().get_string()));
    } else if (member.value().is_null() && nulls != nullptr) {
      nulls->insert(std::move(key));
    } else {
      refuse(std::string(name) + "." + key, "must be a string");
    }
  }
  return map;
}

std::optional<Body> Body::optional_object(std::string_view name) {
  const auto* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_object()) {
    refuse(std::string(name), "must be an object");
    return std::nullopt;
  }
  return Body(value->get_object(), prefix_ + std::string(name) + ".");
}

std::vector<Body> Body::objects(std::string_view name, std::size_t most) {
  const auto* value = find(name);
  if (value == nullptr) return {};
  if (!value->is_array() || value->get_array().size() > most) {
    refuse(std::string(name), "must be an array of at most " + std::to_string(most) + " objects");
    return {};
  }
  std::vector<Body> objects;
  for (const auto& element : value->get_array()) {
    auto place = std::string(name) + "[" + std::to_string(objects.size()) + "]";
    if (!element.is_object()) {
      refuse(place, "must be an object");
      return {};
    }
    objects.push_back(Body(element.get_object(), prefix_ + place + "."));
  }
  return objects;
}

void Body::take_errors_of(Body part) {
  part.refuse_unread();
  for (auto& error : part.errors_) {
    if (errors_.size() < kNamedFields) {
      errors_.push_back(std::move(error));
    } else {
      ++unnamed_errors_;
    }
  }
  unnamed_errors_ += part.unnamed_errors_;
}

void Body::refuse_unread() {
  for (const auto& member : object_) {
    if (!read_.contains(std::string_view(member.key()))) {
      refuse(std::string(member.key()), "is not a field of this request");
    }
  }
}

void Body::finish() {
  refuse_unread();
  if (errors_.empty()) return;
  std::string detail = "The request has an invalid field.";
  if (unnamed_errors_ > 0) {
    detail = "The request has " + std::to_string(errors_.size() + unnamed_errors_) +
             " invalid fields; " + std::to_string(unnamed_errors_) + " of them are not named here.";
  }
  Error error(ErrorCode::kInvalid, std::move(detail));
  for (auto& [field, message] : errors_) error.add_field(std::move(field), std::move(message));
  throw error;
}

}  // namespace colloquy::api
