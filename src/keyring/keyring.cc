#include "keyring/keyring.h"

#include <utility>

#include "base/base64.h"
#include "base/error.h"
#include "base/sha256.h"
#include "base/text.h"

namespace colloquy::keyring {
namespace {

constexpr int kTries = 5;
constexpr std::size_t kIdBytes = 9;
constexpr std::size_t kFailuresNamed = 20;
// Of a storage that could not be reached.
constexpr std::int64_t kAskAgainMs = 5'000;
// Longer than a storage and a master key take to say that they cannot be reached.
constexpr auto kLookBound = std::chrono::seconds(60);

Error changed_too_often() { return unavailable("The keys are being changed too often right now."); }

Error missing(const std::string& keyring) {
  return internal_error("a user has encrypted texts, but no key in the keyring " + keyring +
                        ": is it an older copy?");
}

void note_failure(Rotation& rotation, std::string what) {
  ++rotation.failed;
  if (rotation.failures.size() < kFailuresNamed) rotation.failures.push_back(std::move(what));
}

// Users' names stand nowhere in a keyring.
std::string name_of(const UserId& user) {
  return to_hex(bytes_of(sha256({"colloquy keyring user", user.value()})));
}

}  // namespace

std::string make_keyring_id() { return base64_encode(random_bytes(kIdBytes)); }

Keyring::Keyring(std::string id, KeyStorage& storage, MasterKeys& masters, const Clock& clock,
                 KeyringOptions options)
    : id_(std::move(id)), storage_(storage), masters_(masters), clock_(clock), options_(options) {}

// So that a wrapped key serves no other user, and no other keyring.
std::string Keyring::context(std::string_view name, std::string_view key_id) const {
  return "colloquy data key " + id_ + " " + std::string(name) + " " + to_hex(key_id);
}

std::optional<Keyring::Held> Keyring::held(const std::string& name) {
  std::scoped_lock lock(mutex_);
  auto found = by_name_.find(name);
  if (found == by_name_.end()) return std::nullopt;
  order_.splice(order_.begin(), order_, found->second);
  return *found->second;
}

bool Keyring::hold(Held held, std::uint64_t forgotten) {
  held.look_at_ms = held.looked_at_ms + options_.look_again.count();
  std::scoped_lock lock(mutex_);
  if (forgotten != forgotten_) return false;
  auto found = by_name_.find(held.name);
  if (found != by_name_.end()) {
    order_.erase(found->second);
    by_name_.erase(found);
  }
  while (!order_.empty() && order_.size() >= options_.keys_in_memory) {
    by_name_.erase(order_.back().name);
    order_.pop_back();
  }
  order_.push_front(std::move(held));
  by_name_[order_.front().name] = order_.begin();
  return true;
}

std::uint64_t Keyring::forgotten() {
  std::scoped_lock lock(mutex_);
  return forgotten_;
}

void Keyring::forget(const UserId& user) { forget_name(name_of(user)); }

void Keyring::forget_all() {
  std::scoped_lock lock(mutex_);
  ++forgotten_;
  order_.clear();
  by_name_.clear();
  looks_.forget_all();
}

// Counted for all users together: it is rare, and who is disturbed by it only looks again.
void Keyring::forget_name(const std::string& name) {
  std::scoped_lock lock(mutex_);
  ++forgotten_;
  looks_.forget(name);
  auto found = by_name_.find(name);
  if (found == by_name_.end()) return;
  order_.erase(found->second);
  by_name_.erase(found);
}

// From the storage; what is in memory of the same key need not be unwrapped again.
Task<std::optional<Keyring::Key>> Keyring::try_to_load(std::string name) {
  const auto forgotten_before = forgotten();
  auto now_ms = clock_.now_ms();
  auto record = co_await storage_.find(name);
  if (!record) {
    if (held(name)) forget_name(name);
    co_return Key();
  }
  auto before = held(name);
  if (before && before->record.key_id == record->key_id) {
    before->record = std::move(*record);
    before->looked_at_ms = now_ms;
    auto key = before->key;
    bool holds = hold(std::move(*before), forgotten_before);
    co_return holds ? std::optional(key) : std::nullopt;
  }
  auto secret = co_await masters_.unwrap(record->wrapped, context(name, record->key_id));
  WipeAtEnd wipe_secret(secret);
  auto key = std::make_shared<const DataKey>(record->key_id, secret, record->made_at_s);
  bool holds = hold({std::move(name), key, std::move(*record), now_ms}, forgotten_before);
  co_return holds ? std::optional<Key>(std::move(key)) : std::nullopt;
}

Task<Keyring::Key> Keyring::load(std::string name, std::string wanted) {
  for (int tries = 0; tries < kTries; ++tries) {
    auto look = looks_.join(name);
    if (!look.leads()) {
      auto found = co_await look.wait(kLookBound);
      // A look that began before this one may not know of a key that is new.
      bool good = found && (wanted.empty() || (*found && (*found)->id() == wanted));
      if (good) co_return std::move(*found);
      continue;
    }
    std::optional<Key> key;
    std::optional<Error> failure;
    try {
      key = co_await try_to_load(name);
    } catch (const Error& error) {
      failure = error;
    }
    look.end(key, failure);
    if (failure) throw Error(*failure);
    if (key) co_return std::move(*key);
  }
  throw changed_too_often();
}

// The key where it was there not long ago and was not forgotten since.
std::optional<Keyring::Key> Keyring::held_unseen(const std::string& name, const Key& key) {
  const auto now_ms = clock_.now_ms();
  std::scoped_lock lock(mutex_);
  auto found = by_name_.find(name);
  if (found == by_name_.end() || found->second->key != key) return std::nullopt;
  auto& held = *found->second;
  if (now_ms - held.looked_at_ms >= options_.use_unseen.count()) return std::nullopt;
  held.look_at_ms = now_ms + kAskAgainMs;
  return held.key;
}

Task<Keyring::Key> Keyring::find(UserId user, std::string wanted) {
  auto name = name_of(user);
  auto in_memory = held(name);
  bool is_wanted = in_memory && (wanted.empty() || in_memory->key->id() == wanted);
  if (is_wanted && clock_.now_ms() < in_memory->look_at_ms) co_return in_memory->key;
  std::optional<Error> failure;
  try {
    co_return co_await load(name, std::move(wanted));
  } catch (const Error& error) {
    if (!is_wanted || error.code() != ErrorCode::kUnavailable) throw;
    failure = error;
  }
  auto unseen = held_unseen(name, in_memory->key);
  if (!unseen) throw Error(*failure);
  co_return std::move(*unseen);
}

void Keyring::before_making(std::function<Task<std::string>(UserId)> find_needed) {
  find_needed_ = std::move(find_needed);
}

Task<Keyring::Key> Keyring::find_or_make(UserId user) {
  auto name = name_of(user);
  for (int tries = 0; tries < kTries; ++tries) {
    auto key = co_await find(user);
    std::string needed;
    if (!key && find_needed_) needed = co_await find_needed_(user);
    if (!needed.empty()) {
      key = co_await find(user, needed);  // another server may have made it meanwhile
      if (!key) throw missing(id_);
    }
    if (key) co_return key;
    const auto forgotten_before = forgotten();
    auto secret = random_bytes(kSecretBytes);
    WipeAtEnd wipe_secret(secret);
    KeyRecord record;
    record.key_id = random_bytes(kKeyIdBytes);
    record.made_at_s = clock_.now_s();
    record.wrapped = co_await masters_.wrap(secret, context(name, record.key_id));
    key = std::make_shared<const DataKey>(record.key_id, secret, record.made_at_s);
    bool is_first = co_await storage_.put_new(name, record);
    if (!is_first) continue;  // another request has made one meanwhile
    bool holds = hold({name, key, std::move(record), clock_.now_ms()}, forgotten_before);
    if (holds) co_return key;
  }
  throw changed_too_often();
}

Task<std::optional<std::string>> Keyring::id_of(UserId user) {
  try {
    auto record = co_await storage_.find(name_of(user));
    if (!record) co_return std::nullopt;
    co_return std::move(record->key_id);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInternal) throw;
    co_return std::string();
  }
}

