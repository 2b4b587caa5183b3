#include "http/representation.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "base/text.h"
#include "http/header_values.h"

namespace colloquy::http {

namespace {

// Digits only; what is too large for the type is its largest. nullopt for anything else.
std::optional<std::uint64_t> parse_position(std::string_view digits) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (digits.empty() || !std::all_of(digits.begin(), digits.end(), is_digit)) return std::nullopt;
  std::uint64_t position = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), position);
  if (error == std::errc::result_out_of_range) return std::numeric_limits<std::uint64_t>::max();
  return position;
}

RangeChoice part(std::uint64_t first, std::uint64_t last, std::uint64_t bytes) {
  if (first >= bytes) return {RangeChoice::Kind::kUnsatisfiable};
  return {RangeChoice::Kind::kPart, first, std::min(last, bytes - 1) - first + 1};
}

// key = ( lcalpha / "*" ) *( lcalpha / DIGIT / "_" / "-" / "." / "*" )
bool is_key(std::string_view text) {
  const auto begins = [](char c) { return (c >= 'a' && c <= 'z') || c == '*'; };
  const auto goes_on = [begins](char c) {
    return begins(c) || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
  };
  return !text.empty() && begins(text.front()) && std::all_of(text.begin(), text.end(), goes_on);
}

bool is_base64(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    const char lower = ascii_lower(c);
    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/' ||
           c == '=';
  });
}

// Takes one member, key=:base64:, perhaps with parameters, which mean nothing here.
bool take_digest(std::string_view member, ContentDigest& digest) {
  const auto equals = member.find('=');
  if (equals == std::string_view::npos || !is_key(member.substr(0, equals))) return false;
  const auto key = member.substr(0, equals);
  auto value = member.substr(equals + 1);
  const auto end = value.find(':', 1);
  if (!value.starts_with(':') || end == std::string_view::npos) return false;
  const auto rest = value.substr(end + 1);
  value = value.substr(1, end - 1);
  if ((!rest.empty() && rest.front() != ';') || !is_base64(value)) return false;
  if (key == "sha-256") {
    digest.sha256 = value;
  } else if (key == "sha-512") {
    digest.sha512 = value;
  } else {
    digest.others = true;
  }
  return true;
}

}  // namespace

RangeChoice choose_range(std::string_view range, std::uint64_t bytes) {
  const auto equals = range.find('=');
  if (equals == std::string_view::npos) return {};
  if (!equals_ignoring_case(trim(range.substr(0, equals)), "bytes")) return {};
  auto list = range.substr(equals + 1);
  const auto one = next_list_element(list);
  if (!one || next_list_element(list)) return {};
  const auto dash = one->find('-');
  if (dash == std::string_view::npos) return {};
  const auto first = parse_position(one->substr(0, dash));
  const auto last = parse_position(one->substr(dash + 1));
  if (dash == 0) {
    if (!last) return {};
    if (*last == 0) return {RangeChoice::Kind::kUnsatisfiable};
    return part(bytes - std::min(*last, bytes), std::numeric_limits<std::uint64_t>::max(), bytes);
  }
  if (!first) return {};
  const bool open = dash + 1 == one->size();
  if ((!open && !last) || (last && *last < *first)) return {};
  return part(*first, last.value_or(std::numeric_limits<std::uint64_t>::max()), bytes);
}

bool if_range_holds(std::string_view if_range, std::string_view tag) {
  if_range = trim(if_range);
  return if_range.size() == tag.size() + 2 && if_range.front() == '"' && if_range.back() == '"' &&
         if_range.substr(1, tag.size()) == tag;
}

std::optional<ContentDigest> parse_content_digest(const Request& request) {
  ContentDigest digest;
  for (const Header& header : request.headers) {
    if (!equals_ignoring_case(header.name, "Content-Digest")) continue;
    std::string_view list = header.value;
    while (const auto member = next_list_element(list)) {
      if (!take_digest(*member, digest)) return std::nullopt;
    }
  }
  return digest;
}

std::string content_disposition(std::string_view type, std::string_view file_name) {
  std::string plain;
  for (const char c : file_name) {
    const auto byte = static_cast<unsigned char>(c);
    // '%' is taken for an escape by some.
    const bool fits = byte >= 0x20 && byte < 0x7F && c != '"' && c != '\\' && c != '%';
    // One for each character, however many bytes it has.
    if (fits) {
      plain.push_back(c);
    } else if ((byte & 0xC0U) != 0x80) {
      plain.push_back('_');
    }
  }
  std::string value(type);
  value += "; filename=\"" + plain + "\"";
  if (plain != file_name) value += "; filename*=UTF-8''" + percent_encode(file_name, "!#$&+^`|");
  return value;
}

}  // namespace colloquy::http
