// A Server on event loops of its own, for tests.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <thread>
#include <vector>

#include "http/server.h"

namespace colloquy::http::testing {

class TestServer {
 public:
  explicit TestServer(Handler handle, ServerLimits limits = {}, std::size_t loops = 1,
                      ServerOptions options = {});
  // Stops and closes the server, and lets the loops end by themselves: a connection that does not
  // end would hang the test.
  ~TestServer();
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;

  unsigned short port() const { return server_->port(); }
  Server& server() { return *server_; }
  // Waits until `connections` are open, at most ten seconds.
  bool has_connections(std::size_t connections) const;

 private:
  using Guard = boost::asio::executor_work_guard<boost::asio::io_context::executor_type>;
  std::vector<std::unique_ptr<boost::asio::io_context>> loops_;
  std::vector<Guard> guards_;
  std::unique_ptr<Server> server_;
  std::vector<std::thread> threads_;
};

// Answers with method, path and body of the request as text.
Task<Response> echo(Request& request);

}  // namespace colloquy::http::testing
