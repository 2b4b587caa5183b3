// How long a client waits for the first token of an answer, and beside it, between
// every few turns, how long the disk takes for one sync.
//
//   bench_first_token --port 8080 --targets FILE --folder DIR --seconds 3
//   first_p50_us=510 first_p99_us=1200 sync_p50_us=200 sync_p99_us=800 count=900
//
// One connection. `first` is from the last byte of the request until an event `token` is
// there; `whole` until the answer's end.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "program.h"
#include "sync_probe.h"

namespace colloquy::bench {
namespace {

class Connection {
 public:
  explicit Connection(unsigned short port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int on = 1;
    ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
      throw std::runtime_error("cannot connect");
    }
  }
  ~Connection() { ::close(socket_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void send(std::string_view bytes) {
    received_.clear();
    while (!bytes.empty()) {
      auto sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) throw std::runtime_error("cannot send");
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  // Until `mark` has arrived.
  void receive_until(std::string_view mark) {
    while (received_.find(mark) == std::string::npos) {
      char piece[16 * 1024];
      auto got = ::recv(socket_, piece, sizeof(piece), 0);
      if (got <= 0) throw std::runtime_error("the connection ended: " + received_.substr(0, 500));
      received_.append(piece, static_cast<std::size_t>(got));
    }
  }
  std::string_view received() const { return received_; }

 private:
  int socket_;
  std::string received_;  // since the last send
};

std::vector<std::string> read_requests(const std::string& targets) {
  const std::string body = R"({"prompt":"What did we say about the weather?","stream":true})";
  std::ifstream in(targets);
  std::vector<std::string> requests;
  for (std::string line; std::getline(in, line);) {
    auto tab = line.find('\t');
    requests.push_back("POST /generate?conversation_id=" + line.substr(tab + 1) +
                       " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                       "Authorization: Bearer " +
                       line.substr(0, tab) + "\r\nContent-Length: " + std::to_string(body.size()) +
                       "\r\n\r\n" + body);
  }
  if (requests.empty()) throw std::runtime_error("no targets in " + targets);
  return requests;
}

struct Settings {
  unsigned short port = 0;
  std::string targets;
  std::string folder;
  double seconds = 3;
};

void run(const Settings& settings) {
  auto requests = read_requests(settings.targets);
  SyncProbe probe(settings.folder);
  probe.sync();
  Connection connection(settings.port);
  Times first;
  Times whole;
  Times sync;
  constexpr std::size_t kWarmUp = 50;
  // Not one by one: a file system is slower where two processes sync by turns.
  constexpr std::size_t kTurnsAtOnce = 25;
  auto end = SteadyClock::now() +
             std::chrono::microseconds(static_cast<std::int64_t>(settings.seconds * 1e6));
  for (std::size_t i = 0; SteadyClock::now() < end; ++i) {
    for (std::size_t j = 0; i % kTurnsAtOnce == 0 && j < kTurnsAtOnce; ++j) sync.add(probe.sync());
    connection.send(requests[i % requests.size()]);
    auto start = SteadyClock::now();
    connection.receive_until("event: token");
    auto first_time = SteadyClock::now() - start;
    connection.receive_until("\r\n0\r\n\r\n");
    auto whole_time = SteadyClock::now() - start;
    if (!connection.received().starts_with("HTTP/1.1 200 ")) throw std::runtime_error("no 200");
    if (connection.received().find("event: done") == std::string_view::npos) {
      throw std::runtime_error("an answer did not end well");
    }
    if (i < kWarmUp) continue;
    first.add(first_time);
    whole.add(whole_time);
  }
  std::cout << "first_p50_us=" << first.at(0.5) << " first_p99_us=" << first.at(0.99)
            << " whole_p50_us=" << whole.at(0.5) << " whole_p99_us=" << whole.at(0.99)
            << " sync_p50_us=" << sync.at(0.5) << " sync_p99_us=" << sync.at(0.99)
            << " count=" << first.count() << "\n";
}

}  // namespace
}  // namespace colloquy::bench

int main(int argc, char** argv) {
  colloquy::bench::Settings settings;
  CLI::App flags("Waits for first tokens.", "bench_first_token");
  flags.add_option("--port", settings.port, "Of the server, on 127.0.0.1.")->required();
  flags.add_option("--targets", settings.targets, "File that bench_seed wrote.")->required();
  flags.add_option("--folder", settings.folder, "Where to probe the disk.")->required();
  flags.add_option("--seconds", settings.seconds, "For how long.");
  return colloquy::bench::run_program(flags, argc, argv, [&] { colloquy::bench::run(settings); });
}
