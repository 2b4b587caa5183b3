#include "net/http_client.h"

#include <openssl/ssl.h>

#include <algorithm>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/this_coro.hpp>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "net/cancel_state.h"
#include "net/connection.h"
#include "net/connection_pool.h"
#include "net/proxy.h"
#include "net/response_reader.h"
#include "net/url.h"

namespace colloquy::net {
namespace {

namespace asio = boost::asio;
using std::chrono::steady_clock;

// A body up to this size goes out with its header in one write.
constexpr std::size_t kJoinedBodyBytes = std::size_t{64} * 1024;

bool token_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), token_character);
}

bool is_field_value(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t') || byte == 0x7f;
  });
}

bool has_header(const HttpRequest& request, std::string_view name) {
  return std::any_of(request.headers.begin(), request.headers.end(), [&](const HeaderField& field) {
    return equals_ignoring_case(field.name, name);
  });
}

// Throws kBadUrl for whatever would let one part of the request pass for another.
Url checked_url(const HttpRequest& request) {
  const auto url = parse_url(request.url);
  if (!url || !url->user_info.empty()) {
    throw NetError(NetFailure::kBadUrl, "not an http or https URL without a user");
  }
  if (!is_token(request.method)) throw NetError(NetFailure::kBadUrl, "method is not a token");
  for (const HeaderField& field : request.headers) {
    if (!is_token(field.name) || !is_field_value(field.value)) {
      throw NetError(NetFailure::kBadUrl, "header field cannot be sent");
    }
    if (equals_ignoring_case(field.name, "Content-Length") ||
        equals_ignoring_case(field.name, "Transfer-Encoding") ||
        equals_ignoring_case(field.name, "Connection")) {
      throw NetError(NetFailure::kBadUrl, "header field " + field.name + " is the client's own");
    }
  }
  return *url;
}

std::string request_head(const HttpRequest& request, const Url& url) {
  std::string head = request.method + " " + url.target + " HTTP/1.1\r\n";
  const auto add = [&head](std::string_view name, std::string_view value) {
    head.append(name).append(": ").append(value).append("\r\n");
  };
  if (!has_header(request, "Host")) add("Host", url.authority());
  if (!has_header(request, "User-Agent")) add("User-Agent", "colloquy");
  for (const HeaderField& field : request.headers) add(field.name, field.value);
  const bool body_expected =
      request.method == "POST" || request.method == "PUT" || request.method == "PATCH";
  if (!request.body.empty() || body_expected) {
    add("Content-Length", std::to_string(request.body.size()));
  }
  return head + "\r\n";
}

asio::ssl::context make_tls_context(const std::string& ca_file) {
  asio::ssl::context context(asio::ssl::context::tls_client);
  SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION);
  context.set_verify_mode(asio::ssl::verify_peer);
  boost::system::error_code error;
  if (ca_file.empty()) {
    context.set_default_verify_paths(error);
  } else {
    context.load_verify_file(ca_file, error);
  }
  if (error) {
    throw Error(ErrorCode::kInvalid, "The file of certificate authorities cannot be read.",
                ca_file + ": " + error.message());
  }
  // "http/1.1" with its length: a server that could also speak HTTP/2 must not.
  static constexpr unsigned char kProtocols[] = "\x08http/1.1";
  SSL_CTX_set_alpn_protos(context.native_handle(), kProtocols, sizeof(kProtocols) - 1);
  return context;
}

// What all requests of a client share.
struct ClientCore {
  explicit ClientCore(const HttpClient::Options& options)
      : tls(make_tls_context(options.ca_file)),
        proxy(options.https_proxy, options.no_proxy),
        pool(options.idle_connections_per_endpoint) {}

  asio::ssl::context tls;  // not changed any more, so that loops may share it
  const ProxySettings proxy;
  ConnectionPool pool;
};

