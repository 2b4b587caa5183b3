#include "files/user_files.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/testing/failing_file_system.h"
#include "base/testing/run_task.h"
#include "store/testing/temporary_folder.h"

namespace colloquy::files {
namespace {

const UserId kUser("alice");

UserFilesOptions options_in(const store::TemporaryFolder& root) {
  UserFilesOptions options;
  options.folder = root.path();
  options.unique = "one";
  options.quota = {100'000, 10};
  options.max_file_bytes = 50'000;
  options.threads = 3;
  return options;
}

Task<Stored> write(UserFiles& files, std::string path, std::string content, bool only_new) {
  NewFile file;
  file.user = kUser;
  file.path = std::move(path);
  file.precondition.missing = only_new;
  auto upload = co_await files.begin(std::move(file));
  while (!content.empty()) {
    co_await upload->write(content.substr(0, 5000));
    content.erase(0, 5000);
  }
  co_return co_await upload->finish();
}

Task<std::string> read(UserFiles& files, std::string path) {
  auto reader = co_await files.open(kUser, std::move(path));
  if (!reader) co_return "(none)";
  std::string content = co_await reader->read(0, 1U << 20U);
  const bool whole = co_await reader->is_unchanged();
  co_return whole ? content : "(changed)";
}

ErrorCode code_of(Task<Stored> task) {
  try {
    run_task(std::move(task));
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::kInternal;
}

TEST(UserFiles, ManyAtOnceNeitherMixNorGoPastTheQuota) {
  const store::TemporaryFolder root;
  const SystemClock clock;
  telemetry::Metrics metrics;
  UserFiles files(options_in(root), linux_file_system(), clock, metrics);
  std::atomic<int> written{0};
  std::vector<std::thread> threads;
  for (int number = 0; number < 6; ++number) {
    threads.emplace_back([&files, &written, number] {
      for (int round = 0; round < 30; ++round) {
        const std::string path = "f/" + std::to_string((number + round) % 4);
        try {
          run_task(write(files, path, std::string(20'000, static_cast<char>('a' + number)), false));
          ++written;
        } catch (const Error& error) {
          EXPECT_EQ(error.code(), ErrorCode::kQuota) << error.detail();
        }
        const auto content = run_task(read(files, path));
        if (content != "(none)") {
          EXPECT_EQ(content, std::string(20'000, content.front()));
        }
        if (round % 5 == 0) {
          try {
            run_task(files.remove(kUser, path, {}));
          } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::kNotFound);
          }
        }
        EXPECT_LE(run_task(files.list(kUser, {"", "", 100})).files.size(), 4U);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_GT(written, 0);
  // What is kept in memory is what is there: the rest of the quota can be had, and no more.
  std::uint64_t bytes = 0;
  for (const auto& file : run_task(files.list(kUser, {"", "", 100})).files) bytes += file.bytes;
  const auto rest = static_cast<std::size_t>(100'000 - bytes);
  EXPECT_EQ(
      code_of(write(files, "a", std::string(std::min<std::size_t>(rest + 1, 50'000), 'x'), true)),
      rest + 1 <= 50'000 ? ErrorCode::kQuota : ErrorCode::kInternal);
}

TEST(UserFiles, RefuseWhatIsTooLargeOrHasNoGoodName) {
  const store::TemporaryFolder root;
  const SystemClock clock;
  telemetry::Metrics metrics;
  UserFiles files(options_in(root), linux_file_system(), clock, metrics);
  EXPECT_EQ(code_of(write(files, "a", std::string(50'001, 'x'), false)), ErrorCode::kTooLarge);
  EXPECT_EQ(code_of(write(files, "../a", "x", false)), ErrorCode::kInvalid);
  EXPECT_EQ(run_task(read(files, "../../etc/passwd")), "(none)");
  run_task(write(files, "a", "x", true));
  EXPECT_EQ(code_of(write(files, "a", "x", true)), ErrorCode::kPreconditionFailed);
  EXPECT_EQ(code_of(write(files, "a/b", "x", true)), ErrorCode::kConflict);
}

TEST(UserFiles, FoldersCountAsFilesDo) {
  const store::TemporaryFolder root;
  const SystemClock clock;
  telemetry::Metrics metrics;
  auto options = options_in(root);
  options.quota = {0, 3};
  UserFiles files(std::move(options), linux_file_system(), clock, metrics);
  EXPECT_EQ(code_of(write(files, "a/b/c/d", "x", false)), ErrorCode::kQuota);
  run_task(write(files, "a/b/c", "x", false));
  EXPECT_EQ(code_of(write(files, "e", "x", false)), ErrorCode::kQuota);
  run_task(files.remove(kUser, "a/b/c", {}));
  run_task(write(files, "d/e/f", "x", false));
}

Task<> begin_many(UserFiles& files, std::vector<std::unique_ptr<Upload>>& uploads, int count) {
  for (int i = 0; i < count; ++i) {
    NewFile file;
    file.user = kUser;
    file.path = std::to_string(i);
    file.bytes = 30'000;
    uploads.push_back(co_await files.begin(std::move(file)));
  }
}
Task<> give_up(Upload& upload) { co_await upload.give_up(); }

TEST(UserFiles, AreBoundedInUploadsUnderWayAndWhatIsGivenUpIsBackAtOnce) {
  const store::TemporaryFolder root;
  const SystemClock clock;
  telemetry::Metrics metrics;
  auto options = options_in(root);
  options.uploads = {2, 10};
  UserFiles files(std::move(options), linux_file_system(), clock, metrics);
  std::vector<std::unique_ptr<Upload>> uploads;
  try {
    run_task(begin_many(files, uploads, 3));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kThrottled);
  }
  ASSERT_EQ(uploads.size(), 2U);
  EXPECT_EQ(code_of(write(files, "a", std::string(50'000, 'x'), false)), ErrorCode::kThrottled);
  run_task(give_up(*uploads.front()));
  EXPECT_EQ(code_of(write(files, "a", std::string(50'000, 'x'), false)), ErrorCode::kInternal);
}

TEST(UserFiles, AFullFileSystemAtAnyCallIsSaidAndCostsNoQuota) {
  const store::TemporaryFolder root;
  const SystemClock clock;
  telemetry::Metrics metrics;
  FailingFileSystem system(linux_file_system());
  auto options = options_in(root);
  options.quota = {30'000, 2};
  UserFiles files(std::move(options), system, clock, metrics);
  bool done = false;
  for (std::uint64_t call = 1; !done; ++call) {
    ASSERT_LT(call, 100U);
    system.fail_at(call, ENOSPC);
    try {
      run_task(write(files, "d/a", std::string(20'000, 'x'), false));
      done = system.calls() < call;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kQuota) << call << error.detail();
      EXPECT_EQ(error.message(), "There is no room left for files.") << call;
    }
    system.fail_at(0, 0);
    const auto content = run_task(read(files, "d/a"));
    EXPECT_TRUE(content == "(none)" || content == std::string(20'000, 'x'));
    run_task(write(files, "d/a", std::string(30'000, 'y'), false));
    run_task(files.remove(kUser, "d/a", {}));
  }
}

}  // namespace
}  // namespace colloquy::files
