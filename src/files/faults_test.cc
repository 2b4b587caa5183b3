// Every system call of an upload, of a deletion and of an erasure fails once, and the process dies
// at each: there is the old file or the new one, whole, and nothing else.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <utility>

#include "base/clock.h"
#include "base/error.h"
#include "base/testing/failing_file_system.h"
#include "files/removal.h"
#include "files/usage.h"
#include "files/volume.h"
#include "store/testing/temporary_folder.h"
#include "telemetry/log.h"

namespace colloquy::files {
namespace {

namespace fs = std::filesystem;
using store::TemporaryFolder;

const UserId kUser("user_123");
const std::string kPath = "some/folder/file.txt";

std::string content_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return fs::exists(path) ? text.str() : "(none)";
}

void write(Volume& volume, const std::string& path, const std::string& content,
           const Precondition& precondition = {}) {
  auto draft = volume.begin();
  draft->append(content);
  volume.put(kUser, path, *draft, precondition, [](auto) {});
}

bool remove_some(Volume& volume, std::size_t most) {
  StuckRests stuck;
  return remove_some_of(volume, kUser, "one", stuck, most);
}

// Files that are being written, also by processes that are gone.
std::size_t drafts_in(const fs::path& root) {
  std::size_t count = 0;
  for (const auto& entry : fs::recursive_directory_iterator(root / kDraftsFolder)) {
    if (entry.is_regular_file() && entry.path().filename() != "lock") ++count;
  }
  return count;
}

const std::string kOld(9000, 'o');
const std::string kNew(11000, 'n');

class AtEachCall : public testing::TestWithParam<std::tuple<bool, bool, bool>> {
 protected:
  bool replaces() const { return std::get<0>(GetParam()); }
  bool only_new() const { return std::get<1>(GetParam()); }
  bool after() const { return std::get<2>(GetParam()); }
  std::string old() const { return replaces() ? kOld : "(none)"; }
};

TEST_P(AtEachCall, AFailureLeavesTheOldFileOrTheNewOne) {
  if (replaces() && only_new()) GTEST_SKIP();
  bool done = false;
  for (std::uint64_t call = 1; !done; ++call) {
    ASSERT_LT(call, 200U);
    const TemporaryFolder root;
    FailingFileSystem system(linux_file_system());
    {
      Volume volume(system, root.path(), "one");
      if (replaces()) write(volume, kPath, kOld);
      Precondition precondition;
      precondition.missing = only_new();
      system.fail_at(call, call % 2 == 0 ? EIO : ENOSPC, after());
      try {
        write(volume, kPath, kNew, precondition);
        // A failure while it cleans up is no failure of the upload's.
        done = system.calls() < call;
        EXPECT_EQ(content_of(root.path() / "user_123" / kPath), kNew);
      } catch (const Error& error) {
        EXPECT_TRUE(error.code() == ErrorCode::kUnavailable || error.code() == ErrorCode::kQuota)
            << call << error.what();
        const auto content = content_of(root.path() / "user_123" / kPath);
        EXPECT_TRUE(content == old() || content == kNew) << call << " " << content.size();
      }
      system.fail_at(0, 0);
      write(volume, kPath, kNew);
      EXPECT_EQ(content_of(root.path() / "user_123" / kPath), kNew) << call;
    }
    Volume again(linux_file_system(), root.path(), "two");
    again.sweep();
    EXPECT_EQ(drafts_in(root.path()), 0U) << call;
    EXPECT_EQ(again.measure(kUser).files, 3U) << call;
  }
}

TEST_P(AtEachCall, ADeathLeavesTheOldFileOrTheNewOne) {
  if (replaces() && only_new()) GTEST_SKIP();
  bool done = false;
  for (std::uint64_t call = 1; !done; ++call) {
    ASSERT_LT(call, 200U);
    const TemporaryFolder root;
    if (replaces()) {
      Volume volume(linux_file_system(), root.path(), "first");
      write(volume, kPath, kOld);
    }
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      FailingFileSystem system(linux_file_system());
      system.die_at(call, after());
      Volume volume(system, root.path(), "dying");
      volume.sweep();
      Precondition precondition;
      precondition.missing = only_new();
      write(volume, kPath, kNew, precondition);
      ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    done = WIFEXITED(status);
    Volume volume(linux_file_system(), root.path(), "next");
    volume.sweep();
    EXPECT_EQ(drafts_in(root.path()), 0U) << call;
    const auto content = content_of(root.path() / "user_123" / kPath);
    EXPECT_TRUE(content == old() || content == kNew) << call << " " << content.size();
    if (done) {
      EXPECT_EQ(content, kNew);
    }
    // Only this process's folder is left, with its lock.
    std::size_t folders = 0;
    for (const auto& entry : fs::directory_iterator(root.path() / kDraftsFolder)) {
      folders += entry.is_directory() ? 1 : 0;
    }
    EXPECT_EQ(folders, 1U) << call;
    write(volume, kPath, kNew);
    EXPECT_EQ(content_of(root.path() / "user_123" / kPath), kNew) << call;
  }
}

INSTANTIATE_TEST_SUITE_P(Upload, AtEachCall,
                         testing::Combine(testing::Bool(), testing::Bool(), testing::Bool()));

TEST(Deletion, AFailureAtEachCallLeavesAFileThatIsWholeOrNone) {
  bool done = false;
  for (std::uint64_t call = 1; !done; ++call) {
    ASSERT_LT(call, 100U);
    const TemporaryFolder root;
    FailingFileSystem system(linux_file_system());
    Volume volume(system, root.path(), "one");
    write(volume, kPath, kOld);
    system.fail_at(call, EIO);
    try {
      EXPECT_EQ(volume.remove(kUser, kPath, {}).bytes, kOld.size());
      done = system.calls() < call;
      EXPECT_FALSE(fs::exists(root.path() / "user_123" / kPath));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnavailable) << error.detail();
      const auto content = content_of(root.path() / "user_123" / kPath);
      EXPECT_TRUE(content == kOld || content == "(none)");
    }
  }
}