// One request on one connection, and its response.
class Exchange final : public ResponseStream {
 public:
  Exchange(std::shared_ptr<ClientCore> client, std::string endpoint,
           std::shared_ptr<Connection> connection, std::shared_ptr<CancelState> cancel,
           Deadlines deadlines, ResponseReader::Body body)
      : client_(std::move(client)),
        endpoint_(std::move(endpoint)),
        connection_(std::move(connection)),
        cancel_(std::move(cancel)),
        deadlines_(deadlines),
        reader_(body) {}
  ~Exchange() override {
    if (connection_) connection_->close();
  }
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  int status() const override { return reader_.status(); }
  std::optional<std::string> header(std::string_view name) const override {
    return reader_.header(name);
  }
  std::vector<HeaderField> headers() const { return reader_.headers(); }
  void cancel() override { cancel_->request(); }
  bool got_bytes() const { return reader_.got_bytes(); }

  // Sends the request and waits for the response's header.
  Task<> start(std::string head, std::string_view body) {
    try {
      if (body.size() <= kJoinedBodyBytes) {
        head.append(body);
        body = {};
      }
      co_await connection_->write(head, deadlines_.idle, cancel_);
      co_await connection_->write(body, deadlines_.idle, cancel_);
    } catch (const NetError& error) {
      // A server that hangs up early may have answered first; if not, the read below says so.
      if (error.failure() != NetFailure::kClosed) throw;
    }
    const auto deadline = steady_clock::now() + deadlines_.first_byte;
    while (!reader_.header_done()) {
      co_await read_more(deadline);
      if (!reader_.header_done() && reader_.failure()) throw *reader_.failure();
    }
    release_if_done();
  }

  Task<std::optional<std::string>> read() override {
    while (true) {
      std::string piece = reader_.take_body();
      if (!piece.empty()) {
        release_if_done();
        co_return piece;
      }
      if (reader_.done()) {
        release_if_done();
        co_return std::nullopt;
      }
      cancel_->check();
      if (reader_.failure()) throw *reader_.failure();
      co_await read_more(steady_clock::now() + deadlines_.idle);
    }
  }

 private:
  Task<> read_more(Connection::TimePoint deadline) {
    const auto space = reader_.space();
    const std::size_t size =
        co_await connection_->read_some(space.data, space.size, deadline, cancel_);
    if (size == 0) {
      reader_.end();
    } else {
      reader_.commit(size);
    }
  }

  void release_if_done() {
    if (!connection_ || !reader_.done()) return;
    cancel_->on_request({});
    auto connection = std::exchange(connection_, nullptr);
    if (reader_.reusable()) {
      client_->pool.give(endpoint_, std::move(connection));
    } else {
      connection->close();
    }
  }

  const std::shared_ptr<ClientCore> client_;
  const std::string endpoint_;
  std::shared_ptr<Connection> connection_;  // null once it went back
  const std::shared_ptr<CancelState> cancel_;
  const Deadlines deadlines_;
  ResponseReader reader_;
};

// Asks the proxy for a tunnel to the URL's host.
Task<> open_tunnel(Connection& connection, const Url& url, const ProxySettings& proxy,
                   Connection::TimePoint deadline, const std::shared_ptr<CancelState>& cancel) {
  std::string head =
      "CONNECT " + url.host_and_port() + " HTTP/1.1\r\nHost: " + url.host_and_port() + "\r\n";
  if (!proxy.authorization().empty()) {
    head += "Proxy-Authorization: " + proxy.authorization() + "\r\n";
  }
  head += "\r\n";
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(deadline - steady_clock::now());
  co_await connection.write(head, left, cancel);
  ResponseReader reader(ResponseReader::Body::kNone);
  while (!reader.header_done()) {
    const auto space = reader.space();
    const std::size_t size =
        co_await connection.read_some(space.data, space.size, deadline, cancel);
    if (size == 0) {
      reader.end();
    } else {
      reader.commit(size);
    }
    if (reader.failure()) {
      throw NetError(NetFailure::kConnect, std::string("proxy: ") + reader.failure()->what());
    }
  }
  if (reader.status() / 100 != 2) {
    throw NetError(NetFailure::kConnect,
                   "proxy answered " + std::to_string(reader.status()) + " to CONNECT");
  }
}

