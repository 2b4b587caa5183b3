// The head of a response as bytes (RFC 9112). Pure but for the date, which each thread keeps for
// a second.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "http/message.h"

namespace colloquy::http {

enum class Framing : std::uint8_t {
  kLength,      // Content-Length
  kChunked,     // Transfer-Encoding: chunked
  kUntilClose,  // for HTTP/1.0: the end of the connection ends the body
  kNone,        // 204 and 304: neither body nor length
};

struct HeadOptions {
  Framing framing = Framing::kLength;
  std::size_t content_bytes = 0;  // with kLength
  bool close = false;             // adds "Connection: close"
  bool say_keep_alive = false;    // adds "Connection: keep-alive", which HTTP/1.0 needs
};

// Appends status line, headers and the empty line. What a handler put into the headers cannot end
// a line: CR, LF and NUL in a value become spaces, a name that is not a token is left out with its
// value, and so are the fields that are this function's to set.
void append_head(std::string& out, const Response& response, const HeadOptions& options);

// "OK" for 200; "" for a status that is not known.
std::string_view reason_phrase(int status);

// As IMF-fixdate (RFC 9110, 5.6.7); what it cannot say is the nearest that it can.
std::string format_http_date(std::int64_t unix_s);
// Now, as IMF-fixdate. Valid until the thread's next call.
std::string_view http_date();

}  // namespace colloquy::http
