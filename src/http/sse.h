// Writes server-sent events (WHATWG HTML, "Server-sent events") into a body.
#pragma once

#include <string>
#include <string_view>

#include "base/task.h"
#include "http/message.h"

namespace colloquy::http {

class SseWriter {
 public:
  explicit SseWriter(BodyWriter& body) : body_(body) {}
  // `data` may have line breaks. An empty `id` is left out. Throws ConnectionClosed.
  Task<> event(std::string_view name, std::string_view id, std::string_view data);
  // A comment line, which keeps an idle stream alive.
  Task<> comment(std::string_view text);

 private:
  BodyWriter& body_;
  std::string buffer_;
};

// Headers of an event stream: its type, no caching, no buffering by proxies.
void set_event_stream_headers(Response& response);

}  // namespace colloquy::http
