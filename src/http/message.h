// A request and a response, as a handler sees them. No Beast type shows here.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "base/task.h"
#include "base/trace_context.h"

namespace colloquy::http {

enum class Method : std::uint8_t { kGet, kHead, kPost, kPut, kPatch, kDelete, kOptions, kOther };
std::string_view method_name(Method method);  // "GET"; "OTHER" for kOther

struct Header {
  std::string name;
  std::string value;
};

// First header of that name, compared without case; nullopt when there is none.
std::optional<std::string_view> find_header(const std::vector<Header>& headers,
                                            std::string_view name);

// How many headers have that name.
std::size_t count_headers(const std::vector<Header>& headers, std::string_view name);

// Decodes %XX (and, in a query, '+'). nullopt when an escape is cut or not hexadecimal, or the
// result is not valid UTF-8 or holds a NUL.
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space);

// A body that was not all there: what to answer, and a sentence for the client. 408 past the
// listener's deadline, 413 past the route's limit, 400 where it is cut off or its chunks are not
// well-formed.
class BodyFailure : public std::exception {
 public:
  // `reason` is a literal.
  BodyFailure(int status, std::string_view reason) : status_(status), reason_(reason) {}
  int status() const { return status_; }
  std::string_view reason() const { return reason_; }
  const char* what() const noexcept override { return reason_.data(); }

 private:
  int status_;
  std::string_view reason_;
};

// The body of a request that is handled while it arrives.
class BodyReader {
 public:
  virtual ~BodyReader() = default;
  // The next piece, valid until the next call; empty at the end of the body. A client that awaits
  // "100 Continue" is told so by the first call. Throws BodyFailure.
  virtual Task<std::string_view> read() = 0;
  // As declared by Content-Length; nullopt for a chunked body.
  virtual std::optional<std::uint64_t> length() const = 0;
};

struct Request {
  Method method = Method::kGet;
  std::string method_text;  // as sent
  std::string target;       // as sent: path and query
  std::string path;         // undecoded, without the query
  std::vector<Header> headers;
  std::string body;  // whole, at most the limit of the listener; empty where it is streamed
  // Where the route streams; lives until the response has been written, so that the response's own
  // stream may read it too.
  BodyReader* body_stream = nullptr;
  std::string peer;  // address:port of the other side
  bool tls = false;
  bool keep_alive = true;

  // Filled on the way in by the middleware and the router.
  std::string request_id;
  TraceContext trace;
  std::string_view route;                                  // its template; "" before routing
  std::vector<std::pair<std::string, std::string>> query;  // decoded, in order
  std::vector<std::pair<std::string_view, std::string>> path_parameters;  // decoded
  UserId user;  // set by the authentication middleware

  std::optional<std::string_view> header(std::string_view name) const {
    return find_header(headers, name);
  }
  // Null when absent. The last one wins where a name is repeated.
  const std::string* query_parameter(std::string_view name) const;
  // Empty when the template has no such parameter.
  const std::string& path_parameter(std::string_view name) const;
};

// Writes a body piece by piece. Each write waits until the socket has taken it,
// within the listener's write deadline. Throws ConnectionClosed when the client
// is gone or too slow.
class BodyWriter {
 public:
  virtual ~BodyWriter() = default;
  virtual Task<> write(std::string_view piece) = 0;
  // Trailing state is not an error of the client's: aborts the connection so that
  // the client sees a cut body and never a seemingly whole one.
  virtual void abort() = 0;
};

class ConnectionClosed : public std::exception {
 public:
  const char* what() const noexcept override { return "the connection is closed"; }
};

struct Response {
  int status = 200;
  std::vector<Header> headers;  // without Content-Length, Transfer-Encoding, Date, Connection
  std::string body;             // used when `stream` is empty
  // Chunked (HTTP/1.1) or until close (HTTP/1.0). The status line is sent before the first piece.
  std::function<Task<>(BodyWriter&)> stream;
  // Content-Length of what `stream` writes, where that is known; an answer to HEAD needs no stream
  // for it. A stream that then writes more or less is cut off.
  std::optional<std::uint64_t> stream_bytes;
  bool close = false;  // end the connection after this response

  void set_header(std::string name, std::string value);
  // What the log and the metrics say went wrong, if something did; never sent.
  std::string log_detail;
};

}  // namespace colloquy::http
