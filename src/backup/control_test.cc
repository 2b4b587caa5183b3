#include "backup/control.h"

#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <future>

#include "base/error.h"
#include "base/text.h"
#include "store/testing/temporary_folder.h"

namespace colloquy::backup {
namespace {

int connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(static_cast<char*>(address.sun_path), path.c_str(), path.size() + 1);
  int connection = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  EXPECT_EQ(::connect(connection, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  return connection;
}

TEST(ControlTest, ABackupIsAskedForAndTold) {
  store::TemporaryFolder folder;
  std::string asked;
  ControlServer server(folder.path().string(),
                       [&](const std::string& target, const store::CopyProgress& progress) {
                         asked = target;
                         progress(1, 2);
                         return BackedUp{Uuid::make_v7(1, 2, 3), 77};
                       });
  std::uint64_t expected = 0;
  auto result = ask_server(folder.path().string(), "/the target",
                           [&](std::uint64_t, std::uint64_t of) { expected = of; });
  EXPECT_EQ(asked, "/the target");
  EXPECT_EQ(expected, 2U);
  EXPECT_EQ(result.shipped_ms, 77);
}

// Stopped with Ctrl-Z, say: more is told than the socket takes.
TEST(ControlTest, ACallerThatDoesNotReadHoldsNothingUp) {
  store::TemporaryFolder folder;
  std::promise<void> done;
  ControlServer server(folder.path().string(),
                       [&](const std::string&, const store::CopyProgress& progress) {
                         for (std::uint64_t i = 0; i < 100'000; ++i) progress(i, 100'000);
                         done.set_value();
                         return BackedUp{};
                       });
  int connection = connect_to((folder.path() / "control.sock").string());
  auto line = "backup " + to_hex("x") + "\n";
  ASSERT_EQ(::send(connection, line.data(), line.size(), 0), static_cast<ssize_t>(line.size()));
  EXPECT_EQ(done.get_future().wait_for(std::chrono::seconds(60)), std::future_status::ready);
  EXPECT_TRUE(server.stop(std::chrono::steady_clock::now() + std::chrono::seconds(30)));
  ::close(connection);
}

TEST(ControlTest, AStopWaitsNoLongerThanItIsToldTo) {
  store::TemporaryFolder folder;
  std::promise<void> begun;
  std::promise<void> may_end;
  ControlServer server(folder.path().string(),
                       [&](const std::string&, const store::CopyProgress&) -> BackedUp {
                         begun.set_value();
                         may_end.get_future().wait();
                         throw unavailable("The backup was interrupted.");
                       });
  int connection = connect_to((folder.path() / "control.sock").string());
  auto line = "backup " + to_hex("x") + "\n";
  ASSERT_EQ(::send(connection, line.data(), line.size(), 0), static_cast<ssize_t>(line.size()));
  begun.get_future().wait();
  EXPECT_FALSE(server.stop(std::chrono::steady_clock::now() + std::chrono::milliseconds(20)));
  may_end.set_value();
  EXPECT_TRUE(server.stop(std::chrono::steady_clock::now() + std::chrono::seconds(30)));
  ::close(connection);
}

}  // namespace
}  // namespace colloquy::backup
