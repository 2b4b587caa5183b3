// Processes that are killed at each of their disk's calls.
#include <gmock/gmock.h>
#include <spawn.h>
#include <sys/wait.h>

#include <cstdlib>

#include "backup/fault_harness.h"
#include "base/testing/next_call.h"
#include "store/testing/faulty_file_system.h"

extern char** environ;

namespace colloquy::backup {
namespace {

using store::FaultyFileSystem;

constexpr const char* kFolderVariable = "COLLOQUY_TEST_FOLDER";
constexpr const char* kKillVariable = "COLLOQUY_TEST_KILL_AT";

// Runs a test of this program, one of those below, that is killed at its n-th call. True when it
// was, false when it came to its end.
bool killed(const char* test, const std::filesystem::path& folder, std::uint64_t n) {
  std::vector<std::string> variables{std::string(kFolderVariable) + "=" + folder.string(),
                                     std::string(kKillVariable) + "=" + std::to_string(n)};
  for (char** variable = environ; *variable != nullptr; ++variable)
    variables.emplace_back(*variable);
  std::vector<char*> environment;
  environment.reserve(variables.size() + 1);
  for (auto& variable : variables) environment.push_back(variable.data());
  environment.push_back(nullptr);
  std::vector<std::string> words{"/proc/self/exe", "--gtest_also_run_disabled_tests",
                                 std::string("--gtest_filter=") + test, "--gtest_brief=1"};
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t process = 0;
  EXPECT_EQ(::posix_spawn(&process, "/proc/self/exe", nullptr, nullptr, arguments.data(),
                          environment.data()),
            0);
  int status = 0;
  EXPECT_EQ(::waitpid(process, &status, 0), process);
  if (WIFSIGNALED(status)) {
    EXPECT_EQ(WTERMSIG(status), SIGKILL);
    return true;
  }
  EXPECT_EQ(WEXITSTATUS(status), 0);
  return false;
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nobody sets any
  return value == nullptr ? "" : value;
}

std::shared_ptr<FaultyFileSystem> deadly_disk() {
  auto disk = std::make_shared<FaultyFileSystem>();
  disk->fail(FaultyFileSystem::Fault::kKill, std::stoull(variable(kKillVariable)));
  return disk;
}

TEST(KilledProcess, DISABLED_Ships) {
  BackupHarness harness{std::filesystem::path(variable(kFolderVariable))};
  small_numbers(harness);
  harness.open();
  harness.begin_backup(store::TargetFiles(deadly_disk()));
  do_everything(
      harness, [&] { harness.round(); }, [&] { harness.base(); });
}

TEST(KilledProcess, DISABLED_Restores) {
  BackupHarness harness{std::filesystem::path(variable(kFolderVariable))};
  auto request = harness.request(std::nullopt);
  request.data_files = deadly_disk();
  harness.restore_to(request);
}

TEST(BackupKillTest, AShipperThatIsKilledAtEachCallGoesOn) {
  bool again = true;
  for (std::uint64_t n = 0; again; n = next_call(n)) {
    SCOPED_TRACE(n);
    store::TemporaryFolder folder;
    again = killed("KilledProcess.DISABLED_Ships", folder.path(), n);
    BackupHarness harness(folder.path());
    harness.clock().advance_ms(60'000);
    small_numbers(harness);
    harness.open();
    harness.write(1);
    harness.base();
    harness.write(1);
    harness.round();
    expect_whole(harness, look_at(n));
    ASSERT_LT(n, 1'000U);
  }
}

TEST(BackupKillTest, ARestoreThatIsKilledAtEachCallCanBeRepeated) {
  bool again = true;
  store::TemporaryFolder folder;
  BackupHarness harness(folder.path());
  harness.open();
  harness.base();
  harness.write();
  harness.round();
  const auto held = held_by(harness.store());
  harness.close();
  for (std::uint64_t n = 0; again; n = next_call(n)) {
    SCOPED_TRACE(n);
    again = killed("KilledProcess.DISABLED_Restores", folder.path(), n);
    auto request = harness.request(std::nullopt);
    request.data = folder / "restored-0";
    if (again) {
      EXPECT_THROW(require_restored(request.data), Error);
      EXPECT_FALSE(std::filesystem::exists(request.data + "/store"));
      harness.restore_to(request);
    }
    EXPECT_EQ(harness.held_in(request.data), held);
    std::filesystem::remove_all(request.data);
    ASSERT_LT(n, 1'000U);
  }
}

}  // namespace
}  // namespace colloquy::backup
