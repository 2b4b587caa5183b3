#include "net/connection.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <optional>
#include <utility>

#include "net/resolve.h"

namespace colloquy::net {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using boost::system::error_code;
using TlsStream = asio::ssl::stream<beast::tcp_stream&>;

constexpr std::size_t kWriteBytes = std::size_t{64} * 1024;

// Past the connection's making, whatever is not a deadline is a connection that is no more.
NetError stream_failure(const error_code& error) {
  if (error == beast::error::timeout) return {NetFailure::kTimeout, "timed out"};
  return {NetFailure::kClosed, "connection lost: " + error.message()};
}

}  // namespace

struct Connection::State {
  explicit State(asio::any_io_executor executor) : tcp(std::move(executor)) {}

  // What is pending ends with operation_aborted.
  void close() { tcp.close(); }

  beast::tcp_stream tcp;
  std::optional<TlsStream> tls;
};

namespace {

// Lets a cancel close the connection for as long as it lives.
template <class State>
void close_on_cancel(CancelState& cancel, const std::shared_ptr<State>& state) {
  cancel.on_request([weak = std::weak_ptr<State>(state)] {
    if (const auto alive = weak.lock()) alive->close();
  });
}

std::string tls_failure_detail(SSL* ssl, const error_code& error) {
  const long verified = SSL_get_verify_result(ssl);
  if (verified == X509_V_OK) return "TLS handshake: " + error.message();
  return std::string("TLS certificate: ") + X509_verify_cert_error_string(verified);
}

}  // namespace

Connection::Connection(asio::any_io_executor executor)
    : state_(std::make_shared<State>(std::move(executor))) {}
Connection::~Connection() { close(); }

asio::any_io_executor Connection::executor() const { return state_->tcp.get_executor(); }

Task<> Connection::connect(const std::string& host, std::uint16_t port, TimePoint deadline,
                           const std::shared_ptr<CancelState>& cancel) {
  const auto endpoints = co_await resolve(host, port, deadline, cancel);
  close_on_cancel(*cancel, state_);
  error_code error;
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    const auto now = std::chrono::steady_clock::now();
    const auto left = std::max(deadline - now, TimePoint::duration::zero());
    state_->tcp.expires_at(now + left / static_cast<int>(endpoints.size() - i));
    error = {};
    co_await state_->tcp.async_connect(endpoints[i],
                                       asio::redirect_error(asio::use_awaitable, error));
    cancel->check();
    if (!error) {
      error_code ignored;
      state_->tcp.socket().set_option(tcp::no_delay(true), ignored);
      co_return;
    }
    state_->tcp.close();
  }
  const std::string where = host + ":" + std::to_string(port);
  if (error == beast::error::timeout) {
    throw NetError(NetFailure::kTimeout, "connecting to " + where + " timed out");
  }
  throw NetError(NetFailure::kConnect, "cannot connect to " + where + ": " + error.message());
}

Task<> Connection::handshake(asio::ssl::context& context, const std::string& host,
                             TimePoint deadline, const std::shared_ptr<CancelState>& cancel) {
  close_on_cancel(*cancel, state_);
  state_->tls.emplace(state_->tcp, context);
  SSL* const ssl = state_->tls->native_handle();
  error_code not_numeric;
  asio::ip::make_address(host, not_numeric);
  if (not_numeric && SSL_set_tlsext_host_name(ssl, host.c_str()) != 1) {
    throw NetError(NetFailure::kTls, "cannot name the host in the TLS handshake");
  }
  state_->tls->set_verify_mode(asio::ssl::verify_peer);
  state_->tls->set_verify_callback(asio::ssl::host_name_verification(host));
  state_->tcp.expires_at(deadline);
  error_code error;
  co_await state_->tls->async_handshake(asio::ssl::stream_base::client,
                                        asio::redirect_error(asio::use_awaitable, error));
  cancel->check();
  if (!error) co_return;
  if (error == beast::error::timeout) {
    throw NetError(NetFailure::kTimeout, "TLS handshake with " + host + " timed out");
  }
  throw NetError(NetFailure::kTls, host + ": " + tls_failure_detail(ssl, error));
}

Task<> Connection::write(std::string_view bytes, std::chrono::milliseconds idle,
                         const std::shared_ptr<CancelState>& cancel) {
  close_on_cancel(*cancel, state_);
  while (!bytes.empty()) {
    state_->tcp.expires_after(idle);
    const asio::const_buffer piece(bytes.data(), std::min(bytes.size(), kWriteBytes));
    error_code error;
    std::size_t written = 0;
    if (state_->tls) {
      written = co_await state_->tls->async_write_some(
          piece, asio::redirect_error(asio::use_awaitable, error));
    } else {
      written = co_await state_->tcp.async_write_some(
          piece, asio::redirect_error(asio::use_awaitable, error));
    }
    cancel->check();
    if (error) throw stream_failure(error);
    bytes.remove_prefix(written);
  }
}

Task<std::size_t> Connection::read_some(char* data, std::size_t size, TimePoint deadline,
                                        const std::shared_ptr<CancelState>& cancel) {
  close_on_cancel(*cancel, state_);
  state_->tcp.expires_at(deadline);
  const asio::mutable_buffer space(data, size);
  error_code error;
  std::size_t read = 0;
  if (state_->tls) {
    read = co_await state_->tls->async_read_some(space,
                                                 asio::redirect_error(asio::use_awaitable, error));
  } else {
    read = co_await state_->tcp.async_read_some(space,
                                                asio::redirect_error(asio::use_awaitable, error));
  }
  cancel->check();
  if (error == asio::error::eof) co_return 0;
  if (error) throw stream_failure(error);
  co_return read;
}

void Connection::close() { state_->close(); }

bool Connection::spent() const {
  char byte = 0;
  const auto received =
      ::recv(state_->tcp.socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return received >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

}  // namespace colloquy::net
