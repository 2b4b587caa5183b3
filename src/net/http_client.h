// Outgoing HTTP/1.1 on the caller's event loop: a pool of connections for each
// endpoint and event loop, TLS with the host checked, deadlines on every wait.
//
// A client may be used from many event loops at once; a ResponseStream belongs to the one it was
// opened on. Destroy the client once its event loops have stopped and before they are destroyed.
// Redirects are not followed, and nothing is decompressed.
#pragma once

#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/task.h"
#include "base/trace_context.h"

namespace colloquy::net {

struct HeaderField {
  std::string name;
  std::string value;
};

struct Deadlines {
  std::chrono::milliseconds connect{5'000};      // resolve, connect and TLS handshake
  std::chrono::milliseconds first_byte{60'000};  // from the request sent to the response's header
  std::chrono::milliseconds idle{60'000};        // between two pieces of the body
};

struct HttpRequest {
  std::string method = "GET";
  std::string url;  // http:// or https://
  // An IP address to connect to, past any proxy, instead of looking the URL's host up; the host is
  // still what is asked for, and what the certificate must be good for.
  std::string connect_to;
  std::vector<HeaderField> headers;  // Host and Content-Length are added (Host unless given)
  std::string body;
  Deadlines deadlines;
  // Whether it may go out twice where a reused connection turns out to be closed: the server may
  // have got it the first time.
  bool resend_when_closed = true;
};

// Tells the other end the trace that the call is made within, with the caller's span as its parent
// (W3C Trace Context); nothing where there is none.
void add_trace(HttpRequest& request, const TraceContext& trace);

// Where a call failed; what happened at the other end is unknown past kConnect and kTls. kBadUrl:
// the URL, the method or a header field cannot be sent (a line end within it, for one).
enum class NetFailure {
  kBadUrl,
  kResolve,
  kConnect,
  kTls,
  kTimeout,
  kClosed,
  kMalformed,
  kTooLarge,
  kCancelled
};

class NetError : public std::exception {
 public:
  NetError(NetFailure failure, std::string detail)
      : failure_(failure), detail_(std::move(detail)) {}
  NetFailure failure() const { return failure_; }
  const char* what() const noexcept override { return detail_.c_str(); }  // for the log

 private:
  NetFailure failure_;
  std::string detail_;
};

// A response whose body is read piece by piece. Destroying it before its end closes the connection;
// after its end the connection goes back to the pool.
class ResponseStream {
 public:
  virtual ~ResponseStream() = default;
  virtual int status() const = 0;
  virtual std::optional<std::string> header(std::string_view name) const = 0;
  // The next piece; nullopt at the end of the body. Throws NetError (kClosed when the body is cut).
  virtual Task<std::optional<std::string>> read() = 0;
  // Ends a wait in read() with kCancelled. On the event loop of the stream.
  virtual void cancel() = 0;
};

struct HttpResponse {
  int status = 0;
  std::vector<HeaderField> headers;
  std::string body;
};

class HttpClient {
 public:
  struct Options {
    std::size_t idle_connections_per_endpoint = 32;
    std::string ca_file;      // empty: the system's
    std::string https_proxy;  // URL of a CONNECT proxy; empty: none. From HTTPS_PROXY
    std::string no_proxy;     // comma-separated host suffixes. From NO_PROXY
  };
  // Throws Error(kInvalid) when ca_file cannot be read or https_proxy is no URL of a proxy.
  explicit HttpClient(Options options);
  ~HttpClient();

  // Sends the request and waits for the response's header. A reused connection that turns out to
  // be closed before any byte of the response came is replaced by a new one, once, if
  // the request allows that. `on_cancelable`, where given, receives a function that ends the wait
  // with kCancelled.
  Task<std::unique_ptr<ResponseStream>> open(
      HttpRequest request, std::function<void(std::function<void()>)> on_cancelable = {});
  // The whole response, its body at most max_body_bytes (else kTooLarge).
  Task<HttpResponse> fetch(HttpRequest request, std::size_t max_body_bytes);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace colloquy::net
