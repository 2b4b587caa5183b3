// Reads one HTTP/1.x request (RFC 9112) from bytes as they come, into a Request. Stricter than
// Beast's parser where two readers of one message could disagree about its end: one
// Content-Length, no Content-Length with Transfer-Encoding, no coding but "chunked", one Host.
//
// One object for each request. Not thread-safe. Includes Beast: only the connection uses it.
#pragma once

#include <boost/beast/http/basic_parser.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/message.h"
#include "http/server.h"

namespace colloquy::http {

// Why a request was not understood: the status to answer and a sentence for the client.
struct Refusal {
  int status = 0;  // 0: not refused
  std::string_view reason;
};

class RequestParser final : public boost::beast::http::basic_parser<true> {
 public:
  enum class Progress : std::uint8_t { kNeedMore, kComplete, kRefused };

  // All outlive the parser; `request` must be as new. Without `streamed` every body is whole.
  RequestParser(Request& request, const ServerLimits& limits,
                const StreamedBody* streamed = nullptr);

  // Takes bytes off the front of `bytes`; what is left over must be given again, with more behind
  // it. After kComplete the rest belongs to the next request.
  Progress feed(std::string_view& bytes);

  // The head is read and the client waits for "100 Continue" before it sends the body.
  bool awaits_continue() const { return awaits_continue_; }
  bool is_http_1_1() const { return http_1_1_; }
  bool head_complete() const { return is_header_done(); }
  // The body is for the handler to read: what has arrived of it is taken out of the request's body
  // by whoever feeds.
  bool streams() const { return streams_; }
  std::optional<std::uint64_t> declared_bytes() const { return declared_bytes_; }
  const Refusal& refusal() const { return refusal_; }

 private:
  using Error = boost::beast::error_code;
  using String = boost::beast::string_view;
  using Verb = boost::beast::http::verb;
  using Field = boost::beast::http::field;

  void on_request_impl(Verb verb, String method, String target, int version, Error& error) override;
  void on_response_impl(int, String, int, Error&) override {}
  void on_field_impl(Field field, String name, String value, Error& error) override;
  void on_header_impl(Error& error) override;
  void on_body_init_impl(const boost::optional<std::uint64_t>& length, Error& error) override;
  std::size_t on_body_impl(String body, Error& error) override;
  void on_chunk_header_impl(std::uint64_t bytes, String extension, Error& error) override;
  std::size_t on_chunk_body_impl(std::uint64_t, String body, Error& error) override;
  void on_finish_impl(Error& error) override { error = {}; }

  bool take_target(std::string_view target);
  void refuse(int status, std::string_view reason, Error& error);
  void refuse_for(const Error& error);

  Request& request_;
  const ServerLimits& limits_;
  Refusal refusal_;
  std::size_t head_bytes_ = 0;
  int hosts_ = 0;
  bool http_1_1_ = true;
  const StreamedBody* streamed_;
  std::optional<std::uint64_t> declared_bytes_;
  std::uint64_t most_body_bytes_ = 0;
  std::uint64_t body_bytes_ = 0;
  bool streams_ = false;
  bool awaits_continue_ = false;
};

}  // namespace colloquy::http
