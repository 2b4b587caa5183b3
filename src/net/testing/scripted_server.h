// For tests: a real server on a free loopback port that does with each connection exactly what a
// script says: answer, stall, cut, garble, refuse. Each connection has a thread of its own, so a
// script may block; destroying the server ends every wait of its scripts.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace colloquy::net::testing {

class TestCertificate;

struct ScriptedRequest {
  std::string head;  // request line and header fields, with the empty line
  std::string body;  // by Content-Length

  std::string line() const { return head.substr(0, head.find('\r')); }
  // The first field of that name, compared without case.
  std::optional<std::string> header(std::string_view name) const;
};

// The server's end of one connection, as a script sees it. Calls return false or nullopt once the
// connection is gone.
class Peer {
 public:
  virtual ~Peer() = default;
  virtual std::optional<ScriptedRequest> read_request() = 0;
  virtual bool send(std::string_view bytes) = 0;
  // Waits until the client has closed the connection, or the server is destroyed.
  void wait_until_closed();
  // Once the script returns, the connection ends with a reset rather than an orderly close.
  virtual void reset() = 0;
  // Tunnels to another loopback port until either side closes, as a CONNECT proxy does.
  virtual void tunnel_to(std::uint16_t port) = 0;

 protected:
  virtual bool read_some(std::string& into) = 0;
};

using Script = std::function<void(Peer&)>;

// An HTTP response with Content-Length.
std::string response(int status, std::string_view body,
                     std::string_view content_type = "application/json",
                     std::string_view more_fields = {});
// The header of a chunked response, and its chunks.
std::string chunked_head(int status = 200, std::string_view content_type = "text/event-stream");
std::string chunk(std::string_view data);
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

// A script that answers every request of a connection with these bytes.
Script answer_with(std::string bytes);

class ScriptedServer {
 public:
  // The n-th connection runs the n-th script; the last one runs for all that follow. With a
  // certificate it speaks TLS, and a connection whose handshake fails runs no script.
  explicit ScriptedServer(std::vector<Script> scripts,
                          const TestCertificate* certificate = nullptr);
  explicit ScriptedServer(Script script, const TestCertificate* certificate = nullptr)
      : ScriptedServer(std::vector<Script>{std::move(script)}, certificate) {}
  ~ScriptedServer();
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  std::uint16_t port() const { return port_; }
  // http://127.0.0.1:PORT, or https://HOST:PORT.
  std::string url(std::string_view path = "/", std::string_view host = "127.0.0.1") const;
  int connections() const { return connections_; }
  // Every request that a script has read so far.
  std::vector<ScriptedRequest> requests() const;

 private:
  friend class SocketPeer;
  void accept_loop();
  void serve(int socket, std::size_t index);

  const std::vector<Script> scripts_;
  void* tls_context_ = nullptr;  // an SSL_CTX
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<int> connections_{0};
  mutable std::mutex mutex_;
  bool stopping_ = false;                  // guarded by mutex_
  std::vector<int> open_sockets_;          // guarded by mutex_
  std::vector<ScriptedRequest> requests_;  // guarded by mutex_
  std::vector<std::thread> threads_;       // of the accepting thread until it has ended
  std::thread acceptor_;
};

}  // namespace colloquy::net::testing
