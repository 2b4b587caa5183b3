#include "http/sse.h"

#include <algorithm>

namespace colloquy::http {

namespace {

// Calls `take` for each line; CR LF, LF and CR alone end one, as a reader of the stream sees it.
template <class Take>
void for_each_line(std::string_view text, Take take) {
  for (;;) {
    const std::size_t end = text.find_first_of("\r\n");
    take(text.substr(0, end));
    if (end == std::string_view::npos) return;
    const bool pair = text[end] == '\r' && end + 1 < text.size() && text[end + 1] == '\n';
    text.remove_prefix(end + (pair ? 2 : 1));
  }
}

// A field of one line: what would end it or, in an id, void it is left out.
void append_field(std::string& out, std::string_view field, std::string_view value) {
  out.append(field).append(": ");
  std::copy_if(value.begin(), value.end(), std::back_inserter(out),
               [](char c) { return c != '\r' && c != '\n' && c != '\0'; });
  out.push_back('\n');
}

}  // namespace

Task<> SseWriter::event(std::string_view name, std::string_view id, std::string_view data) {
  buffer_.clear();
  append_field(buffer_, "event", name);
  if (!id.empty()) append_field(buffer_, "id", id);
  for_each_line(data, [this](std::string_view line) {
    buffer_.append("data: ").append(line).push_back('\n');
  });
  buffer_.push_back('\n');
  co_await body_.write(buffer_);
}

Task<> SseWriter::comment(std::string_view text) {
  buffer_.clear();
  for_each_line(
      text, [this](std::string_view line) { buffer_.append(": ").append(line).push_back('\n'); });
  buffer_.push_back('\n');
  co_await body_.write(buffer_);
}

void set_event_stream_headers(Response& response) {
  response.set_header("Content-Type", "text/event-stream");
  response.set_header("Cache-Control", "no-cache, no-transform");
  response.set_header("X-Accel-Buffering", "no");
}

}  // namespace colloquy::http
