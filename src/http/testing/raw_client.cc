#include "http/testing/raw_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "http/header_values.h"

namespace colloquy::http::testing {

RawClient::RawClient(unsigned short port, int receive_bytes)
    : descriptor_(::socket(AF_INET, SOCK_STREAM, 0)) {
  if (receive_bytes != 0) {
    ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
  }
  const timeval patience{10, 0};
  ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(descriptor_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  const int on = 1;
  ::setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    reset_ = true;
  }
}

RawClient::~RawClient() { ::close(descriptor_); }

bool RawClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

void RawClient::end_sending() { ::shutdown(descriptor_, SHUT_WR); }

bool RawClient::receive_more() {
  std::array<char, 16 * 1024> room;
  const ssize_t received = ::recv(descriptor_, room.data(), room.size(), 0);
  if (received < 0 && errno == ECONNRESET) reset_ = true;
  if (received <= 0) return false;
  buffer_.append(room.data(), static_cast<std::size_t>(received));
  return true;
}

std::optional<RawResponse> RawClient::receive(bool to_head) {
  std::size_t end = 0;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
    if (!receive_more()) return std::nullopt;
  }
  RawResponse response;
  response.head = buffer_.substr(0, end + 4);
  buffer_.erase(0, end + 4);
  response.status = std::atoi(response.head.substr(9, 3).c_str());
  std::string_view lines = response.head;
  lines.remove_prefix(lines.find("\r\n") + 2);
  while (!lines.starts_with("\r\n")) {
    const std::string_view line = lines.substr(0, lines.find("\r\n"));
    const std::size_t colon = line.find(':');
    response.headers.push_back(
        {std::string(line.substr(0, colon)), std::string(trim(line.substr(colon + 1)))});
    lines.remove_prefix(line.size() + 2);
  }
  const auto length = find_header(response.headers, "Content-Length");
  if (to_head || response.status == 100 || response.status == 204 || response.status == 304) {
    response.whole = true;
  } else if (length) {
    const std::size_t bytes = std::strtoull(std::string(*length).c_str(), nullptr, 10);
    while (buffer_.size() < bytes && receive_more()) {
    }
    response.whole = buffer_.size() >= bytes;
    response.body = buffer_.substr(0, bytes);
    buffer_.erase(0, bytes);
  } else if (response.header("Transfer-Encoding") == "chunked") {
    receive_chunks(response);
  } else {
    response.body = receive_all();
    response.whole = !reset_;
  }
  return response;
}

void RawClient::receive_chunks(RawResponse& response) {
  for (;;) {
    std::size_t end = 0;
    while ((end = buffer_.find("\r\n")) == std::string::npos) {
      if (!receive_more()) return;
    }
    const std::size_t bytes = std::strtoull(buffer_.c_str(), nullptr, 16);
    buffer_.erase(0, end + 2);
    while (buffer_.size() < bytes + 2) {
      if (!receive_more()) return;
    }
    response.body.append(buffer_, 0, bytes);
    buffer_.erase(0, bytes + 2);
    if (bytes == 0) {
      response.whole = true;
      return;
    }
  }
}

std::optional<RawResponse> RawClient::exchange(std::string_view request) {
  send(request);
  return receive(request.starts_with("HEAD"));
}

std::string RawClient::receive_all() {
  while (receive_more()) {
  }
  return std::exchange(buffer_, {});
}

bool RawClient::sees_end() {
  std::array<char, 1> room;
  if (!buffer_.empty()) return false;
  const ssize_t received = ::recv(descriptor_, room.data(), room.size(), 0);
  reset_ = received < 0 && errno == ECONNRESET;
  return received == 0 || reset_;
}

}  // namespace colloquy::http::testing
