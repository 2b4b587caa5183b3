#include "http/header_values.h"

#include <algorithm>

namespace colloquy::http {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] ); nullopt when it is not one.
std::optional<int> parse_weight_thousandths(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return std::nullopt;
  int thousandths = (text[0] - '0') * 1000;
  if (text.size() == 1) return thousandths;
  if (text[1] != '.') return std::nullopt;
  int unit = 100;
  for (const char c : text.substr(2)) {
    if (!is_digit(c)) return std::nullopt;
    thousandths += (c - '0') * unit;
    unit /= 10;
  }
  if (thousandths > 1000) return std::nullopt;
  return thousandths;
}

// The weight of "name;q=0.5"; 1000 when none is given, 0 when it is malformed.
int weight_thousandths(std::string_view parameters) {
  while (!parameters.empty()) {
    const std::size_t end = std::min(parameters.find(';'), parameters.size());
    const std::string_view parameter = trim(parameters.substr(0, end));
    parameters.remove_prefix(std::min(end + 1, parameters.size()));
    if (parameter.size() >= 2 && ascii_lower(parameter[0]) == 'q' && parameter[1] == '=') {
      return parse_weight_thousandths(parameter.substr(2)).value_or(0);
    }
  }
  return 1000;
}

// etagc of RFC 9110: unlike in a quoted string, a backslash is a character like others.
bool is_tag_character(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte == 0x21 || (byte >= 0x23 && byte != 0x7F);
}

// Adds the tags of one header's list. False when something else stands in it.
bool parse_tag_list(std::string_view list, EntityTags& tags, std::size_t& count) {
  while (!list.empty()) {
    if (list.front() == ' ' || list.front() == '\t' || list.front() == ',') {
      list.remove_prefix(1);
      continue;
    }
    const bool weak = list.starts_with("W/");
    if (weak) list.remove_prefix(2);
    if (list.empty() || list.front() != '"') return false;
    const std::size_t end = list.find('"', 1);
    if (end == std::string_view::npos) return false;
    const std::string_view tag = list.substr(1, end - 1);
    if (!std::all_of(tag.begin(), tag.end(), is_tag_character)) return false;
    (weak ? tags.weak : tags.strong).push_back(tag);
    ++count;
    list = trim(list.substr(end + 1));
    if (!list.empty() && list.front() != ',') return false;
  }
  return true;
}

}  // namespace

std::string_view trim(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

std::optional<std::string_view> next_list_element(std::string_view& list) {
  while (!list.empty()) {
    bool quoted = false;
    std::size_t end = 0;
    for (; end < list.size(); ++end) {
      if (quoted && list[end] == '\\') {
        if (end + 1 < list.size()) ++end;
      } else if (list[end] == '"') {
        quoted = !quoted;
      } else if (list[end] == ',' && !quoted) {
        break;
      }
    }
    const std::string_view element = trim(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
    if (!element.empty()) return element;
  }
  return std::nullopt;
}

std::optional<EntityTags> parse_entity_tags(const Request& request, std::string_view name) {
  EntityTags tags;
  std::size_t count = 0;
  for (const Header& header : request.headers) {
    if (!equals_ignoring_case(header.name, name)) continue;
    const std::string_view list = trim(header.value);
    if (list == "*" && !tags.any && count == 0) {
      tags.any = true;
    } else if (tags.any || !parse_tag_list(list, tags, count)) {
      return std::nullopt;
    }
  }
  if (!tags.any && count == 0) return std::nullopt;
  return tags;
}

bool is_token(std::string_view text) {
  static constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return is_digit(c) || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') ||
           kMarks.find(c) != std::string_view::npos;
  });
}

bool accepts_gzip(std::string_view accept_encoding) {
  std::optional<int> named;
  std::optional<int> any;
  while (auto element = next_list_element(accept_encoding)) {
    const std::size_t end = std::min(element->find(';'), element->size());
    const std::string_view coding = trim(element->substr(0, end));
    const int weight = weight_thousandths(element->substr(end));
    if (equals_ignoring_case(coding, "gzip") || equals_ignoring_case(coding, "x-gzip")) {
      named = std::max(named.value_or(0), weight);
    } else if (coding == "*") {
      any = weight;
    }
  }
  return named.value_or(any.value_or(0)) > 0;
}

void add_vary(Response& response, std::string_view name) {
  for (Header& header : response.headers) {
    if (!equals_ignoring_case(header.name, "Vary")) continue;
    std::string_view list = header.value;
    while (auto element = next_list_element(list)) {
      if (*element == "*" || equals_ignoring_case(*element, name)) return;
    }
    if (!header.value.empty()) header.value += ", ";
    header.value += name;
    return;
  }
  response.headers.push_back({"Vary", std::string(name)});
}

}  // namespace colloquy::http
