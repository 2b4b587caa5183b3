// An EncryptedStore over the store of another harness, with a keyring in a folder, for tests.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "keyring/folder_key_storage.h"
#include "keyring/keyring.h"
#include "store/encrypted/encrypted_store.h"
#include "store/testing/conformance.h"
#include "store/testing/temporary_folder.h"

namespace colloquy::store {

class EncryptedHarness final : public StoreHarness {
 public:
  // The inner one opens stores with sealed_contents.
  explicit EncryptedHarness(std::unique_ptr<StoreHarness> inner)
      : inner_(std::move(inner)), storage_(folder_ / "keyring"), id_(run_task(storage_.id(true))) {}

  std::unique_ptr<Store> open() override { return open_encrypted(); }
  std::unique_ptr<EncryptedStore> open_encrypted() {
    store_.reset();
    store_ = inner_->open();
    keyring_ = std::make_unique<keyring::Keyring>(id_, storage_, masters_, inner_->clock());
    return std::make_unique<EncryptedStore>(*store_, dynamic_cast<SealedWrites&>(*store_),
                                            dynamic_cast<Intake&>(*store_), *keyring_,
                                            inner_->clock());
  }
  void retain(std::optional<std::int64_t> seconds) override { inner_->retain(seconds); }
  ManualClock& clock() override { return inner_->clock(); }
  void settle(Store& /*store*/) override { inner_->settle(*store_); }
  bool counts_at_once() const override { return inner_->counts_at_once(); }
  StoreStats count(Store& /*store*/) override { return inner_->count(*store_); }
  // Its texts go with all else; what encrypts has nothing of them.
  Erasures& erasures(Store& /*store*/) override { return inner_->erasures(*store_); }

  Store& inner() { return *store_; }  // that was opened last
  keyring::Keyring& keyring() { return *keyring_; }
  keyring::FolderKeyStorage& storage() { return storage_; }
  keyring::LocalMasterKeys& masters() { return masters_; }
  const TemporaryFolder& folder() const { return folder_; }
  void set_master_keys(std::string text) { *master_keys_ = std::move(text); }
  const std::string& master_keys() const { return *master_keys_; }

 private:
  TemporaryFolder folder_;
  std::unique_ptr<StoreHarness> inner_;
  keyring::FolderKeyStorage storage_;
  std::string id_;
  std::shared_ptr<std::string> master_keys_ =
      std::make_shared<std::string>(keyring::make_master_key());
  keyring::LocalMasterKeys masters_{[keys = master_keys_] { return *keys; }};
  std::unique_ptr<keyring::Keyring> keyring_;
  std::unique_ptr<Store> store_;
};

}  // namespace colloquy::store
