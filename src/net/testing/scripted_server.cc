#include "net/testing/scripted_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <utility>

#include "base/text.h"
#include "net/testing/certificate.h"

namespace colloquy::net::testing {
namespace {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

SSL_CTX* make_tls_context(const TestCertificate& certificate) {
  SSL_CTX* const context = SSL_CTX_new(TLS_server_method());
  const bool loaded =
      SSL_CTX_use_certificate_file(context, certificate.certificate_file().c_str(),
                                   SSL_FILETYPE_PEM) == 1 &&
      SSL_CTX_use_PrivateKey_file(context, certificate.key_file().c_str(), SSL_FILETYPE_PEM) == 1;
  if (!loaded) throw std::runtime_error("the test's certificate cannot be used");
  return context;
}

// Copies one way what has come; false when that side has closed.
bool pass_on(int from, int to) {
  std::array<char, 4096> buffer;
  const auto size = ::recv(from, buffer.data(), buffer.size(), 0);
  return size > 0 &&
         ::send(to, buffer.data(), static_cast<std::size_t>(size), MSG_NOSIGNAL) == size;
}

}  // namespace

std::optional<std::string> ScriptedRequest::header(std::string_view name) const {
  const auto found = ascii_lower(head).find("\r\n" + ascii_lower(std::string(name)) + ":");
  if (found == std::string::npos) return std::nullopt;
  auto start = found + 2 + name.size() + 1;
  while (start < head.size() && head[start] == ' ') ++start;
  return head.substr(start, head.find('\r', start) - start);
}

void Peer::wait_until_closed() {
  std::string ignored;
  while (read_some(ignored)) ignored.clear();
}

class SocketPeer final : public Peer {
 public:
  SocketPeer(ScriptedServer& server, int socket, SSL* tls)
      : server_(server), socket_(socket), tls_(tls) {}

  std::optional<ScriptedRequest> read_request() override {
    std::size_t head_end = 0;
    while ((head_end = pending_.find("\r\n\r\n")) == std::string::npos) {
      if (!read_some(pending_)) return std::nullopt;
    }
    ScriptedRequest request;
    request.head = pending_.substr(0, head_end + 4);
    pending_.erase(0, head_end + 4);
    const auto length = request.header("Content-Length");
    const std::size_t size = length ? std::strtoul(length->c_str(), nullptr, 10) : 0;
    while (pending_.size() < size) {
      if (!read_some(pending_)) return std::nullopt;
    }
    request.body = pending_.substr(0, size);
    pending_.erase(0, size);
    std::scoped_lock lock(server_.mutex_);
    server_.requests_.push_back(request);
    return request;
  }

  bool send(std::string_view bytes) override {
    while (!bytes.empty()) {
      const auto sent = tls_ != nullptr
                            ? SSL_write(tls_, bytes.data(), static_cast<int>(bytes.size()))
                            : ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  void reset() override {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    was_reset_ = true;
  }
  bool was_reset() const { return was_reset_; }

  void tunnel_to(std::uint16_t port) override {
    const int target = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = loopback(port);
    bool open =
        ::connect(target, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
    while (open) {
      std::array<pollfd, 2> ends{pollfd{socket_, POLLIN, 0}, pollfd{target, POLLIN, 0}};
      open = ::poll(ends.data(), ends.size(), -1) > 0;
      if (open && ends[0].revents != 0) open = pass_on(socket_, target);
      if (open && ends[1].revents != 0) open = pass_on(target, socket_);
    }
    ::close(target);
  }

 protected:
  bool read_some(std::string& into) override {
    std::array<char, 4096> buffer;
    const auto size = tls_ != nullptr
                          ? SSL_read(tls_, buffer.data(), static_cast<int>(buffer.size()))
                          : ::recv(socket_, buffer.data(), buffer.size(), 0);
    if (size <= 0) return false;
    into.append(buffer.data(), static_cast<std::size_t>(size));
    return true;
  }

 private:
  ScriptedServer& server_;
  const int socket_;
  SSL* const tls_;
  std::string pending_;
  bool was_reset_ = false;
};

std::string response(int status, std::string_view body, std::string_view content_type,
                     std::string_view more_fields) {
  return "HTTP/1.1 " + std::to_string(status) +
         " Scripted\r\nContent-Type: " + std::string(content_type) +
         "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + std::string(more_fields) +
         "\r\n" + std::string(body);
}

std::string chunked_head(int status, std::string_view content_type) {
  return "HTTP/1.1 " + std::to_string(status) +
         " Scripted\r\nContent-Type: " + std::string(content_type) +
         "\r\nTransfer-Encoding: chunked\r\n\r\n";
}

std::string chunk(std::string_view data) {
  std::array<char, 20> size;
  std::snprintf(size.data(), size.size(), "%zx\r\n", data.size());
  return size.data() + std::string(data) + "\r\n";
}

Script answer_with(std::string bytes) {
  return [bytes = std::move(bytes)](Peer& peer) {
    while (peer.read_request()) peer.send(bytes);
  };
}

ScriptedServer::ScriptedServer(std::vector<Script> scripts, const TestCertificate* certificate)
    : scripts_(std::move(scripts)) {
  std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL
  if (certificate != nullptr) tls_context_ = make_tls_context(*certificate);
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof(address);
  auto* const raw_address = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener_, raw_address, size) != 0 || ::listen(listener_, 64) != 0 ||
      ::getsockname(listener_, raw_address, &size) != 0) {
    throw std::runtime_error("cannot listen on loopback");
  }
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_loop(); });
}

ScriptedServer::~ScriptedServer() {
  {
    std::scoped_lock lock(mutex_);
    stopping_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    for (const int socket : open_sockets_) ::shutdown(socket, SHUT_RDWR);
  }
  acceptor_.join();
  for (std::thread& thread : threads_) thread.join();
  ::close(listener_);
  SSL_CTX_free(static_cast<SSL_CTX*>(tls_context_));
}

std::string ScriptedServer::url(std::string_view path, std::string_view host) const {
  return (tls_context_ != nullptr ? "https://" : "http://") + std::string(host) + ":" +
         std::to_string(port_) + std::string(path);
}

std::vector<ScriptedRequest> ScriptedServer::requests() const {
  std::scoped_lock lock(mutex_);
  return requests_;
}

void ScriptedServer::accept_loop() {
  while (true) {
    const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) return;
    {
      std::scoped_lock lock(mutex_);
      if (stopping_) {
        ::close(socket);
        return;
      }
      open_sockets_.push_back(socket);
    }
    const auto index = std::min(static_cast<std::size_t>(connections_++), scripts_.size() - 1);
    threads_.emplace_back([this, socket, index] { serve(socket, index); });
  }
}

void ScriptedServer::serve(int socket, std::size_t index) {
  SSL* tls = nullptr;
  bool ready = true;
  if (tls_context_ != nullptr) {
    tls = SSL_new(static_cast<SSL_CTX*>(tls_context_));
    SSL_set_fd(tls, socket);
    ready = SSL_accept(tls) == 1;
  }
  if (ready) {
    SocketPeer peer(*this, socket, tls);
    scripts_[index](peer);
    if (tls != nullptr && !peer.was_reset()) SSL_shutdown(tls);
  }
  SSL_free(tls);
  std::scoped_lock lock(mutex_);
  open_sockets_.erase(std::find(open_sockets_.begin(), open_sockets_.end(), socket));
  ::close(socket);
}

}  // namespace colloquy::net::testing
