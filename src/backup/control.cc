#include "backup/control.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "telemetry/log.h"

namespace colloquy::backup {
namespace {

constexpr const char* kSocketName = "control.sock";
constexpr std::size_t kLineBytes = std::size_t{64} * 1024;
constexpr int kAskPatienceMs = 1'000;

Error socket_error(const std::string& what) {
  return unavailable("The server cannot be asked for a backup.",
                     what + ": " + std::strerror(errno));
}

int open_folder(const std::string& data) {
  return ::open(data.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
}

// Through the folder's descriptor, because a socket's own path has 107 bytes at most.
sockaddr_un address_in(const FileDescriptor& folder) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  auto path = "/proc/self/fd/" + std::to_string(folder.number()) + "/" + kSocketName;
  std::memcpy(static_cast<char*>(address.sun_path), path.c_str(), path.size() + 1);
  return address;
}

int new_socket() { return ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); }

// So long a caller may leave its lines unread.
constexpr int kSendPatienceS = 2;

// A caller that does not read gets no more lines: it would hold the backup up.
void send_now_or_never(int connection, const std::string& line) {
  auto text = line + "\n";
  [[maybe_unused]] auto sent =
      ::send(connection, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

bool send_line(int connection, const std::string& line) {
  auto text = line + "\n";
  std::size_t sent = 0;
  while (sent < text.size()) {
    auto count = ::send(connection, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    sent += static_cast<std::size_t>(count);
  }
  return true;
}

// Lines out of a connection.
class LineReader {
 public:
  explicit LineReader(int connection) : connection_(connection) {}

  // nullopt at the end, for a line that is too long, and past `patience_ms` (-1: none).
  std::optional<std::string> next(int patience_ms) {
    for (;;) {
      auto end = buffer_.find('\n');
      if (end != std::string::npos) {
        auto line = buffer_.substr(0, end);
        buffer_.erase(0, end + 1);
        return line;
      }
      if (buffer_.size() > kLineBytes || !receive(patience_ms)) return std::nullopt;
    }
  }

 private:
  bool receive(int patience_ms) {
    pollfd ready{connection_, POLLIN, 0};
    auto count = ::poll(&ready, 1, patience_ms);
    if (count < 0 && errno == EINTR) return true;
    if (count <= 0) return false;
    std::array<char, 4096> piece{};
    auto received = ::recv(connection_, piece.data(), piece.size(), 0);
    if (received < 0 && errno == EINTR) return true;
    if (received <= 0) return false;
    buffer_.append(piece.data(), static_cast<std::size_t>(received));
    return true;
  }

  const int connection_;
  std::string buffer_;
};

}  // namespace

ControlServer::ControlServer(const std::string& data, Backup backup)
    : backup_(std::move(backup)),
      folder_(open_folder(data)),
      listener_(new_socket()),
      stop_(::eventfd(0, EFD_CLOEXEC)) {
  if (!folder_.is_open() || !listener_.is_open() || !stop_.is_open()) throw socket_error(data);
  // Of a server that is no more: this one has the folder's lock.
  ::unlinkat(folder_.number(), kSocketName, 0);
  auto address = address_in(folder_);
  // Linux makes the name with the socket's own mode: nobody else may open it at any time.
  if (::fchmod(listener_.number(), 0600) != 0 ||
      ::bind(listener_.number(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener_.number(), 4) != 0)
    throw socket_error(data);
  thread_ = std::thread([this] {
    run();
    std::scoped_lock lock(mutex_);
    has_ended_ = true;
    ended_.notify_all();
  });
}

bool ControlServer::stop(std::chrono::steady_clock::time_point give_up) {
  const std::uint64_t one = 1;
  [[maybe_unused]] auto written = ::write(stop_.number(), &one, sizeof one);
  std::unique_lock lock(mutex_);
  return ended_.wait_until(lock, give_up, [this] { return has_ended_; });
}

ControlServer::~ControlServer() {
  stop(std::chrono::steady_clock::now());
  thread_.join();
  ::unlinkat(folder_.number(), kSocketName, 0);
}

void ControlServer::run() {
  for (;;) {
    std::array<pollfd, 2> ready{{{listener_.number(), POLLIN, 0}, {stop_.number(), POLLIN, 0}}};
    if (::poll(ready.data(), ready.size(), -1) < 0 && errno != EINTR) return;
    if ((ready[1].revents & POLLIN) != 0) return;
    if ((ready[0].revents & POLLIN) == 0) continue;
    const FileDescriptor connection(::accept4(listener_.number(), nullptr, nullptr, SOCK_CLOEXEC));
    if (connection.is_open()) serve(connection.number());
  }
}

void ControlServer::serve(int connection) {
  const timeval patience{kSendPatienceS, 0};
  ::setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  auto line = LineReader(connection).next(kAskPatienceMs);
  if (!line || !line->starts_with("backup ")) return;
  auto target = from_hex(std::string_view(*line).substr(7));
  if (!target || target->empty()) return;
  std::string failure;
  try {
    auto result = backup_(*target, [connection](std::uint64_t done, std::uint64_t expected) {
      send_now_or_never(connection,
                        "progress " + std::to_string(done) + " " + std::to_string(expected));
    });
    send_line(connection,
              "done " + lineage_name(result.lineage) + " " + std::to_string(result.shipped_ms));
    return;
  } catch (const Error& error) {
    failure = error.message();
    if (!error.detail().empty()) failure += " (" + error.detail() + ")";
  } catch (const std::exception& error) {
    failure = error.what();
  }
  telemetry::log_error("backup.failed", {{"target", *target}, {"detail", failure}});
  send_line(connection, "failed " + to_hex(failure));
}

BackedUp ask_server(const std::string& data, const std::string& target,
                    const store::CopyProgress& progress) {
  const FileDescriptor folder(open_folder(data));
  const FileDescriptor connection(new_socket());
  auto address = address_in(folder);
  if (!folder.is_open() || !connection.is_open() ||
      ::connect(connection.number(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    throw socket_error(data + "/" + kSocketName);
  }
  send_line(connection.number(), "backup " + to_hex(target));
  LineReader lines(connection.number());
  while (auto line = lines.next(-1)) {
    std::istringstream words(*line);
    std::string word;
    words >> word;
    if (word == "progress") {
      std::uint64_t done = 0;
      std::uint64_t expected = 0;
      if (words >> done >> expected && progress) progress(done, expected);
    } else if (word == "done") {
      std::string lineage;
      BackedUp result;
      words >> lineage >> result.shipped_ms;
      result.lineage = parse_lineage(lineage).value_or(Uuid());
      return result;
    } else if (word == "failed") {
      std::string why;
      words >> why;
      throw Error(ErrorCode::kInternal, "The server could not make the backup: " +
                                            from_hex(why).value_or("it does not say why"));
    }
  }
  throw unavailable("The server ended before the backup was done.");
}

}  // namespace colloquy::backup
