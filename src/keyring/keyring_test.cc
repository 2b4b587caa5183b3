#include "keyring/keyring.h"

#include <gmock/gmock.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/testing/run_task.h"
#include "keyring/folder_key_storage.h"
#include "store/testing/temporary_folder.h"

namespace colloquy::keyring {
namespace {

namespace fs = std::filesystem;

class KeyringTest : public testing::Test {
 protected:
  Keyring open(KeyringOptions options = {}) {
    return {run_task(storage_.id(true)), storage_, masters_, clock_, options};
  }
  std::string error_of(Task<Keyring::Key> task) {
    try {
      run_task(std::move(task));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInternal);
      return error.detail();
    }
    ADD_FAILURE() << "nothing was thrown";
    return {};
  }
  fs::path key_file() const {
    for (const auto& entry : fs::recursive_directory_iterator(folder_ / "keys")) {
      if (entry.path().extension() == ".key") return entry.path();
    }
    return {};
  }

  store::TemporaryFolder folder_;
  FolderKeyStorage storage_{folder_ / "keys"};
  std::string master_keys_ = make_master_key();
  LocalMasterKeys masters_{[this] { return master_keys_; }};
  ManualClock clock_{1'700'000'000'000};
  const UserId alice_{"alice"};
  const UserId bob_{"bob"};
};

TEST_F(KeyringTest, AUsersKeyIsMadeOnceAndFoundAgain) {
  auto keyring = open();
  EXPECT_EQ(run_task(keyring.find(alice_)), nullptr);
  auto key = run_task(keyring.find_or_make(alice_));
  EXPECT_EQ(run_task(keyring.find_or_make(alice_)), key);
  EXPECT_NE(run_task(keyring.find_or_make(bob_))->id(), key->id());
  auto again = open();
  EXPECT_EQ(again.id(), keyring.id());
  auto found = run_task(again.find(alice_));
  EXPECT_EQ(found->id(), key->id());
  EXPECT_EQ(found->open(key->seal("text", "place"), "place"), "text");
  EXPECT_EQ(found->open(key->seal("text", "place"), "elsewhere"), std::nullopt);
  EXPECT_EQ(found->digest("text"), key->digest("text"));
}

TEST_F(KeyringTest, MemoryIsBounded) {
  auto keyring = open({2, std::chrono::milliseconds(60'000)});
  auto key = run_task(keyring.find_or_make(alice_));
  for (int i = 0; i < 5; ++i) run_task(keyring.find_or_make(UserId(std::to_string(i))));
  auto found = run_task(keyring.find(alice_));
  EXPECT_NE(found, key);
  EXPECT_EQ(found->id(), key->id());
}

TEST_F(KeyringTest, AKeyThatAnotherKeyringErasedIsUsedNoMoreOnceItIsForgotten) {
  auto keyring = open();
  auto other = open();
  auto key = run_task(other.find_or_make(alice_));
  auto id = run_task(keyring.id_of(alice_));
  ASSERT_EQ(id, key->id());
  EXPECT_TRUE(run_task(keyring.erase(alice_, *id)));
  other.forget(alice_);
  EXPECT_EQ(run_task(other.find(alice_)), nullptr);
  auto next = run_task(other.find_or_make(alice_));
  EXPECT_NE(next->id(), key->id());
  // Who comes late to the erasure takes nothing away.
  EXPECT_FALSE(run_task(keyring.erase(alice_, *id)));
  EXPECT_EQ(run_task(keyring.find(alice_))->id(), next->id());
  keyring.forget_all();
  EXPECT_EQ(run_task(keyring.id_of(alice_)), next->id());
  EXPECT_EQ(run_task(keyring.id_of(bob_)), std::nullopt);
}

// Master keys for which something happens while one is used.
class DisturbedMasterKeys final : public MasterKeys {
 public:
  explicit DisturbedMasterKeys(MasterKeys& inner) : inner_(inner) {}
  Task<std::string> current() override { return inner_.current(); }
  bool unwraps(std::string_view master) override { return inner_.unwraps(master); }
  Task<Wrapped> wrap(std::string secret, std::string about) override {
    co_return co_await inner_.wrap(std::move(secret), std::move(about));
  }
  Task<std::string> unwrap(Wrapped wrapped, std::string about) override {
    ++unwrapped_;
    auto secret = co_await inner_.unwrap(std::move(wrapped), std::move(about));
    if (auto happens = std::exchange(happens_, nullptr)) co_await happens();
    co_return secret;
  }
  void disturb(std::function<Task<>()> happens) { happens_ = std::move(happens); }
  int unwrapped() const { return unwrapped_; }

 private:
  MasterKeys& inner_;
  int unwrapped_ = 0;
  std::function<Task<>()> happens_;
};

// A keyring to which something happens while it reads the key that another one has made.
class DisturbedKeyringTest : public KeyringTest {
 protected:
  Keyring other_ = open();
  const Keyring::Key key_ = run_task(other_.find_or_make(alice_));
  DisturbedMasterKeys disturbed_{masters_};
  Keyring keyring_{other_.id(), storage_, disturbed_, clock_};
};

TEST_F(DisturbedKeyringTest, AKeyThatIsErasedWhileItIsReadIsNotUsed) {
  const std::function<Task<>()> erase = [&]() -> Task<> { co_await keyring_.erase(alice_); };
  disturbed_.disturb(erase);
  EXPECT_NE(run_task(keyring_.find_or_make(alice_))->id(), key_->id());
  // By another server, which tells of it.
  auto second = run_task(keyring_.find(alice_));
  keyring_.forget_all();
  const std::function<Task<>()> elsewhere = [&]() -> Task<> {
    co_await other_.erase(alice_);
    keyring_.forget(alice_);
  };
  disturbed_.disturb(elsewhere);
  EXPECT_NE(run_task(keyring_.find_or_make(alice_))->id(), second->id());
}

TEST_F(DisturbedKeyringTest, RequestsThatNeedTheSameKeyUnwrapItOnce) {
  boost::asio::io_context loop;
  std::vector<std::future<Keyring::Key>> found;
  auto ask_three_times = [&] {
    for (int i = 0; i < 3; ++i) {
      found.push_back(boost::asio::co_spawn(loop, keyring_.find(alice_), boost::asio::use_future));
    }
  };
  ask_three_times();
  loop.run();
  for (auto& one : found) EXPECT_EQ(one.get()->id(), key_->id());
  EXPECT_EQ(disturbed_.unwrapped(), 1);
  // All hear of a failure, and those who come later look again.
  keyring_.forget_all();
  found.clear();
  const std::function<Task<>()> fail = []() -> Task<> {
    throw unavailable("out");
    co_return;
  };
  disturbed_.disturb(fail);
  ask_three_times();
  loop.restart();
  loop.run();
  for (auto& one : found) EXPECT_THROW(one.get(), Error);
  EXPECT_EQ(disturbed_.unwrapped(), 2);
  EXPECT_EQ(run_task(keyring_.find(alice_))->id(), key_->id());
}

TEST_F(DisturbedKeyringTest, AnErasureAlsoEndsALookThatOthersWaitFor) {
  const std::function<Task<>()> erase = [&]() -> Task<> { co_await keyring_.erase(alice_); };
  disturbed_.disturb(erase);
  boost::asio::io_context loop;
  std::vector<std::future<Keyring::Key>> found;
  for (int i = 0; i < 3; ++i) {
    found.push_back(boost::asio::co_spawn(loop, keyring_.find(alice_), boost::asio::use_future));
  }
  loop.run();
  for (auto& one : found) EXPECT_EQ(one.get(), nullptr);
}

TEST_F(KeyringTest, AKeyringThatIsNotThereAnyMoreLeavesNobodyWithoutAKey) {
  auto keyring = open();
  auto key = run_task(keyring.find_or_make(alice_));
  const fs::path place = folder_ / "keys";
  fs::rename(place, folder_ / "unmounted");
  fs::create_directory(place);  // the folder below it
  clock_.advance_ms(60'000);
  auto code_of = [](auto task) {
    try {
      static_cast<void>(run_task(std::move(task)));
    } catch (const Error& error) {
      EXPECT_THAT(error.detail(), testing::HasSubstr("is not the keyring"));
      return error.code();
    }
    ADD_FAILURE() << "nothing was thrown";
    return ErrorCode::kInternal;
  };
  EXPECT_EQ(code_of(keyring.find_or_make(bob_)), ErrorCode::kUnavailable);
  EXPECT_EQ(code_of(keyring.find(bob_)), ErrorCode::kUnavailable);
  EXPECT_EQ(code_of(keyring.erase(alice_)), ErrorCode::kUnavailable);
  EXPECT_EQ(code_of(keyring.rotate({})), ErrorCode::kUnavailable);
  Keyring fresh(keyring.id(), storage_, masters_, clock_);
  EXPECT_EQ(code_of(fresh.find_or_make(alice_)), ErrorCode::kUnavailable);
  EXPECT_TRUE(key_file().empty());
  // Another one at its place is none either.
  FolderKeyStorage another(place);
  run_task(another.id(true));
  EXPECT_EQ(code_of(fresh.find_or_make(alice_)), ErrorCode::kUnavailable);
  fs::remove_all(place);
  fs::rename(folder_ / "unmounted", place);
  EXPECT_EQ(run_task(fresh.find(alice_))->id(), key->id());
}

TEST_F(KeyringTest, AKeyInMemoryServesForAWhileWhereTheKeyringIsNotThere) {
  auto keyring = open({10'000, std::chrono::milliseconds(60'000), std::chrono::minutes(10)});
  auto key = run_task(keyring.find_or_make(alice_));
  const fs::path place = folder_ / "keys";
  fs::rename(place, folder_ / "unmounted");
  clock_.advance_ms(9 * 60'000);
  EXPECT_EQ(run_task(keyring.find_or_make(alice_)), key);
  EXPECT_EQ(run_task(keyring.find(alice_, key->id())), key);
  EXPECT_THROW(run_task(keyring.find(alice_, "another")), Error);
  clock_.advance_ms(60'000);
  EXPECT_THROW(run_task(keyring.find(alice_)), Error);
  fs::rename(folder_ / "unmounted", place);
  EXPECT_EQ(run_task(keyring.find(alice_)), key);
  // One that was forgotten is not used, however lately it was there.
  fs::rename(place, folder_ / "unmounted");
  keyring.forget(alice_);
  EXPECT_THROW(run_task(keyring.find(alice_)), Error);
}

TEST_F(KeyringTest, ADamagedKeyCanBeErased) {
  auto keyring = open();
  run_task(keyring.find_or_make(alice_));
  std::ofstream(key_file(), std::ios::trunc) << "damaged";
  EXPECT_EQ(run_task(keyring.id_of(alice_)), "");
  EXPECT_TRUE(run_task(keyring.erase(alice_, "")));
  EXPECT_EQ(run_task(keyring.id_of(alice_)), std::nullopt);
}

TEST_F(KeyringTest, RotationWrapsAllKeysAnewAndChangesNone) {
  auto keyring = open();
  auto key = run_task(keyring.find_or_make(alice_));
  run_task(keyring.find_or_make(bob_));
  auto old_key = master_keys_;
  master_keys_ = make_master_key() + "\n" + old_key + "\n";
  LocalMasterKeys both([this] { return master_keys_; });
  Keyring rotating(keyring.id(), storage_, both, clock_);
  auto rotation = run_task(rotating.rotate({}));
  EXPECT_EQ(rotation.wrapped_anew, 2U);
  rotation = run_task(rotating.rotate({}));
  EXPECT_EQ(rotation.wrapped_anew, 0U);
  EXPECT_EQ(rotation.as_they_were, 2U);
  // A server that knew only the old one reads its file again.
  Keyring old_server(keyring.id(), storage_, masters_, clock_);
  EXPECT_EQ(run_task(old_server.find(alice_))->id(), key->id());
  // The old one is not needed any more.
  master_keys_ = master_keys_.substr(0, master_keys_.find('\n'));
  LocalMasterKeys fresh([this] { return master_keys_; });
  Keyring after(keyring.id(), storage_, fresh, clock_);
  EXPECT_EQ(run_task(after.find(alice_))->open(key->seal("text", ""), ""), "text");
  LocalMasterKeys lost([old_key] { return old_key; });
  Keyring without(keyring.id(), storage_, lost, clock_);
  EXPECT_THAT(error_of(without.find(alice_)), testing::HasSubstr(run_task(fresh.current())));
}

TEST_F(KeyringTest, RotationGoesOnPastWhatIsDamagedAndNamesIt) {
  auto keyring = open();
  run_task(keyring.find_or_make(alice_));
  const auto damaged = key_file();
  run_task(keyring.find_or_make(bob_));
  for (int i = 0; i < 5; ++i) run_task(keyring.find_or_make(UserId(std::to_string(i))));
  std::ofstream(damaged, std::ios::trunc) << "damaged";
  // One that is whole but cannot be unwrapped: the content of another.
  fs::path moved;
  for (const auto& entry : fs::recursive_directory_iterator(folder_ / "keys")) {
    if (entry.path().extension() != ".key" || entry.path() == damaged) continue;
    if (moved.empty()) {
      moved = entry.path();
    } else {
      fs::copy_file(entry.path(), moved, fs::copy_options::overwrite_existing);
      break;
    }
  }
  master_keys_ = make_master_key() + "\n" + master_keys_ + "\n";
  LocalMasterKeys both([this] { return master_keys_; });
  Keyring rotating(keyring.id(), storage_, both, clock_);
  auto rotation = run_task(rotating.rotate({}));
  EXPECT_EQ(rotation.wrapped_anew, 5U);
  EXPECT_EQ(rotation.failed, 2U);
  EXPECT_THAT(rotation.failures,
              testing::UnorderedElementsAre(testing::HasSubstr(damaged.string()),
                                            testing::HasSubstr(moved.stem().string())));
  rotation = run_task(rotating.rotate({}));
  EXPECT_EQ(rotation.as_they_were, 5U);
  EXPECT_EQ(rotation.failed, 2U);
}

TEST_F(KeyringTest, MasterKeysAreReadAgainElsewhereAndNotForEachRequest) {
  auto before = make_master_key();
  auto next = make_master_key();
  std::string text = before;
  std::vector<std::thread::id> readers;
  LocalMasterKeys masters(
      [&] {
        readers.push_back(std::this_thread::get_id());
        return text;
      },
      std::chrono::hours(1));
  auto old = run_task(masters.wrap("secret", "place"));
  LocalMasterKeys unknown([] { return make_master_key(); });
  auto lost = run_task(unknown.wrap("secret", "place"));
  text = next;
  EXPECT_THROW(run_task(masters.unwrap(lost, "place")), Error);
  EXPECT_THROW(run_task(masters.unwrap(lost, "place")), Error);
  ASSERT_EQ(readers.size(), 2U);  // at first, and once
  EXPECT_EQ(readers[0], std::this_thread::get_id());
  EXPECT_NE(readers[1], std::this_thread::get_id());
  // The new one wraps, and the one that was taken out too early still unwraps.
  LocalMasterKeys fresh([next] { return next; });
  EXPECT_EQ(run_task(masters.current()), run_task(fresh.current()));
  EXPECT_EQ(run_task(masters.unwrap(old, "place")), "secret");
}

TEST_F(KeyringTest, AKeyOfAnotherUserOrADamagedOneIsRefused) {
  auto keyring = open();
  run_task(keyring.find_or_make(alice_));
  auto alices = key_file();
  auto content = [](const fs::path& path) {
    std::ifstream file(path);
    return std::string((std::istreambuf_iterator<char>(file)), {});
  };
  auto text = content(alices);
  EXPECT_EQ(text.find("alice"), std::string::npos);
  auto fresh = [this] { return open(); };
  for (std::size_t size = 0; size < text.size(); size += 7) {
    std::ofstream(alices, std::ios::trunc) << text.substr(0, size);
    auto reading = fresh();
    EXPECT_NE(error_of(reading.find(alice_)), "") << size;
  }
  fs::remove(alices);
  run_task(keyring.find_or_make(bob_));
  auto bobs = content(key_file());
  fs::create_directories(alices.parent_path());
  std::ofstream(alices) << bobs;
  auto reading = fresh();
  EXPECT_THAT(error_of(reading.find(alice_)), testing::HasSubstr("not where it belongs"));
}

TEST_F(KeyringTest, MasterKeysAreChecked) {
  for (const auto* text : {"", "\n# nothing\n", "short", "AAAA", "not base64!"}) {
    EXPECT_THROW(LocalMasterKeys([text] { return std::string(text); }), Error) << text;
  }
  auto key = make_master_key();
  LocalMasterKeys with_comments([key] { return "# mine\r\n " + key + " \r\n"; });
  LocalMasterKeys plain([key] { return key; });
  EXPECT_EQ(run_task(with_comments.current()), run_task(plain.current()));
  EXPECT_EQ(run_task(plain.current()).find(key), std::string::npos);
  EXPECT_THROW(read_master_keys(folder_ / "none"), Error);
  std::ofstream(folder_ / "open") << key;
  fs::permissions(folder_ / "open", fs::perms(0644));
  EXPECT_THROW(read_master_keys(folder_ / "open"), Error);
  fs::permissions(folder_ / "open", fs::perms(0600));
  EXPECT_EQ(read_master_keys(folder_ / "open"), key);
}

}  // namespace
}  // namespace colloquy::keyring