class CountingSyncs : public FailingFileSystem {
 public:
  using FailingFileSystem::FailingFileSystem;
  int sync(int file) override {
    const int synced = FailingFileSystem::sync(file);
    good_syncs_ += synced < 0 ? 0 : 1;
    return synced;
  }
  std::size_t good_syncs() const { return good_syncs_; }

 private:
  std::size_t good_syncs_ = 0;
};

// Or else a power loss brings back what was said to be gone.
TEST(Deletion, AskedAgainAfterAFailedSyncIsMissingOnlyOnceItIsSynced) {
  ErrorCode said = ErrorCode::kUnavailable;
  std::size_t unsynced = 0;
  for (std::uint64_t call = 1; said == ErrorCode::kUnavailable; ++call) {
    ASSERT_LT(call, 100U);
    const TemporaryFolder root;
    CountingSyncs system(linux_file_system());
    Volume volume(system, root.path(), "one");
    write(volume, kPath, kOld);
    const auto refusal = [&](std::uint64_t fails_at) {
      system.fail_at(fails_at, EIO);
      try {
        volume.remove(kUser, kPath, {});
        return ErrorCode::kConflict;  // none
      } catch (const Error& error) {
        return error.code();
      }
    };
    const auto before = system.good_syncs();
    std::uint64_t sync_call = 1;
    while (refusal(sync_call) == ErrorCode::kUnavailable &&
           content_of(root.path() / "user_123" / kPath) != "(none)") {
      ++sync_call;
    }
    ASSERT_EQ(content_of(root.path() / "user_123" / kPath), "(none)");
    ASSERT_EQ(system.good_syncs(), before);
    said = refusal(call);
    unsynced += system.good_syncs() == before ? 1 : 0;
    EXPECT_EQ(said == ErrorCode::kNotFound, system.good_syncs() > before) << call;
  }
  EXPECT_EQ(said, ErrorCode::kNotFound);
  EXPECT_GT(unsynced, 1U);
}

// Runs `act` in a process that dies at the call; true where it came to its end.
bool survives(const fs::path& root, std::uint64_t call, bool after,
              const std::function<void(Volume& volume)>& act) {
  const pid_t child = ::fork();
  if (child == 0) {
    FailingFileSystem system(linux_file_system());
    Volume volume(system, root, "dying");
    system.die_at(call, after);
    act(volume);
    ::_exit(0);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status);
}

TEST(Deletion, ADeathAtEachCallLeavesAFileThatIsWholeOrNone) {
  for (const bool after : {false, true}) {
    bool done = false;
    for (std::uint64_t call = 1; !done; ++call) {
      ASSERT_LT(call, 100U);
      const TemporaryFolder root;
      const auto file = root.path() / "user_123" / kPath;
      {
        Volume volume(linux_file_system(), root.path(), "first");
        write(volume, kPath, kOld);
        write(volume, "some/other", kOld);
      }
      done = survives(root.path(), call, after,
                      [](Volume& volume) { volume.remove(kUser, kPath, {}); });
      const auto content = content_of(file);
      EXPECT_TRUE(content == "(none)" || (content == kOld && !done)) << call;
      EXPECT_EQ(content_of(root.path() / "user_123" / "some/other"), kOld) << call;
      Volume volume(linux_file_system(), root.path(), "next");
      volume.sweep();
      write(volume, kPath, kNew);
      EXPECT_EQ(content_of(file), kNew) << call;
      EXPECT_EQ(volume.remove(kUser, kPath, {}).files, 2U) << call;  // with its folder
      EXPECT_EQ(volume.measure(kUser).files, 2U) << call;
    }
  }
}