Task<std::shared_ptr<Connection>> make_connection(std::shared_ptr<ClientCore> client, Url url,
                                                  std::string connect_to, Deadlines deadlines,
                                                  std::shared_ptr<CancelState> cancel) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  auto connection = std::make_shared<Connection>(executor);
  const auto deadline = steady_clock::now() + deadlines.connect;
  const Url* const proxy = connect_to.empty() ? client->proxy.proxy_for(url) : nullptr;
  const Url& first_hop = proxy != nullptr ? *proxy : url;
  const std::string& host = connect_to.empty() ? first_hop.host : connect_to;
  co_await connection->connect(host, first_hop.port, deadline, cancel);
  if (proxy != nullptr) {
    co_await open_tunnel(*connection, url, client->proxy, deadline, cancel);
  }
  if (url.tls) co_await connection->handshake(client->tls, url.host, deadline, cancel);
  co_return connection;
}

Task<std::unique_ptr<Exchange>> start_exchange(
    std::shared_ptr<ClientCore> client, HttpRequest request,
    std::function<void(std::function<void()>)> on_cancelable) {
  using Result = std::unique_ptr<Exchange>;
  const Url url = checked_url(request);
  const auto cancel = std::make_shared<CancelState>();
  if (on_cancelable) on_cancelable([cancel] { cancel->request(); });
  cancel->check();
  const std::string head = request_head(request, url);
  const std::string endpoint =
      (url.tls ? "https://" : "http://") + url.host_and_port() + "@" + request.connect_to;
  const auto body = request.method == "HEAD" ? ResponseReader::Body::kNone
                                             : ResponseReader::Body::kAsTheHeaderSays;
  const asio::any_io_executor executor = co_await asio::this_coro::executor;

  if (auto pooled = client->pool.take(endpoint, executor)) {
    Result exchange = std::make_unique<Exchange>(client, endpoint, std::move(pooled), cancel,
                                                 request.deadlines, body);
    bool stale = false;
    try {
      co_await exchange->start(head, request.body);
    } catch (const NetError& error) {
      bool is_stale = error.failure() == NetFailure::kClosed && !exchange->got_bytes();
      if (!is_stale || !request.resend_when_closed) throw;
      stale = true;
    }
    if (!stale) co_return exchange;
  }
  auto connection =
      co_await make_connection(client, url, request.connect_to, request.deadlines, cancel);
  Result exchange = std::make_unique<Exchange>(client, endpoint, std::move(connection), cancel,
                                               request.deadlines, body);
  co_await exchange->start(head, request.body);
  co_return exchange;
}

Task<std::unique_ptr<ResponseStream>> open_stream(
    std::shared_ptr<ClientCore> client, HttpRequest request,
    std::function<void(std::function<void()>)> on_cancelable) {
  std::unique_ptr<ResponseStream> stream =
      co_await start_exchange(std::move(client), std::move(request), std::move(on_cancelable));
  co_return stream;
}

Task<HttpResponse> fetch_whole(std::shared_ptr<ClientCore> client, HttpRequest request,
                               std::size_t max_body_bytes) {
  std::function<void(std::function<void()>)> not_cancelable;
  const auto exchange =
      co_await start_exchange(std::move(client), std::move(request), std::move(not_cancelable));
  HttpResponse response;
  response.status = exchange->status();
  response.headers = exchange->headers();
  while (auto piece = co_await exchange->read()) {
    if (response.body.size() + piece->size() > max_body_bytes) {
      throw NetError(NetFailure::kTooLarge, "response body too large");
    }
    response.body += *piece;
  }
  co_return response;
}

}  // namespace

void add_trace(HttpRequest& request, const TraceContext& trace) {
  if (trace.trace_id.empty()) return;
  request.headers.push_back({"traceparent", traceparent(trace)});
  if (!trace.trace_state.empty()) request.headers.push_back({"tracestate", trace.trace_state});
}

struct HttpClient::Impl : ClientCore {
  using ClientCore::ClientCore;
};

HttpClient::HttpClient(Options options) : impl_(std::make_shared<Impl>(options)) {}
HttpClient::~HttpClient() = default;

Task<std::unique_ptr<ResponseStream>> HttpClient::open(
    HttpRequest request, std::function<void(std::function<void()>)> on_cancelable) {
  return open_stream(impl_, std::move(request), std::move(on_cancelable));
}

Task<HttpResponse> HttpClient::fetch(HttpRequest request, std::size_t max_body_bytes) {
  return fetch_whole(impl_, std::move(request), max_body_bytes);
}

}  // namespace colloquy::net
