#include "store/encrypted/store_mark.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "base/error.h"
#include "base/limits.h"
#include "keyring/folder_key_storage.h"
#include "store/rocksdb/rocksdb_harness.h"
#include "store/testing/temporary_folder.h"

namespace colloquy::store {
namespace {

// Master keys of a service that refuses one of the directions.
class RefusingMasterKeys final : public keyring::MasterKeys {
 public:
  RefusingMasterKeys(keyring::MasterKeys& inner, bool wraps) : inner_(inner), wraps_(wraps) {}
  Task<std::string> current() override { return inner_.current(); }
  bool unwraps(std::string_view master) override { return inner_.unwraps(master); }
  Task<keyring::Wrapped> wrap(std::string secret, std::string context) override {
    if (!wraps_) throw unavailable("refused");
    co_return co_await inner_.wrap(std::move(secret), std::move(context));
  }
  Task<std::string> unwrap(keyring::Wrapped /*wrapped*/, std::string /*context*/) override {
    throw unavailable("refused");
    co_return std::string();
  }

 private:
  keyring::MasterKeys& inner_;
  bool wraps_;
};

class StoreMarkTest : public testing::Test {
 protected:
  StoreMarkTest() : store_(harness_.open()) {}

  std::unique_ptr<keyring::Keyring> open(keyring::MasterKeys& masters) {
    return run_task(open_keyring(*store_, storage_, masters, harness_.clock()));
  }
  std::vector<std::string> marks() { return run_task(find_marks(*store_)); }
  void reopen() {
    store_.reset();
    store_ = harness_.open();
  }

  TemporaryFolder folder_;
  keyring::FolderKeyStorage storage_{folder_ / "keyring"};
  std::string master_key_ = keyring::make_master_key();
  keyring::LocalMasterKeys masters_{[this] { return master_key_; }};
  RocksDbHarness harness_;
  std::unique_ptr<Store> store_;
};

TEST_F(StoreMarkTest, AStoreIsMarkedOnceAndNamesItsKeyring) {
  EXPECT_THAT(marks(), testing::IsEmpty());
  auto opened = open(masters_);
  EXPECT_THAT(marks(), testing::ElementsAre(opened->id()));
  reopen();
  auto again = open(masters_);
  EXPECT_EQ(again->id(), opened->id());
  EXPECT_EQ(marks().size(), 1U);
  keyring::FolderKeyStorage another(folder_ / "another");
  for (bool made : {false, true}) {
    if (made) run_task(another.id(true));
    EXPECT_EQ(error_of(open_keyring(*store_, another, masters_, harness_.clock())),
              ErrorCode::kInvalid);
  }
}

TEST_F(StoreMarkTest, AMasterKeyThatDoesNotServeLeavesNoMark) {
  for (bool wraps : {false, true}) {
    RefusingMasterKeys refusing(masters_, wraps);
    EXPECT_EQ(error_of(open_keyring(*store_, storage_, refusing, harness_.clock())),
              ErrorCode::kUnavailable);
    EXPECT_THAT(marks(), testing::IsEmpty());
  }
  open(masters_);
  EXPECT_EQ(marks().size(), 1U);
}

TEST_F(StoreMarkTest, AMarkStaysWhateverTheClockAndTheRetentionSay) {
  harness_.retain(3600);
  reopen();
  auto id = open(masters_)->id();
  constexpr std::int64_t kYearMs = 365LL * 24 * 60 * 60 * 1000;
  for (std::int64_t years : {1, 20, 300}) {
    harness_.clock().advance_ms(years * kYearMs);
    harness_.settle(*store_);
    EXPECT_THAT(marks(), testing::ElementsAre(id)) << years;
  }
  reopen();
  EXPECT_THAT(marks(), testing::ElementsAre(id));
}

TEST_F(StoreMarkTest, AMarkThatWasMadeForTenYearsIsKept) {
  auto id = run_task(storage_.id(true));
  NewConversation mark;
  mark.title = "encrypted with keyring " + id;
  mark.ttl_seconds = limits::kTtlSecondsMax;
  run_task(store_->create_conversation(UserId("\x01"
                                              "encryption"),
                                       mark, {}));
  open(masters_);
  harness_.clock().advance_ms(20LL * 365 * 24 * 60 * 60 * 1000);
  EXPECT_THAT(marks(), testing::ElementsAre(id));
}

}  // namespace
}  // namespace colloquy::store