const UserId kOther("user_456");

void write_both(Volume& volume) {
  write(volume, kPath, kOld);
  write(volume, "a", kOld);
  auto draft = volume.begin();
  draft->append(kOld);
  volume.put(kOther, "a", *draft, {}, [](auto) {});
}

// The erasure is carried through, whatever was cut short before, and takes nothing else.
void expect_erasure_to_end(const fs::path& root) {
  Volume volume(linux_file_system(), root, "next");
  bool ended = false;
  for (int i = 0; !ended && i < 20; ++i) ended = remove_some(volume, 3);
  EXPECT_TRUE(ended);
  EXPECT_EQ(volume.measure(kUser).files, 0U);
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    const auto below = fs::relative(entry.path(), root).string();
    const bool is_ours = below.starts_with(kDraftsFolder) || below.starts_with("user_456");
    EXPECT_TRUE(is_ours || !entry.is_regular_file()) << below;
  }
  EXPECT_EQ(content_of(root / "user_456" / "a"), kOld);
  // A server that is late does not take what the user has written since.
  write(volume, kPath, kNew);
  EXPECT_TRUE(remove_some(volume, 100));
  EXPECT_EQ(content_of(root / "user_123" / kPath), kNew);
}

TEST(Erasure, GoesOnWhereACallHasFailed) {
  for (const bool after : {false, true}) {
    bool done = false;
    for (std::uint64_t call = 1; !done; ++call) {
      SCOPED_TRACE(call);
      ASSERT_LT(call, 100U);
      const TemporaryFolder root;
      FailingFileSystem system(linux_file_system());
      {
        Volume volume(system, root.path(), "one");
        write_both(volume);
        system.fail_at(call, EIO, after);
        try {
          const bool ended = remove_some(volume, 100);
          done = system.calls() < call;
          // What is said to be gone, is.
          EXPECT_FALSE(ended && fs::exists(root.path() / "user_123"));
        } catch (const Error& error) {
          EXPECT_EQ(error.code(), ErrorCode::kUnavailable) << error.detail();
        }
        system.fail_at(0, 0);
      }
      expect_erasure_to_end(root.path());
    }
  }
}

TEST(Erasure, GoesOnAfterADeathAtEachCall) {
  for (const bool after : {false, true}) {
    bool done = false;
    for (std::uint64_t call = 1; !done; ++call) {
      SCOPED_TRACE(call);
      ASSERT_LT(call, 100U);
      const TemporaryFolder root;
      {
        Volume volume(linux_file_system(), root.path(), "first");
        write_both(volume);
      }
      done = survives(root.path(), call, after, [](Volume& volume) { remove_some(volume, 100); });
      expect_erasure_to_end(root.path());
    }
  }
}

// Where what is named old-… was moved there two days ago, and stuck cannot be removed.
class OldRests final : public FailingFileSystem {
 public:
  using FailingFileSystem::FailingFileSystem;
  int stat_name(int folder, const std::string& name, struct stat& found) override {
    const int result = FailingFileSystem::stat_name(folder, name, found);
    if (name.starts_with("old-")) found.st_ctim.tv_sec -= 48L * 3600;
    return result;
  }
  int remove(int folder, const std::string& name) override {
    return name == "stuck" ? -EPERM : FailingFileSystem::remove(folder, name);
  }
};

TEST(Erasure, AnothersRestGoesWithItAndDoesNotHoldItUp) {
  const TemporaryFolder root;
  OldRests system(linux_file_system());
  Volume volume(system, root.path(), "one");
  write_both(volume);
  const auto rests = root.path() / kErasedFolder;
  for (const char* name : {"old-1", "old-2", "young"}) fs::create_directories(rests / name);
  std::ofstream(rests / "old-1" / "stuck") << kOld;
  std::ofstream(rests / "old-2" / "a") << kOld;
  testing::internal::CaptureStderr();
  telemetry::start_log(telemetry::LogLevel::kWarning);
  StuckRests stuck;
  EXPECT_TRUE(remove_some_of(volume, kUser, "one", stuck, 100));
  EXPECT_TRUE(remove_some_of(volume, kUser, "two", stuck, 100));
  telemetry::stop_log();
  const auto log = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 1) << log;
  EXPECT_NE(log.find(R"("event":"file.rest_stays","rest":"old-1")"), std::string::npos) << log;
  EXPECT_EQ(volume.measure(kUser).files, 0U);
  EXPECT_TRUE(fs::exists(rests / "old-1" / "stuck"));
  EXPECT_FALSE(fs::exists(rests / "old-2"));
  EXPECT_TRUE(fs::exists(rests / "young"));
}

