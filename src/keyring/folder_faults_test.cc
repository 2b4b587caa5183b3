// Every system call of a keyring in a folder fails once, and then the power is lost: what it has
// told of is there, and what it has said is gone is gone.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "base/file_descriptor.h"
#include "base/testing/failing_file_system.h"
#include "base/testing/run_task.h"
#include "keyring/data_key.h"
#include "keyring/folder_key_storage.h"
#include "store/testing/temporary_folder.h"

namespace colloquy::keyring {
namespace {

namespace fs = std::filesystem;
using store::TemporaryFolder;

// Remembers what would be left if all were lost that was not synced: of a file its bytes, of a
// folder its names.
class PowerLossFileSystem final : public FailingFileSystem {
 public:
  PowerLossFileSystem() : FailingFileSystem(linux_file_system()) {}

  int sync(int file) override {
    // The disk's own would take its time.
    struct stat found {};
    const int synced = FailingFileSystem::stat(file, found);
    if (synced >= 0) remember(file);
    return synced;
  }

  // Makes at `to` what would be left of the folder `from`, whose own name is safe.
  void leave(const fs::path& from, const fs::path& to) {
    const FileDescriptor root(::open(from.c_str(), O_PATH | O_CLOEXEC));
    const std::scoped_lock lock(mutex_);
    leave(number_of(stat_of(root.number())), to);
  }

 private:
  using Number = std::pair<dev_t, ino_t>;
  struct Synced {
    std::string bytes;
    std::map<std::string, Number> names;
    bool is_folder = false;
    FileDescriptor open;  // as long as it is, no other gets its number
  };

  static Number number_of(const struct stat& found) { return {found.st_dev, found.st_ino}; }
  static struct stat stat_of(int file) {
    struct stat found {};
    EXPECT_EQ(::fstat(file, &found), 0);
    return found;
  }
  void remember(int file) {
    const auto found = stat_of(file);
    const fs::path path = "/proc/self/fd/" + std::to_string(file);
    Synced synced;
    synced.open = FileDescriptor(::open(path.c_str(), O_PATH | O_CLOEXEC));
    synced.is_folder = S_ISDIR(found.st_mode);
    if (synced.is_folder) {
      linux_file_system().read_folder(file, [&](const char* name, unsigned char) {
        struct stat entry {};
        // Above the test's own folder others may remove theirs meanwhile.
        if (::fstatat(file, name, &entry, AT_SYMLINK_NOFOLLOW) == 0) {
          synced.names.emplace(name, number_of(entry));
        }
        return true;
      });
    } else {
      std::ostringstream text;
      text << std::ifstream(path, std::ios::binary).rdbuf();
      synced.bytes = text.str();
    }
    const std::scoped_lock lock(mutex_);
    synced_[number_of(found)] = std::move(synced);
  }
  void leave(Number number, const fs::path& to) {
    const auto found = synced_.find(number);
    if (found == synced_.end()) return;
    if (!found->second.is_folder) {
      std::ofstream(to, std::ios::binary) << found->second.bytes;
      return;
    }
    fs::create_directories(to);
    for (const auto& [name, inner] : found->second.names) leave(inner, to / name);
  }

  std::mutex mutex_;
  std::map<Number, Synced> synced_;  // guarded by mutex_
};

const std::string kName(64, 'a');

KeyRecord record(char letter, std::string wrapped = "wrapped") {
  return {std::string(kKeyIdBytes, letter), {"master", std::move(wrapped)}, 1'700'000'000};
}

// A call that fails tells so by kUnavailable alone. nullopt: it failed.
template <class T>
std::optional<T> outcome_of(Task<T> task) {
  try {
    return run_task(std::move(task));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnavailable) << error.what() << error.detail();
    return std::nullopt;
  }
}

class Machine {
 public:
  Machine() { EXPECT_FALSE(open_id().empty()); }

  PowerLossFileSystem& system() { return system_; }
  FolderKeyStorage& storage() { return *storage_; }
  // Of another process, which has synced nothing yet.
  FolderKeyStorage& other() {
    other_ = std::make_unique<FolderKeyStorage>(place(), system_);
    run_task(other_->id(false));
    return *other_;
  }
  std::optional<KeyRecord> now() { return find_in(place()); }
  std::optional<KeyRecord> after_power_loss() {
    const fs::path left = folder_ / "left";
    fs::remove_all(left);
    system_.leave(folder_.path(), left);
    return fs::exists(left / "keys") ? find_in(left / "keys") : std::nullopt;
  }

 private:
  std::string open_id() {
    storage_ = std::make_unique<FolderKeyStorage>(place(), system_);
    return run_task(storage_->id(true));
  }
  fs::path place() const { return folder_ / "keys"; }
  static std::optional<KeyRecord> find_in(const fs::path& keys) {
    PowerLossFileSystem system;
    FolderKeyStorage storage(keys, system);
    return run_task(storage.find(kName));
  }

