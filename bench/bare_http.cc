// What a read is measured against: Beast and coroutines with nothing behind them.
// One event loop a thread, each with its own SO_REUSEPORT listener, as the server
// has; every request is answered with the same body.
//
//   bench_bare_http --threads 2 --body-bytes 6000
//   listening on 127.0.0.1:41234
//
// Runs until it is ended by a signal.
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "program.h"

namespace colloquy::bench {
namespace {

namespace asio = boost::asio;
namespace beast_http = boost::beast::http;
using Executor = asio::io_context::executor_type;
using Socket = asio::basic_stream_socket<asio::ip::tcp, Executor>;
using Acceptor = asio::basic_socket_acceptor<asio::ip::tcp, Executor>;
using ReusePort = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;
constexpr auto kAwait = asio::as_tuple(asio::deferred);

asio::awaitable<void, Executor> serve(Socket socket, const std::string& body) {
  socket.set_option(asio::ip::tcp::no_delay(true));
  boost::beast::flat_buffer buffer;
  beast_http::response<beast_http::span_body<const char>> response;
  response.set(beast_http::field::content_type, "application/json");
  response.body() = boost::beast::span<const char>(body.data(), body.size());
  response.prepare_payload();
  while (true) {
    beast_http::request<beast_http::string_body> request;
    auto [read_error, received] = co_await beast_http::async_read(socket, buffer, request, kAwait);
    if (read_error) co_return;
    auto [write_error, sent] = co_await beast_http::async_write(socket, response, kAwait);
    if (write_error || !request.keep_alive()) co_return;
  }
}

asio::awaitable<void, Executor> accept(Acceptor& acceptor, const std::string& body) {
  while (true) {
    auto [error, socket] = co_await acceptor.async_accept(kAwait);
    if (error) continue;
    asio::co_spawn(acceptor.get_executor(), serve(std::move(socket), body), asio::detached);
  }
}

struct Loop {
  explicit Loop(asio::ip::tcp::endpoint endpoint) : acceptor(context) {
    acceptor.open(endpoint.protocol());
    acceptor.set_option(asio::socket_base::reuse_address(true));
    acceptor.set_option(ReusePort(true));
    acceptor.bind(endpoint);
    acceptor.listen();
  }
  asio::io_context context{1};
  Acceptor acceptor;
};

void run(unsigned threads, unsigned short port, std::size_t body_bytes) {
  const std::string body(body_bytes, 'x');
  std::vector<std::unique_ptr<Loop>> loops;
  asio::ip::tcp::endpoint endpoint(asio::ip::address_v4::loopback(), port);
  for (unsigned i = 0; i < threads; ++i) {
    loops.push_back(std::make_unique<Loop>(endpoint));
    endpoint = loops.front()->acceptor.local_endpoint();
  }
  std::cout << "listening on " << endpoint << std::endl;
  std::vector<std::thread> running;
  for (auto& loop : loops) {
    asio::co_spawn(loop->context, accept(loop->acceptor, body), asio::detached);
    running.emplace_back([&loop] { loop->context.run(); });
  }
  for (auto& thread : running) thread.join();
}

}  // namespace
}  // namespace colloquy::bench

int main(int argc, char** argv) {
  CLI::App flags("Answers every request with one body.", "bench_bare_http");
  unsigned threads = std::thread::hardware_concurrency();
  unsigned short port = 0;
  std::size_t body_bytes = 0;
  flags.add_option("--threads", threads, "Event loops.")->check(CLI::Range(1, 1024));
  flags.add_option("--port", port, "Port on 127.0.0.1; 0 takes a free one.");
  flags.add_option("--body-bytes", body_bytes, "Size of the body.")->required();
  return colloquy::bench::run_program(flags, argc, argv,
                                      [&] { colloquy::bench::run(threads, port, body_bytes); });
}
