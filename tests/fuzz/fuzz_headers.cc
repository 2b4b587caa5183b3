// What stands inside header fields, and what comes out in a response's head.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdint>

#include "base/trace_context.h"
#include "check.h"
#include "http/header_values.h"
#include "http/middleware.h"
#include "http/representation.h"
#include "http/response_head.h"

namespace {

namespace http = colloquy::http;
using colloquy::Task;

void check_values(std::string_view text) {
  std::string_view list = text;
  while (const auto element = http::next_list_element(list)) {
    COLLOQUY_CHECK(!element->empty());
    COLLOQUY_CHECK(http::trim(*element) == *element);
  }
  COLLOQUY_CHECK(list.empty());
  if (http::accepts_gzip(text)) {
    COLLOQUY_CHECK(text.find_first_of("gG*") != std::string_view::npos);
  }
}

void check_representation(std::string_view text, std::string_view other) {
  for (const std::uint64_t bytes :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1000}, UINT64_MAX}) {
    const auto choice = http::choose_range(text, bytes);
    if (choice.kind != http::RangeChoice::Kind::kPart) continue;
    COLLOQUY_CHECK(choice.bytes > 0 && choice.first < bytes &&
                   choice.bytes <= bytes - choice.first);
  }
  COLLOQUY_CHECK(!http::if_range_holds(text, "tag") || http::trim(text) == "\"tag\"");
  http::Request request;
  request.headers = {{"Content-Digest", std::string(text)},
                     {"Content-Digest", std::string(other)},
                     {"If-None-Match", std::string(text)}};
  http::parse_content_digest(request);
  http::parse_entity_tags(request, "If-None-Match");
  const auto disposition = http::content_disposition("inline", text);
  for (const char c : disposition) COLLOQUY_CHECK(c >= 0x20 && c < 0x7F);
  COLLOQUY_CHECK(disposition.find('"', 18) == disposition.find("\"; f", 18) ||
                 disposition.find('"', 18) == disposition.size() - 1);
}

void check_head(std::string_view name, std::string_view value) {
  http::Response response;
  response.headers = {{std::string(name), std::string(value)}};
  http::add_vary(response, "Origin");
  std::string head;
  http::append_head(head, response, {});
  // However the handler's header looks, it is one line, and the head has one end.
  COLLOQUY_CHECK(head.find("\r\n\r\n") == head.size() - 4);
  COLLOQUY_CHECK(head.find('\0') == std::string::npos);
  std::size_t lines = 0;
  for (const char c : head) lines += c == '\n' ? 1 : 0;
  COLLOQUY_CHECK(lines <= 6);
}

void check_trace(std::string_view parent, std::string_view state) {
  const auto trace = colloquy::continue_trace(parent, state);
  COLLOQUY_CHECK(trace.trace_id.size() == 32 && trace.span_id.size() == 16);
  COLLOQUY_CHECK(trace.trace_state.size() <= 512);
  for (const char c : trace.trace_state) COLLOQUY_CHECK(c >= 0x20 && c < 0x7F);
  // What is passed on is valid itself, and nothing of it is lost on the way.
  const auto next = colloquy::continue_trace(colloquy::traceparent(trace), trace.trace_state);
  COLLOQUY_CHECK(next.trace_id == trace.trace_id && next.flags == trace.flags);
  COLLOQUY_CHECK(next.trace_state == trace.trace_state);
}

Task<http::Response> answer(http::Request& request) {
  http::Response response;
  response.set_header("Content-Type", "application/json");
  response.set_header("ETag", std::string(request.header("If-Match").value_or("\"1\"")));
  response.body.assign(100, ' ');
  co_return response;
}

Task<> run_middleware(const http::Handler& handler, http::Request& request) {
  const http::Response response = co_await handler(request);
  COLLOQUY_CHECK(response.status == 200 || response.status == 204);
}

void check_middleware(std::string_view first, std::string_view second) {
  static const http::Handler handler =
      http::chain({http::cors({{"https://a.example"}}), http::gzip(10)}, answer);
  http::Request request;
  request.method = first.size() % 2 == 0 ? http::Method::kGet : http::Method::kOptions;
  request.headers = {{"Accept-Encoding", std::string(second)},
                     {"Origin", std::string(second)},
                     {"Access-Control-Request-Method", std::string(first)},
                     {"If-None-Match", std::string(first)},
                     {"If-Match", std::string(first)}};
  boost::asio::io_context loop;
  boost::asio::co_spawn(loop, run_middleware(handler, request), boost::asio::detached);
  loop.run();
}

}  // namespace

// The input is two values with a line feed between them.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t cut = std::min(text.find('\n'), text.size());
  const std::string_view first = text.substr(0, cut);
  const std::string_view second = text.substr(std::min(cut + 1, text.size()));
  check_values(first);
  check_values(second);
  check_representation(first, second);
  check_head(first, second);
  check_middleware(first, second);
  check_trace(first, second);
  return 0;
}
