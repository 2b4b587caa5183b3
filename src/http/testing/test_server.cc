#include "http/testing/test_server.h"

#include <chrono>
#include <csignal>
#include <string>

namespace colloquy::http::testing {

namespace {

Response early_reply(int status, std::string_view reason) {
  Response response;
  response.status = status;
  response.set_header("Content-Type", "text/plain");
  response.body = reason;
  return response;
}

}  // namespace

TestServer::TestServer(Handler handle, ServerLimits limits, std::size_t loops,
                       ServerOptions options) {
  std::signal(SIGPIPE, SIG_IGN);  // as the program does: OpenSSL writes without MSG_NOSIGNAL
  std::vector<boost::asio::io_context*> pointers;
  for (std::size_t i = 0; i < loops; ++i) {
    loops_.push_back(std::make_unique<boost::asio::io_context>(1));
    guards_.emplace_back(loops_.back()->get_executor());
    pointers.push_back(loops_.back().get());
  }
  options.limits = limits;
  server_ = std::make_unique<Server>(pointers, std::move(options), std::move(handle), early_reply);
  server_->start();
  for (auto& loop : loops_) threads_.emplace_back([&loop = *loop] { loop.run(); });
}

TestServer::~TestServer() {
  server_.reset();
  guards_.clear();
  for (auto& thread : threads_) thread.join();
}

bool TestServer::has_connections(std::size_t connections) const {
  const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (server_->connections() != connections) {
    if (std::chrono::steady_clock::now() > patience) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

Task<Response> echo(Request& request) {
  Response response;
  response.set_header("Content-Type", "text/plain");
  response.body = request.method_text + " " + request.path + " " + request.body;
  co_return response;
}

}  // namespace colloquy::http::testing