  TemporaryFolder folder_;
  PowerLossFileSystem system_;
  std::unique_ptr<FolderKeyStorage> storage_;
  std::unique_ptr<FolderKeyStorage> other_;
};

// The parameter: whether the call has done what it says it could not do.
class KeyFolderFaults : public testing::TestWithParam<bool> {
 protected:
  // Runs `attempt` with its Nth call failing, for every N, each time on a machine of its own that
  // `prepare` has made ready. `attempt` says whether all went well; `check` looks at what is left.
  void at_each_call(const std::function<void(Machine&)>& prepare,
                    const std::function<bool(Machine&)>& attempt,
                    const std::function<void(Machine&, bool)>& check) const {
    bool done = false;
    std::uint64_t failures = 0;
    for (std::uint64_t call = 1; !done; ++call) {
      ASSERT_LT(call, 100U);
      SCOPED_TRACE("call " + std::to_string(call));
      Machine machine;
      prepare(machine);
      machine.system().fail_at(call, call % 2 == 0 ? EIO : ENOSPC, GetParam());
      const bool succeeded = attempt(machine);
      done = machine.system().calls() < call;
      machine.system().fail_at(0, 0);
      EXPECT_TRUE(succeeded || !done);
      failures += succeeded ? 0 : 1;
      check(machine, succeeded);
      if (HasFailure()) return;
    }
    EXPECT_GT(failures, 3U);
  }
};

void nothing(Machine& /*machine*/) {}

void put(Machine& machine) { EXPECT_TRUE(run_task(machine.storage().put_new(kName, record('a')))); }

bool try_put(Machine& machine) {
  const auto is_new = outcome_of(machine.storage().put_new(kName, record('a')));
  if (is_new) {
    EXPECT_TRUE(*is_new);
  }
  return is_new.has_value();
}

TEST_P(KeyFolderFaults, AKeyThatWasPutIsThere) {
  at_each_call(nothing, try_put, [](Machine& machine, bool succeeded) {
    if (succeeded) {
      EXPECT_EQ(machine.after_power_loss(), record('a'));
    }
  });
}

TEST_P(KeyFolderFaults, AKeyWhosePuttingFailedIsFoundByNobodyBeforeItIsSafe) {
  const auto check = [](Machine& machine, FolderKeyStorage& storage) {
    const auto found = run_task(storage.find(kName));
    if (found) {
      EXPECT_EQ(machine.after_power_loss(), found);
    }
  };
  at_each_call(nothing, try_put,
               [&](Machine& machine, bool) { check(machine, machine.storage()); });
  at_each_call(nothing, try_put, [&](Machine& machine, bool) { check(machine, machine.other()); });
}

TEST_P(KeyFolderFaults, AKeyWhosePuttingFailedIsListedByNobodyBeforeItIsSafe) {
  at_each_call(nothing, try_put, [](Machine& machine, bool) {
    const auto page = run_task(machine.other().list("aa"));
    EXPECT_TRUE(page.damaged.empty());
    if (!page.records.empty()) {
      EXPECT_EQ(machine.after_power_loss(), page.records.front().second);
    }
  });
}

TEST_P(KeyFolderFaults, WhoPutsAfterAFailureHasAKeyThatIsSafe) {
  at_each_call(nothing, try_put, [](Machine& machine, bool succeeded) {
    const bool is_new = run_task(machine.other().put_new(kName, record('b')));
    EXPECT_FALSE(succeeded && is_new);
    EXPECT_EQ(machine.after_power_loss(), record(is_new ? 'b' : 'a'));
    EXPECT_EQ(machine.now(), record(is_new ? 'b' : 'a'));
  });
}

// Of a process that died before it could sync the name.
void put_unsafely(Machine& machine) {
  for (std::uint64_t call = 1;; ++call) {
    machine.system().fail_at(call, EIO);
    const bool failed = !try_put(machine);
    machine.system().fail_at(0, 0);
    ASSERT_TRUE(failed) << "no call left the key there, unsafe";
    if (machine.now()) break;
  }
  ASSERT_FALSE(machine.after_power_loss());
}

TEST_P(KeyFolderFaults, WhoFindsAnUnsafeKeyMakesItSafeOrSaysThatItCannot) {
  at_each_call(
      put_unsafely,
      [](Machine& machine) { return outcome_of(machine.storage().find(kName)).has_value(); },
      [](Machine& machine, bool succeeded) {
        if (succeeded) {
          EXPECT_EQ(machine.after_power_loss(), record('a'));
        }
        // One that could not be told of is told of once it can be.
        EXPECT_EQ(run_task(machine.storage().find(kName)), record('a'));
        EXPECT_EQ(machine.after_power_loss(), record('a'));
      });
}

TEST(KeyFolder, AKeyIsSyncedOnceByWhoFindsIt) {
  Machine machine;
  put(machine);
  auto& other = machine.other();
  const auto calls_of_find = [&] {
    machine.system().fail_at(0, 0);
    EXPECT_EQ(run_task(other.find(kName)), record('a'));
    return machine.system().calls();
  };
  const auto first = calls_of_find();
  EXPECT_EQ(calls_of_find(), first - 2);
}

const auto kAnew = record('a', "anew");

bool try_replace(Machine& machine) {
  const auto replaced = outcome_of(machine.storage().replace(kName, record('a'), kAnew));
  if (replaced) {
    EXPECT_TRUE(*replaced);
  }
  return replaced.has_value();
}

TEST_P(KeyFolderFaults, OfAReplacementTheOldOneIsThereOrTheNewOne) {
  at_each_call(put, try_replace, [](Machine& machine, bool succeeded) {
    const auto left = machine.after_power_loss();
    EXPECT_TRUE(left == kAnew || (left == record('a') && !succeeded));
    // Whoever tries again, and hears that another one is there, can rely on that.
    run_task(machine.other().replace(kName, record('a'), kAnew));
    EXPECT_EQ(machine.after_power_loss(), kAnew);
    EXPECT_EQ(machine.now(), kAnew);
  });
}

TEST_P(KeyFolderFaults, AReplacementIsListedByNobodyBeforeItIsSafe) {
  at_each_call(put, try_replace, [](Machine& machine, bool) {
    const auto page = run_task(machine.other().list("aa"));
    ASSERT_EQ(page.records.size(), 1U);
    if (page.records.front().second == kAnew) {
      EXPECT_EQ(machine.after_power_loss(), kAnew);
    }
  });
}

bool try_erase(Machine& machine, const std::string& key_id) {
  const auto was_there = outcome_of(machine.storage().erase(kName, key_id));
  if (was_there) {
    EXPECT_TRUE(*was_there);
  }
  return was_there.has_value();
}

TEST_P(KeyFolderFaults, AnErasedKeyDoesNotComeBack) {
  for (const auto& key_id : {std::string(), record('a').key_id}) {
    at_each_call(
        put, [&](Machine& machine) { return try_erase(machine, key_id); },
        [&](Machine& machine, bool succeeded) {
          if (succeeded) {
            EXPECT_EQ(machine.after_power_loss(), std::nullopt);
          }
          const bool was_there = run_task(machine.other().erase(kName, key_id));
          EXPECT_FALSE(succeeded && was_there);
          EXPECT_EQ(machine.after_power_loss(), std::nullopt);
          EXPECT_EQ(machine.now(), std::nullopt);
        });
  }
}

TEST(KeyFolder, AnErasedKeyDoesNotComeBackInPlaceOfTheNextOne) {
  Machine machine;
  put(machine);
  const auto key_id = record('a').key_id;
  // Each is tried with a later fault until it is done, but not safely.
  for (std::uint64_t call = 1; machine.now(); ++call) {
    machine.system().fail_at(call, EIO);
    EXPECT_FALSE(outcome_of(machine.storage().erase(kName, key_id)));
    machine.system().fail_at(0, 0);
  }
  for (std::uint64_t call = 1; !machine.now(); ++call) {
    machine.system().fail_at(call, EIO);
    EXPECT_FALSE(outcome_of(machine.storage().put_new(kName, record('b'))));
    machine.system().fail_at(0, 0);
  }
  ASSERT_EQ(machine.after_power_loss(), record('a'));
  EXPECT_FALSE(run_task(machine.storage().erase(kName, key_id)));
  EXPECT_EQ(machine.after_power_loss(), record('b'));
}

TEST_P(KeyFolderFaults, AKeyringHasOneId) {
  bool done = false;
  for (std::uint64_t call = 1; !done; ++call) {
    ASSERT_LT(call, 100U);
    SCOPED_TRACE("call " + std::to_string(call));
    const TemporaryFolder folder;
    PowerLossFileSystem system;
    // Where the call that fails is one of the constructor's, it is tried again, as at a restart.
    std::unique_ptr<FolderKeyStorage> storage;
    std::optional<std::string> told;
    const auto start = [&] {
      try {
        storage = std::make_unique<FolderKeyStorage>(folder / "some/keys", system);
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kInvalid);
        return;
      }
      told = outcome_of(storage->id(true));
    };
    system.fail_at(call, EIO, GetParam());
    start();
    done = system.calls() < call;
    system.fail_at(0, 0);
    EXPECT_TRUE(told.has_value() || !done);
    const auto left = [&] {
      fs::remove_all(folder / "left");
      system.leave(folder.path(), folder / "left");
      PowerLossFileSystem unharmed;
      FolderKeyStorage survivor(folder / "left/some/keys", unharmed);
      return run_task(survivor.id(false));
    };
    if (told) {
      EXPECT_EQ(left(), *told);
    }
    // Who only looks is told of none that is not safe.
    if (storage) {
      FolderKeyStorage looking(folder / "some/keys", system);
      const auto seen = run_task(looking.id(false));
      if (!seen.empty()) {
        EXPECT_EQ(left(), seen);
      }
    }
    const auto before = told;
    start();
    ASSERT_TRUE(told);
    if (before) {
      EXPECT_EQ(told, before);
    }
    EXPECT_EQ(left(), *told);
  }
}

INSTANTIATE_TEST_SUITE_P(DoneOrNot, KeyFolderFaults, testing::Bool(), [](const auto& info) {
  return info.param ? "DoneAllTheSame" : "NotDone";
});

}  // namespace
}  // namespace colloquy::keyring
