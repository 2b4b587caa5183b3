// A client for tests that sends exactly the bytes it is told to over a blocking socket. Every wait
// is bounded: a receive that takes longer than ten seconds counts as an end of the connection.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"

namespace colloquy::http::testing {

struct RawResponse {
  int status = 0;
  std::string head;  // with its empty line
  std::vector<Header> headers;
  std::string body;    // without the chunks' framing
  bool whole = false;  // its end was there

  std::string header(std::string_view name) const {
    return std::string(find_header(headers, name).value_or(""));
  }
};

class RawClient {
 public:
  // receive_bytes: the socket's receive buffer, for a client that is slow to read; 0: as it is.
  explicit RawClient(unsigned short port, int receive_bytes = 0);
  ~RawClient();
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool send(std::string_view bytes);  // false when the server has closed
  void end_sending();
  // The next response; nullopt when the connection ends before its header does.
  std::optional<RawResponse> receive(bool to_head = false);
  // Sends, then receives.
  std::optional<RawResponse> exchange(std::string_view request);
  // What arrives up to the end of the connection.
  std::string receive_all();
  // Waits for the end of the connection; false when bytes or nothing came instead.
  bool sees_end();
  bool was_reset() const { return reset_; }
  int descriptor() const { return descriptor_; }

 private:
  bool receive_more();
  void receive_chunks(RawResponse& response);

  int descriptor_;
  std::string buffer_;
  bool reset_ = false;
};

}  // namespace colloquy::http::testing
