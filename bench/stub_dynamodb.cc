// Stands in for DynamoDB where speed is measured: answers what a turn asks, each call after a set
// delay, and keeps nothing. Whatever conversation is asked for is there, and has messages.
//
//   bench_stub_dynamodb --threads 2 --delay-us 5000
//   listening on 127.0.0.1:41234
//
// At its end (SIGTERM) it says how many connections were made to it, for how many calls.
#include <zlib.h>

#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
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

constexpr int kMessages = 5;  // that a query finds, at most: the context of a turn
constexpr std::string_view kTargetPrefix = "DynamoDB_20120810.";

struct Counts {
  std::atomic<std::uint64_t> connections{0};
  std::atomic<std::uint64_t> calls{0};
};

// The string attribute of this name in a request, as the server writes them.
std::string_view attribute(std::string_view request, std::string_view name) {
  auto quoted = "\"" + std::string(name) + "\":{\"S\":\"";
  auto begin = request.find(quoted);
  if (begin == std::string_view::npos) return {};
  begin += quoted.size();
  return request.substr(begin, request.find('"', begin) - begin);
}

std::string_view table_of(std::string_view request) {
  constexpr std::string_view kMember = "\"TableName\":\"";
  auto begin = request.find(kMember);
  if (begin == std::string_view::npos) return {};
  begin += kMember.size();
  return request.substr(begin, request.find('"', begin) - begin);
}

std::string string_attribute(std::string_view name, std::string_view value) {
  return "\"" + std::string(name) + "\":{\"S\":\"" + std::string(value) + "\"}";
}

std::string number_attribute(std::string_view name, std::int64_t value) {
  return "\"" + std::string(name) + "\":{\"N\":\"" + std::to_string(value) + "\"}";
}

