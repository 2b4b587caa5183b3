#include "http/server.h"

#include <sys/socket.h>

#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <optional>
#include <utility>

#include "http/connection_set.h"
#include "http/session.h"
#include "http/tls_context.h"
#include "telemetry/log.h"

namespace colloquy::http {

namespace asio = boost::asio;
using Tcp = asio::ip::tcp;

namespace {

using Acceptor = asio::basic_socket_acceptor<Tcp, asio::io_context::executor_type>;

// How many connections past the limit are told so at a time; those past them are just closed.
constexpr std::size_t kRefusedConnections = 64;
constexpr std::chrono::milliseconds kAcceptPause{50};

std::string text_of(const Tcp::endpoint& endpoint) {
  const auto address = endpoint.address();
  const std::string host = address.is_v6() ? "[" + address.to_string() + "]" : address.to_string();
  return host + ":" + std::to_string(endpoint.port());
}

Acceptor listen(asio::io_context& loop, const Tcp::endpoint& endpoint) {
  Acceptor acceptor(loop);
  acceptor.open(endpoint.protocol());
  acceptor.set_option(asio::socket_base::reuse_address(true));
  const int on = 1;
  if (::setsockopt(acceptor.native_handle(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) {
    throw boost::system::system_error(errno, boost::system::system_category());
  }
  acceptor.bind(endpoint);
  acceptor.listen(asio::socket_base::max_listen_connections);
  return acceptor;
}

// SO_REUSEPORT would let a second server of the same user share the port unnoticed.
void require_unused(asio::io_context& loop, const Tcp::endpoint& endpoint) {
  Acceptor probe(loop);
  probe.open(endpoint.protocol());
  probe.set_option(asio::socket_base::reuse_address(true));
  probe.bind(endpoint);
}

// Of one event loop; everything on that loop only.
struct Listener {
  Listener(asio::io_context& io_context, Acceptor bound, const ServerLimits& limits)
      : loop(io_context),
        acceptor(std::move(bound)),
        set(std::make_shared<ConnectionSet>(io_context, limits)) {}

  void stop() {
    boost::system::error_code ignored;
    acceptor.close(ignored);
    set->stop();
  }

  // For before stop(), which resets those that the system has let in and nobody has accepted yet.
  void accept_waiting();

  asio::io_context& loop;
  Acceptor acceptor;
  std::shared_ptr<ConnectionSet> set;
  std::shared_ptr<SessionShared> shared;
  std::shared_ptr<TlsCertificate> certificate;  // null: plain
};

void admit(const Listener& listener, Socket socket) {
  const std::size_t connections = listener.shared->connections.load(std::memory_order_relaxed);
  const std::size_t limit = listener.shared->limits.connections;
  SessionOptions options;
  options.too_many = connections >= limit;
  if (options.too_many && connections >= limit + kRefusedConnections) return;
  // Under TLS an answer would cost a handshake, which is what there is too much of.
  if (options.too_many && listener.certificate) return;
  boost::system::error_code error;
  const auto peer = socket.remote_endpoint(error);
  if (error) return;  // gone already
  options.peer = text_of(peer);
  options.shared = listener.shared;
  options.set = listener.set;
  if (listener.certificate) options.tls = listener.certificate->current();
  start_session(std::move(socket), std::move(options));
}

void Listener::accept_waiting() {
  boost::system::error_code error;
  acceptor.non_blocking(true, error);
  while (!error) {
    Socket socket(loop);
    acceptor.accept(socket, error);
    if (!error) admit(*this, std::move(socket));
    if (error == asio::error::connection_aborted) error.clear();
  }
}

Task<> accept_connections(std::shared_ptr<Listener> listener) {
  asio::steady_timer pause(listener->loop);
  for (;;) {
    auto [error, socket] = co_await listener->acceptor.async_accept(asio::as_tuple(asio::deferred));
    if (!error) admit(*listener, std::move(socket));
    if (!listener->acceptor.is_open()) co_return;
    if (error && error != asio::error::connection_aborted) {
      // Out of descriptors, most likely: what is there must end first.
      telemetry::log_warning("http.accept_failed", {{"error", error.message()}});
      pause.expires_after(kAcceptPause);
      co_await pause.async_wait(asio::as_tuple(asio::deferred));
      if (!listener->acceptor.is_open()) co_return;
    }
  }
}

}  // namespace

struct Server::Impl {
  std::shared_ptr<SessionShared> shared = std::make_shared<SessionShared>();
  std::vector<std::shared_ptr<Listener>> listeners;
  unsigned short port = 0;

  void bind(const std::vector<asio::io_context*>& loops, const ServerOptions& options) {
    boost::system::error_code error;
    const auto address = asio::ip::make_address(options.address, error);
    if (error) throw Error(ErrorCode::kInvalid, "Not an IP address: " + options.address);
    port = options.port;
    try {
      if (port != 0 && !loops.empty()) require_unused(*loops.front(), Tcp::endpoint(address, port));
      for (asio::io_context* loop : loops) {
        Acceptor acceptor = listen(*loop, Tcp::endpoint(address, port));
        port = acceptor.local_endpoint().port();
        listeners.push_back(std::make_shared<Listener>(*loop, std::move(acceptor), options.limits));
      }
    } catch (const boost::system::system_error& failure) {
      throw Error(ErrorCode::kInvalid,
                  "Cannot listen on " + text_of({address, port}) + ": " + failure.code().message());
    }
  }

  template <class Action>
  void on_each_loop(Action action) {
    for (const auto& listener : listeners) {
      asio::post(listener->loop, [listener, action] { action(*listener); });
    }
  }
};

Server::Server(std::vector<asio::io_context*> loops, ServerOptions options, Handler handle,
               EarlyReply early_reply)
    : impl_(std::make_unique<Impl>()) {
  std::shared_ptr<TlsCertificate> certificate;
  if (options.tls_certificate_file.empty() != options.tls_key_file.empty()) {
    throw Error(ErrorCode::kInvalid, "TLS needs both a certificate and a key");
  }
  if (!options.tls_certificate_file.empty()) {
    certificate =
        std::make_shared<TlsCertificate>(options.tls_certificate_file, options.tls_key_file);
  }
  impl_->shared->limits = options.limits;
  impl_->shared->streamed_body = options.streamed_body;
  impl_->shared->handle = std::move(handle);
  impl_->shared->early_reply = std::move(early_reply);
  impl_->bind(loops, options);
  for (auto& listener : impl_->listeners) {
    listener->shared = impl_->shared;
    listener->certificate = certificate;
  }
}

Server::~Server() {
  impl_->on_each_loop([](Listener& listener) {
    listener.stop();
    listener.set->close_all();
  });
}

void Server::start() {
  for (const auto& listener : impl_->listeners) {
    asio::co_spawn(listener->loop, accept_connections(listener), asio::detached);
  }
}

unsigned short Server::port() const { return impl_->port; }

std::size_t Server::connections() const {
  // A listener that has yet to stop may still have one to accept.
  return impl_->shared->connections.load() + impl_->shared->stopping_listeners.load();
}

void Server::stop_accepting() {
  impl_->shared->stopping_listeners += impl_->listeners.size();
  impl_->on_each_loop([](Listener& listener) {
    listener.accept_waiting();
    listener.stop();
    --listener.shared->stopping_listeners;
  });
}

void Server::close_all() {
  impl_->on_each_loop([](Listener& listener) { listener.set->close_all(); });
}

}  // namespace colloquy::http
