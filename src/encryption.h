// What the settings say of encryption, made: master key, keyring, and the store that encrypts. The
// store itself keeps a mark, a conversation of a user that nobody can be, which says that what is
// in it is encrypted, and with which keyring; so does every backup of it.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/signal.h"
#include "base/task.h"
#include "config/config.h"
#include "keyring/keyring.h"
#include "net/http_client.h"
#include "store/dynamodb/client.h"
#include "store/encrypted/encrypted_store.h"

namespace colloquy {

// Master key and the storage of the users' keys.
class KeysAccess {
 public:
  // Blocks on files, and where a region has to be found. With a client the keys are in its table,
  // else in the folder of --keyring. What is referred to outlives it. Throws ConfigError that names
  // the setting.
  KeysAccess(const config::EncryptionConfig& config, const config::Sources& sources,
             const config::DynamoDbConfig& region, store::dynamodb::Client* tables,
             const Clock& clock, const boost::asio::any_io_executor& background);

  keyring::MasterKeys& masters() { return *masters_; }
  keyring::KeyStorage& storage() { return *storage_; }
  // Of the settings, for the keys to be unwrapped; words for an operator.
  const std::string& needed() const { return needed_; }

 private:
  std::string needed_;
  std::unique_ptr<net::HttpClient> http_;
  std::unique_ptr<keyring::MasterKeys> masters_;
  std::unique_ptr<keyring::KeyStorage> storage_;
};

// How often a server without encryption looks whether others have switched it on.
inline constexpr std::chrono::milliseconds kMarkLookInterval{5'000};

// A store whose texts are encrypted.
class Encryption {
 public:
  // Looks at the store's mark, or makes it where nothing was encrypted yet, and the keyring with
  // it. Throws ConfigError where the keyring is not the one that the store was encrypted with, or
  // the master key not the one that its keys were wrapped with.
  Encryption(KeysAccess& keys, store::Store& store, store::SealedWrites& writes,
             store::Intake& intake, const Clock& clock, boost::asio::io_context& loop);

  store::EncryptedStore& store() { return *store_; }
  keyring::Keyring& keyring() { return *keyring_; }

 private:
  std::unique_ptr<keyring::Keyring> keyring_;
  std::unique_ptr<store::EncryptedStore> store_;
};

// Throws ConfigError where the table of the keys is not what it must be, as far as the service
// says.
void require_keys_table(const config::EncryptionConfig& config, store::dynamodb::Client& client,
                        boost::asio::io_context& loop);

// Throws ConfigError where the store has a mark: without its keyring it would show what nobody can
// read.
void require_plain(store::Store& store, boost::asio::io_context& loop);

// Of a server that encrypts nothing, beside others at the same store: whether they have switched
// it on. On one event loop.
class MarkWatch {
 public:
  explicit MarkWatch(store::Store& store) : store_(store) {}  // outlives it

  // Looks until the store is encrypted, and then says with which keyring; or until stop().
  Task<> run(std::function<void(const std::string& keyring)> found);
  // Nothing is found from now on.
  void stop();
  // Returns when run() has ended, or the time is up.
  Task<> wait_until_ended(std::chrono::milliseconds at_most);

 private:
  store::Store& store_;
  Signal wake_;
  Signal ended_;
  bool running_ = false;
  bool stopped_ = false;
};

// Throws ConfigError where the keyring is within a folder of the data, its backup or the files.
void check_keyring_apart(const config::ServeConfig& config);

}  // namespace colloquy
