// The data keys of all users: made when a user's first text is written, kept wrapped (KeyStorage),
// held in memory for a while. Without a user's key nobody can read what that user wrote, in the
// store or in any backup of it.
//
// From any event loop; nothing blocks it. Errors: as KeyStorage and MasterKeys.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/task.h"
#include "keyring/data_key.h"
#include "keyring/key_storage.h"
#include "keyring/master_keys.h"
#include "keyring/shared_looks.h"

namespace colloquy::keyring {

struct KeyringOptions {
  std::size_t keys_in_memory = 10'000;
  // After so long it is looked whether a key is still there: another server may have erased it.
  std::chrono::milliseconds look_again{60'000};
  // Where that cannot be found out, the key is used for so long since it was there.
  std::chrono::milliseconds use_unseen{10 * 60'000};
};

struct Rotation {
  std::uint64_t wrapped_anew = 0;
  std::uint64_t as_they_were = 0;     // by the current master key already
  std::uint64_t failed = 0;           // that are damaged, or whose master key is not given
  std::vector<std::string> failures;  // the first of them, and why
};

class Keyring {
 public:
  using Key = std::shared_ptr<const DataKey>;

  // `id`: the storage's. What is referred to outlives it.
  Keyring(std::string id, KeyStorage& storage, MasterKeys& masters, const Clock& clock,
          KeyringOptions options = {});

  const std::string& id() const { return id_; }

  // null: the user has none, or it was erased. With `wanted`, the id of the key that is needed,
  // the storage is asked where the key in memory is another one.
  Task<Key> find(UserId user, std::string wanted = {});
  // kInternal where the key that the user needs is not there.
  Task<Key> find_or_make(UserId user);
  // To be called before the first of those: what finds the id of the key that a user without one
  // needs all the same, because something is sealed with it; empty: none. A keyring of which an
  // older copy was put back may get it again, and until then no other takes its place.
  void before_making(std::function<Task<std::string>(UserId)> find_needed);
  // The id of the key that the user has in the storage now, empty for a damaged one; nullopt: none.
  Task<std::optional<std::string>> id_of(UserId user);
  // When it returns, nobody can read again what the user wrote; other keyrings on the storage serve
  // the key until they forget it, or for `look_again`. What the user writes afterwards is sealed
  // with a new key. With an id, only the key that has it. False: there was none.
  Task<bool> erase(UserId user, std::string key_id = {});
  // The next look is one into the storage, also of a look that is under way.
  void forget(const UserId& user);
  void forget_all();
  // Wraps every key with the current master key; those that it cannot, it leaves as they are. Safe
  // to interrupt and to run again, also while servers run that have the new master key. `progress`
  // is told how many were looked at.
  Task<Rotation> rotate(std::function<void(std::uint64_t)> progress);

 private:
  struct Held {
    std::string name;
    Key key;
    KeyRecord record;
    std::int64_t looked_at_ms = 0;
    std::int64_t look_at_ms = 0;  // next; set by hold()
  };
  std::optional<Held> held(const std::string& name);
  // False, and nothing is held, where a key was forgotten since there were so many of them.
  bool hold(Held held, std::uint64_t forgotten);
  void forget_name(const std::string& name);
  std::uint64_t forgotten();
  std::optional<Key> held_unseen(const std::string& name, const Key& key);
  // nullopt: a key was forgotten meanwhile, which may be this one.
  Task<std::optional<Key>> try_to_load(std::string name);
  Task<Key> load(std::string name, std::string wanted);
  Task<> rotate_one(Rotation& rotation, std::string name, KeyRecord record, std::string current);
  std::string context(std::string_view name, std::string_view key_id) const;

  const std::string id_;
  KeyStorage& storage_;
  MasterKeys& masters_;
  const Clock& clock_;
  const KeyringOptions options_;
  std::function<Task<std::string>(UserId)> find_needed_;
  std::mutex mutex_;
  std::list<Held> order_;  // the last used first; guarded by mutex_
  std::unordered_map<std::string, std::list<Held>::iterator> by_name_;  // guarded by mutex_
  std::uint64_t forgotten_ = 0;  // how often a key was; guarded by mutex_
  SharedLooks looks_;
};

}  // namespace colloquy::keyring
