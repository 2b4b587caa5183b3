#include "base/trace_context.h"

#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>

#include "base/error.h"

namespace colloquy {
namespace {

constexpr std::size_t kTraceIdDigits = 32;
constexpr std::size_t kSpanIdDigits = 16;
// Of version 00, and before what a later version may add: 00-TRACE-PARENT-FLAGS.
constexpr std::size_t kParentLength = 2 + 1 + kTraceIdDigits + 1 + kSpanIdDigits + 1 + 2;
constexpr std::size_t kStateMembersMax = 32;
// What everybody passes on; more may be dropped as a whole.
constexpr std::size_t kStateBytesMax = 512;

// The specification has no upper case.
bool is_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_zero(std::string_view text) {
  return text.find_first_not_of('0') == std::string_view::npos;
}

// Random digits, not all zero.
std::string random_digits(std::size_t digits) {
  constexpr char kHex[] = "0123456789abcdef";
  std::array<unsigned char, kTraceIdDigits / 2> bytes{};
  std::string text;
  do {
    if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) {
      throw internal_error("no random bytes");
    }
    text.clear();
    for (std::size_t i = 0; i < digits / 2; ++i) {
      text.push_back(kHex[bytes[i] >> 4U]);
      text.push_back(kHex[bytes[i] & 0xFU]);
    }
  } while (is_zero(text));
  return text;
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool is_state_key(std::string_view key) {
  const bool signs = std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '*' ||
           c == '/' || c == '@';
  });
  const bool first = !key.empty() && ((key.front() >= 'a' && key.front() <= 'z') ||
                                      (key.front() >= '0' && key.front() <= '9'));
  constexpr std::size_t kLongest = 256;
  return first && signs && key.size() <= kLongest && std::count(key.begin(), key.end(), '@') <= 1;
}

bool is_state_value(std::string_view value) {
  constexpr std::size_t kLongest = 256;
  return !value.empty() && value.size() <= kLongest && value.back() != ' ' &&
         std::all_of(value.begin(), value.end(),
                     [](char c) { return c >= ' ' && c <= '~' && c != ',' && c != '='; });
}

// Well-formed `tracestate`; empty members are allowed and left out. "" where it is not.
std::string checked_state(std::string_view text) {
  std::string state;
  std::size_t members = 0;
  while (!text.empty()) {
    const auto comma = text.find(',');
    const auto member = trimmed(text.substr(0, comma));
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    if (member.empty()) continue;
    const auto equals = member.find('=');
    if (equals == std::string_view::npos || !is_state_key(member.substr(0, equals)) ||
        !is_state_value(member.substr(equals + 1)) || ++members > kStateMembersMax) {
      return "";
    }
    if (!state.empty()) state.push_back(',');
    state.append(member);
  }
  return state.size() <= kStateBytesMax ? state : "";
}

// Trace and flags of a valid `traceparent`.
std::optional<TraceContext> parse_parent(std::string_view text) {
  if (text.size() < kParentLength) return std::nullopt;
  const auto version = text.substr(0, 2);
  if (!is_hex(version) || version == "ff") return std::nullopt;
  if (text.size() > kParentLength && (version == "00" || text[kParentLength] != '-')) {
    return std::nullopt;
  }
  const auto trace_id = text.substr(3, kTraceIdDigits);
  const auto parent_id = text.substr(4 + kTraceIdDigits, kSpanIdDigits);
  const auto flags = text.substr(kParentLength - 2, 2);
  if (text[2] != '-' || text[3 + kTraceIdDigits] != '-' || text[kParentLength - 3] != '-' ||
      !is_hex(trace_id) || !is_hex(parent_id) || !is_hex(flags) || is_zero(trace_id) ||
      is_zero(parent_id)) {
    return std::nullopt;
  }
  // Of the flags this server knows the first; others are not passed on.
  const bool sampled = std::string_view("13579bdf").find(flags[1]) != std::string_view::npos;
  return TraceContext{std::string(trace_id), "", sampled ? "01" : "00", ""};
}

}  // namespace

TraceContext continue_trace(std::string_view traceparent, std::string_view tracestate) {
  auto trace = parse_parent(traceparent);
  if (trace) {
    trace->trace_state = checked_state(tracestate);
  } else {
    trace = TraceContext{random_digits(kTraceIdDigits), "", "00", ""};
  }
  trace->span_id = random_digits(kSpanIdDigits);
  return std::move(*trace);
}

std::string traceparent(const TraceContext& trace) {
  return "00-" + trace.trace_id + "-" + trace.span_id + "-" + trace.flags;
}

TraceContext child_span(const TraceContext& trace) {
  TraceContext child = trace;
  if (!trace.trace_id.empty()) child.span_id = random_digits(kSpanIdDigits);
  return child;
}

}  // namespace colloquy
