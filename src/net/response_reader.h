// Parses one HTTP/1.1 response as its bytes come (RFC 9112), whatever the size of the pieces.
//
// The owner reads from the connection into space(), then calls commit() with what came, or end()
// at the end of the stream. Neither throws for what the peer sent: failure() says it, after the
// body that came before it was taken. Not thread-safe.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/http_client.h"

namespace colloquy::net {

class ResponseReader {
 public:
  static constexpr std::size_t kHeaderBytesMax = std::size_t{64} * 1024;

  enum class Body { kAsTheHeaderSays, kNone };  // kNone: the answer to HEAD or CONNECT
  explicit ResponseReader(Body body);
  ~ResponseReader();
  ResponseReader(const ResponseReader&) = delete;
  ResponseReader& operator=(const ResponseReader&) = delete;

  struct Space {
    char* data;
    std::size_t size;
  };
  Space space();
  void commit(std::size_t size);
  void end();

  bool got_bytes() const;    // any byte of a response came
  bool header_done() const;  // of the final response; informational ones (1xx) are passed over
  bool done() const;         // the body is complete
  const std::optional<NetError>& failure() const;

  int status() const;  // these once header_done()
  std::optional<std::string> header(std::string_view name) const;
  std::vector<HeaderField> headers() const;
  // What came of the body since the last call.
  std::string take_body();
  // Once done(): whether the connection may carry another request.
  bool reusable() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace colloquy::net
