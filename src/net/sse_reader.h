// Takes a stream of server-sent events apart, whatever the size of the pieces it comes in, as the
// WHATWG HTML standard says (9.2.6): CR, LF or CRLF, a leading byte order mark, comments, several
// data lines. An event that the stream's end cuts off is not delivered. Bytes that are not UTF-8
// are handed on as they are. Not thread-safe.
//
//   reader.push(piece);
//   while (auto event = reader.next()) …
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

namespace colloquy::net {

struct SseEvent {
  std::string type = "message";
  std::string data;
  std::string last_event_id;
};

class SseReader {
 public:
  struct Limits {
    std::size_t line_bytes = std::size_t{1024} * 1024;
    std::size_t event_bytes = std::size_t{4} * 1024 * 1024;  // the data lines of one event
  };
  SseReader();
  explicit SseReader(Limits limits);

  // Throws NetError(kTooLarge) when a line or an event exceeds its limit; the reader is then spent.
  void push(std::string_view bytes);
  // The next complete event; nullopt when more bytes are needed.
  std::optional<SseEvent> next();
  // What the stream asked its readers to wait before they connect again, in milliseconds.
  std::optional<std::int64_t> retry_ms() const { return retry_ms_; }

 private:
  void take_line();
  void take_field(std::string_view name, std::string_view value);
  void dispatch();

  const Limits limits_;
  std::string line_;  // the line so far
  std::string type_;
  std::string data_;
  std::string last_event_id_;
  std::optional<std::int64_t> retry_ms_;
  std::deque<SseEvent> ready_;
  bool first_line_ = true;
  bool after_cr_ = false;  // an LF that comes now belongs to the line that has ended
};

}  // namespace colloquy::net