Task<bool> Keyring::erase(UserId user, std::string key_id) {
  auto name = name_of(user);
  bool was_there = co_await storage_.erase(name, std::move(key_id));
  forget_name(name);
  co_return was_there;
}

Task<> Keyring::rotate_one(Rotation& rotation, std::string name, KeyRecord record,
                           std::string current) {
  if (record.wrapped.master == current) {
    ++rotation.as_they_were;
    co_return;
  }
  auto about = context(name, record.key_id);
  try {
    auto secret = co_await masters_.unwrap(record.wrapped, about);
    WipeAtEnd wipe_secret(secret);
    auto after = record;
    after.wrapped = co_await masters_.wrap(secret, about);
    // What is not as it was has been erased, or wrapped by another who rotates.
    bool replaced = co_await storage_.replace(name, std::move(record), std::move(after));
    if (replaced) ++rotation.wrapped_anew;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInternal) throw;
    note_failure(rotation, "the key " + name + ": " + error.detail());
  }
}

Task<Rotation> Keyring::rotate(std::function<void(std::uint64_t)> progress) {
  Rotation rotation;
  auto current = co_await masters_.current();
  std::string position;
  do {
    auto page = co_await storage_.list(position);
    for (auto& damaged : page.damaged) note_failure(rotation, std::move(damaged));
    for (auto& [name, record] : page.records) {
      co_await rotate_one(rotation, name, std::move(record), current);
    }
    position = page.next;
    if (progress) progress(rotation.wrapped_anew + rotation.as_they_were + rotation.failed);
  } while (!position.empty());
  co_return rotation;
}

}  // namespace colloquy::keyring