std::string conversation_item(std::string_view request) {
  std::string item = "{" + string_attribute("user_id", attribute(request, "user_id")) + "," +
                     string_attribute("conversation_id", attribute(request, "conversation_id")) +
                     "," + string_attribute("title", "What did we say about the weather?") + "," +
                     number_attribute("created_at", 1'700'000'000) + "," +
                     number_attribute("updated_at", 1'700'000'100) + "," +
                     number_attribute("message_count", 100) + "," + number_attribute("version", 51);
  for (int slot = 0; slot < 8; ++slot) {
    item += "," + string_attribute("recent_" + std::to_string(slot),
                                   "018bcfe5-6800-7000-8000-000000000000");
  }
  return item + "}";
}

// Answers and prompts by turns, the newest first: an answer.
std::string messages(std::string_view request) {
  auto conversation = attribute(request, ":conversation");
  const std::string content(200, 'x');
  std::string items;
  for (int i = 0; i < kMessages; ++i) {
    bool answer = i % 2 == 0;
    if (i > 0) items += ",";
    items += "{" + string_attribute("conversation_id", conversation) + "," +
             string_attribute("message_id",
                              "018bcfe5-6800-7000-8000-00000000000" + std::to_string(9 - i)) +
             "," + string_attribute("user_id", "user-0") + "," +
             string_attribute("role", answer ? "assistant" : "user") + "," +
             string_attribute("content", content) + "," +
             number_attribute("timestamp", 1'700'000'100) +
             (answer ? "," + string_attribute("finish_reason", "stop") + "," +
                           string_attribute("model", "demo")
                     : "") +
             "}";
  }
  return items;
}

// As `colloquy tables create` makes them, so that a server starts on it.
std::string table_description(const std::string& table) {
  bool of_messages = table == "messages";
  std::string_view hash = of_messages ? "conversation_id" : "user_id";
  std::string_view range = of_messages ? "message_id" : "conversation_id";
  auto typed = [](std::string_view name) {
    return "{\"AttributeName\":\"" + std::string(name) + "\",\"AttributeType\":\"S\"}";
  };
  auto key = [](std::string_view name, std::string_view type) {
    return "{\"AttributeName\":\"" + std::string(name) + "\",\"KeyType\":\"" + std::string(type) +
           "\"}";
  };
  return "{\"Table\":{\"TableName\":\"" + table +
         "\",\"TableStatus\":\"ACTIVE\",\"ItemCount\":0,\"TableSizeBytes\":0," +
         "\"AttributeDefinitions\":[" + typed(hash) + "," + typed(range) + "],\"KeySchema\":[" +
         key(hash, "HASH") + "," + key(range, "RANGE") + "]}}";
}

std::string answer_to(std::string_view operation, std::string_view request) {
  std::string table(table_of(request));
  auto capacity = "\"ConsumedCapacity\":{\"TableName\":\"" + table +
                  "\",\"CapacityUnits\":1,\"Table\":{\"CapacityUnits\":1}}";
  if (operation == "DescribeTable") return table_description(table);
  if (operation == "DescribeTimeToLive") {
    return R"({"TimeToLiveDescription":{"TimeToLiveStatus":"ENABLED","AttributeName":"ttl"}})";
  }
  if (operation == "Scan") return "{\"Count\":0,\"Items\":[]," + capacity + "}";
  if (operation == "GetItem")
    return "{\"Item\":" + conversation_item(request) + "," + capacity + "}";
  if (operation == "UpdateItem") {
    return "{\"Attributes\":" + conversation_item(request) + "," + capacity + "}";
  }
  if (operation == "Query") {
    // Not for what the purger asks, whose deletions there are none of.
    bool of_conversation = !attribute(request, ":conversation").empty();
    std::string items = of_conversation ? messages(request) : "";
    return "{\"Count\":" + std::to_string(of_conversation ? kMessages : 0) + ",\"Items\":[" +
           items + "]," + capacity + "}";
  }
  return "{" + capacity + "}";
}

asio::awaitable<void, Executor> serve(Socket socket, std::chrono::microseconds delay,
                                      Counts& counts) {
  socket.set_option(asio::ip::tcp::no_delay(true));
  asio::basic_waitable_timer<std::chrono::steady_clock,
                             asio::wait_traits<std::chrono::steady_clock>, Executor>
      timer(socket.get_executor());
  boost::beast::flat_buffer buffer;
  while (true) {
    beast_http::request<beast_http::string_body> request;
    auto [read_error, received] = co_await beast_http::async_read(socket, buffer, request, kAwait);
    if (read_error) co_return;
    timer.expires_after(delay);
    counts.calls.fetch_add(1, std::memory_order_relaxed);
    std::string_view operation(request["X-Amz-Target"].data(), request["X-Amz-Target"].size());
    if (operation.starts_with(kTargetPrefix)) operation.remove_prefix(kTargetPrefix.size());
    beast_http::response<beast_http::string_body> response;
    response.set(beast_http::field::content_type, "application/x-amz-json-1.0");
    response.body() = answer_to(operation, request.body());
    auto bytes = reinterpret_cast<const Bytef*>(response.body().data());
    auto checksum = crc32(0, bytes, static_cast<uInt>(response.body().size()));
    response.set("x-amz-crc32", std::to_string(checksum));
    response.prepare_payload();
    auto [wait_error] = co_await timer.async_wait(kAwait);
    if (wait_error) co_return;
    auto [write_error, sent] = co_await beast_http::async_write(socket, response, kAwait);
    if (write_error || !request.keep_alive()) co_return;
  }
}

asio::awaitable<void, Executor> accept(Acceptor& acceptor, std::chrono::microseconds delay,
                                       Counts& counts) {
  while (true) {
    auto [error, socket] = co_await acceptor.async_accept(kAwait);
    if (error) continue;
    counts.connections.fetch_add(1, std::memory_order_relaxed);
    asio::co_spawn(acceptor.get_executor(), serve(std::move(socket), delay, counts),
                   asio::detached);
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

void run(unsigned threads, std::chrono::microseconds delay) {
  Counts counts;
  std::vector<std::unique_ptr<Loop>> loops;
  asio::ip::tcp::endpoint endpoint(asio::ip::address_v4::loopback(), 0);
  for (unsigned i = 0; i < threads; ++i) {
    loops.push_back(std::make_unique<Loop>(endpoint));
    endpoint = loops.front()->acceptor.local_endpoint();
  }
  asio::signal_set signals(loops.front()->context, SIGTERM, SIGINT);
  signals.async_wait([&](boost::system::error_code, int) {
    for (auto& loop : loops) loop->context.stop();
  });
  std::cout << "listening on " << endpoint << std::endl;
  std::vector<std::thread> running;
  for (auto& loop : loops) {
    asio::co_spawn(loop->context, accept(loop->acceptor, delay, counts), asio::detached);
    running.emplace_back([&loop] { loop->context.run(); });
  }
  for (auto& thread : running) thread.join();
  std::cout << "connections=" << counts.connections << " calls=" << counts.calls << std::endl;
}

}  // namespace
}  // namespace colloquy::bench

int main(int argc, char** argv) {
  CLI::App flags("Answers what a turn asks of DynamoDB.", "bench_stub_dynamodb");
  unsigned threads = std::thread::hardware_concurrency();
  unsigned delay_us = 5'000;
  flags.add_option("--threads", threads, "Event loops.")->check(CLI::Range(1, 1024));
  flags.add_option("--delay-us", delay_us, "Of each answer.");
  return colloquy::bench::run_program(flags, argc, argv, [&] {
    colloquy::bench::run(threads, std::chrono::microseconds(delay_us));
  });
}
