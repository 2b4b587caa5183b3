#include "store/dynamodb/aws/canonical_request.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "base/text.h"

namespace colloquy::aws {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string percent_decode(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const int high = text[i] == '%' && i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
    const int low = high >= 0 ? hex_value(text[i + 2]) : -1;
    if (low < 0) {
      bytes += text[i];
      continue;
    }
    bytes += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return bytes;
}

// The text up to the next `separator`, which is taken off as well.
std::string_view take_until(std::string_view& rest, char separator) {
  const auto end = std::min(rest.find(separator), rest.size());
  const auto taken = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return taken;
}

bool is_signed(std::string_view lower_name) {
  static constexpr std::array<std::string_view, 15> kNotSigned{
      "authorization", "cache-control",     "connection", "expect",     "from",
      "keep-alive",    "max-forwards",      "pragma",     "referer",    "te",
      "trailer",       "transfer-encoding", "upgrade",    "user-agent", "x-amzn-trace-id"};
  if (lower_name.starts_with("proxy-") || lower_name.starts_with("sec-")) return false;
  return std::find(kNotSigned.begin(), kNotSigned.end(), lower_name) == kNotSigned.end();
}

bool white_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

void append_folded(std::string& into, std::string_view value) {
  bool pending_space = false;
  bool begun = false;
  for (const char c : value) {
    if (white_space(c)) {
      pending_space = begun;
      continue;
    }
    if (pending_space) into += ' ';
    into += c;
    pending_space = false;
    begun = true;
  }
}

}  // namespace

std::string canonical_path(std::string_view path) {
  if (path.empty() || path == "/") return "/";
  std::vector<std::string_view> segments;
  const bool ends_in_slash = path.ends_with('/');
  while (!path.empty()) {
    const auto segment = take_until(path, '/');
    if (segment == "..") {
      if (!segments.empty()) segments.pop_back();
    } else if (!segment.empty() && segment != ".") {
      segments.push_back(segment);
    }
  }
  std::string normal;
  for (const auto segment : segments) normal.append("/").append(segment);
  if (segments.empty() || ends_in_slash) normal += '/';
  return percent_encode(normal, "/");
}

std::string canonical_query(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> parameters;
  while (!query.empty()) {
    std::string_view value = take_until(query, '&');
    if (value.empty()) continue;
    const std::string name = percent_decode(take_until(value, '='));
    parameters.emplace_back(percent_encode(name), percent_encode(percent_decode(value)));
  }
  std::sort(parameters.begin(), parameters.end());
  std::string text;
  for (const auto& [name, value] : parameters) {
    if (!text.empty()) text += '&';
    text.append(name).append("=").append(value);
  }
  return text;
}

CanonicalHeaders canonical_headers(const std::vector<net::HeaderField>& headers) {
  std::vector<std::pair<std::string, const std::string*>> fields;
  fields.reserve(headers.size());
  for (const auto& field : headers) {
    auto name = ascii_lower(field.name);
    if (is_signed(name)) fields.emplace_back(std::move(name), &field.value);
  }
  std::stable_sort(fields.begin(), fields.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  CanonicalHeaders canonical;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const auto& [name, value] = fields[i];
    if (i > 0 && fields[i - 1].first == name) {
      canonical.lines.back() = ',';  // was the end of the line
    } else {
      canonical.lines.append(name).append(":");
      canonical.names.append(i > 0 ? ";" : "").append(name);
    }
    append_folded(canonical.lines, *value);
    canonical.lines += '\n';
  }
  return canonical;
}

}  // namespace colloquy::aws
