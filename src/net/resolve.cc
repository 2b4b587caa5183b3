#include "net/resolve.h"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace colloquy::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

// A name's lookup cannot be interrupted: it goes on behind the coroutine that gave up on it.
struct Lookup {
  explicit Lookup(const asio::any_io_executor& executor) : resolver(executor), timer(executor) {}
  tcp::resolver resolver;
  asio::steady_timer timer;
  bool done = false;
  error_code error;
  tcp::resolver::results_type results;
};

}  // namespace

Task<std::vector<tcp::endpoint>> resolve(std::string host, std::uint16_t port,
                                         std::chrono::steady_clock::time_point deadline,
                                         std::shared_ptr<CancelState> cancel) {
  std::vector<tcp::endpoint> endpoints;
  error_code not_numeric;
  const auto address = asio::ip::make_address(host, not_numeric);
  if (!not_numeric) {
    endpoints.emplace_back(address, port);
    co_return endpoints;
  }
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  const auto lookup = std::make_shared<Lookup>(executor);
  lookup->timer.expires_at(deadline);
  lookup->resolver.async_resolve(
      host, std::to_string(port),
      [lookup](const error_code& error, tcp::resolver::results_type results) {
        lookup->done = true;
        lookup->error = error;
        lookup->results = std::move(results);
        lookup->timer.cancel();
      });
  cancel->on_request([lookup] { lookup->timer.cancel(); });
  error_code ignored;
  co_await lookup->timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  cancel->on_request({});
  cancel->check();
  if (!lookup->done) throw NetError(NetFailure::kTimeout, "resolving " + host + " timed out");
  for (const auto& entry : lookup->results) endpoints.push_back(entry.endpoint());
  if (lookup->error || endpoints.empty()) {
    throw NetError(NetFailure::kResolve, "cannot resolve " + host + ": " + lookup->error.message());
  }
  co_return endpoints;
}

}  // namespace colloquy::net
