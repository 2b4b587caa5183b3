#include "net/sse_reader.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "net/http_client.h"

namespace colloquy::net {

SseReader::SseReader() : SseReader(Limits{}) {}
SseReader::SseReader(Limits limits) : limits_(limits) {}

void SseReader::push(std::string_view bytes) {
  while (!bytes.empty()) {
    if (std::exchange(after_cr_, false) && bytes.front() == '\n') {
      bytes.remove_prefix(1);
      continue;
    }
    const auto end = std::min(bytes.find_first_of("\r\n"), bytes.size());
    if (line_.size() + end > limits_.line_bytes) {
      throw NetError(NetFailure::kTooLarge, "event stream: line too long");
    }
    line_.append(bytes.substr(0, end));
    if (end == bytes.size()) return;
    after_cr_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    take_line();
    line_.clear();
  }
}

std::optional<SseEvent> SseReader::next() {
  if (ready_.empty()) return std::nullopt;
  std::optional<SseEvent> event(std::move(ready_.front()));
  ready_.pop_front();
  return event;
}

void SseReader::take_line() {
  std::string_view line = line_;
  if (std::exchange(first_line_, false) && line.starts_with("\xEF\xBB\xBF")) line.remove_prefix(3);
  if (line.empty()) return dispatch();
  const auto colon = line.find(':');
  if (colon == 0) return;  // a comment
  if (colon == std::string_view::npos) return take_field(line, {});
  std::string_view value = line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  take_field(line.substr(0, colon), value);
}

void SseReader::take_field(std::string_view name, std::string_view value) {
  if (name == "data") {
    if (data_.size() + value.size() + 1 > limits_.event_bytes) {
      throw NetError(NetFailure::kTooLarge, "event stream: event too long");
    }
    data_.append(value).push_back('\n');
  } else if (name == "event") {
    type_ = value;
  } else if (name == "id") {
    if (value.find('\0') == std::string_view::npos) last_event_id_ = value;
  } else if (name == "retry") {
    std::int64_t retry_ms = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), retry_ms);
    const bool digits = !value.empty() && value.front() != '-';
    if (digits && error == std::errc() && end == value.data() + value.size()) retry_ms_ = retry_ms;
  }
}

void SseReader::dispatch() {
  if (!data_.empty()) {
    data_.pop_back();  // the line end after the last data line
    SseEvent event;
    if (!type_.empty()) event.type = std::move(type_);
    event.data = std::move(data_);
    event.last_event_id = last_event_id_;
    ready_.push_back(std::move(event));
  }
  type_.clear();
  data_.clear();
}

}  // namespace colloquy::net