TEST(Opening, AFailureAtEachCallIsSaidAndHarmsNothing) {
  const TemporaryFolder root;
  {
    Volume volume(linux_file_system(), root.path(), "first");
    write(volume, kPath, kOld);
  }
  FailingFileSystem system(linux_file_system());
  bool done = false;
  for (std::uint64_t call = 1; !done; ++call) {
    ASSERT_LT(call, 100U);
    system.fail_at(call, EIO);
    try {
      Volume volume(system, root.path(), "again-" + std::to_string(call));
      done = system.calls() < call;
      system.fail_at(0, 0);
      auto opened = volume.open(kUser, kPath);
      ASSERT_TRUE(opened.has_value());
      EXPECT_EQ(volume.read(*opened, 0, 1U << 20U), kOld);
    } catch (const Error& error) {
      EXPECT_FALSE(error.message().empty());
    }
  }
}

TEST(Usage, KnowsWhatIsThereHoweverUploadsEnd) {
  const TemporaryFolder root;
  Volume volume(linux_file_system(), root.path(), "one");
  ManualClock clock(1'000'000);
  int walks = 0;
  Usage usage({100, 3}, clock, [&](const UserId& user) {
    ++walks;
    return volume.measure(user);
  });
  const auto quota = [](auto call) {
    try {
      call();
      return false;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kQuota);
      return true;
    }
  };
  { auto given_up = usage.reserve(kUser, 100, {}); }
  auto one = usage.reserve(kUser, 60, {});
  EXPECT_TRUE(quota([&] { usage.reserve(kUser, 41, {}); }));
  auto two = usage.reserve(kUser, 0, {});
  two->grow(40);
  EXPECT_TRUE(quota([&] { two->grow(41); }));
  one->become(60, {});
  one.reset();
  two->become(40, {});
  two->undo();
  two.reset();
  auto three = usage.reserve(kUser, 100, {60});
  three->become(100, {60});
  three.reset();
  usage.begin_removal(kUser).done({100, 1});
  EXPECT_FALSE(quota([&] { usage.reserve(kUser, 100, {}); }));
  EXPECT_EQ(walks, 1);
  // Another program's file is known after a while.
  fs::create_directories(root.path() / "user_123");
  std::ofstream(root.path() / "user_123" / "theirs") << std::string(70, 'x');
  EXPECT_FALSE(quota([&] { usage.reserve(kUser, 100, {}); }));
  clock.advance_ms(std::chrono::milliseconds(Usage::kRenewAfter).count());
  EXPECT_TRUE(quota([&] { usage.reserve(kUser, 31, {}); }));
  EXPECT_FALSE(quota([&] { usage.reserve(kUser, 30, {}); }));
  EXPECT_EQ(walks, 2);
}

TEST(Usage, GoesOnDuringAWalkAndTakesTheLargerOfWhatItMayHaveMissed) {
  ManualClock clock(1'000'000);
  std::function<void()> meanwhile;
  Use found;
  Usage usage({100, 10}, clock, [&](const UserId&) {
    const auto before = found;
    if (meanwhile) std::exchange(meanwhile, nullptr)();
    return before;
  });
  const auto has_room = [&](std::uint64_t bytes) {
    try {
      usage.reserve(kUser, bytes, {});
      return true;
    } catch (const Error&) {
      return false;
    }
  };
  ASSERT_TRUE(has_room(100));
  clock.advance_ms(std::chrono::milliseconds(Usage::kRenewAfter).count());
  // An upload ends during the walk, which has not seen it, and a deletion, which it has seen.
  found = {30, 1};
  meanwhile = [&] {
    auto upload = usage.reserve(kUser, 60, {});
    upload->become(60, {});
    auto removal = usage.begin_removal(kUser);
    removal.done({30, 1});
  };
  EXPECT_FALSE(has_room(11));
  EXPECT_TRUE(has_room(10));
  // It is looked at again soon.
  found = {60, 1};
  clock.advance_ms(std::chrono::milliseconds(Usage::kRenewSoon).count());
  EXPECT_TRUE(has_room(40));
  EXPECT_FALSE(has_room(41));
  // Of an upload that is being renamed nobody knows whether a walk has seen it.
  auto renamed = usage.reserve(kUser, 20, {});
  renamed->become(20, {});
  clock.advance_ms(std::chrono::milliseconds(Usage::kRenewAfter).count());
  EXPECT_FALSE(has_room(21));
  renamed->undo();
  EXPECT_TRUE(has_room(40));
  // A deletion that a whole walk lies in has been seen or not.
  auto removal = usage.begin_removal(kUser);
  clock.advance_ms(std::chrono::milliseconds(Usage::kRenewAfter).count());
  EXPECT_TRUE(has_room(40));
  removal.done({60, 1});
  EXPECT_FALSE(has_room(41));
}

}  // namespace
}  // namespace colloquy::files
