#include "keyring/master_keys.h"

#include <algorithm>
#include <cstddef>

#include "base/base64.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/read_file.h"
#include "base/sha256.h"
#include "base/text.h"
#include "keyring/data_key.h"

namespace colloquy::keyring {
namespace {

constexpr std::string_view kLocal = "local-";
constexpr std::size_t kNameBytes = 6;

Error not_a_key(std::size_t number) {
  return {ErrorCode::kInvalid, "Master key " + std::to_string(number) +
                                   " is not 32 bytes in base64; colloquy keys create makes one."};
}

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    auto end = std::min(text.find_first_of("\n,"), text.size());
    auto word = text.substr(0, end);
    while (word.ends_with('\r') || word.ends_with(' ')) word.remove_suffix(1);
    while (word.starts_with(' ')) word.remove_prefix(1);
    if (!word.empty() && !word.starts_with('#')) words.push_back(word);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

}  // namespace

struct LocalMasterKeys::Key {
  std::string name;
  std::string secret;
  explicit Key(std::string bytes) : secret(std::move(bytes)) {
    // Says nothing of the key, and is the same wherever the key is.
    auto digest = sha256({"colloquy master key", secret});
    name = std::string(kLocal) + to_hex(bytes_of(digest).substr(0, kNameBytes));
  }
  ~Key() { wipe(secret); }
  Key(const Key&) = delete;
  Key& operator=(const Key&) = delete;
};

LocalMasterKeys::Keys LocalMasterKeys::parse(std::string text) {
  WipeAtEnd wipe_text(text);
  Keys keys;
  for (auto word : words_of(text)) {
    auto bytes = base64_decode(word);
    if (!bytes || bytes->size() != kSecretBytes) throw not_a_key(keys.size() + 1);
    keys.push_back(std::make_shared<const Key>(std::move(*bytes)));
  }
  if (keys.empty()) throw Error(ErrorCode::kInvalid, "There is no master key.");
  return keys;
}

LocalMasterKeys::LocalMasterKeys(std::function<std::string()> read,
                                 std::chrono::milliseconds read_again_after)
    : read_(std::move(read)), read_again_after_(read_again_after), keys_(parse(read_())) {}
LocalMasterKeys::~LocalMasterKeys() = default;

Task<std::string> LocalMasterKeys::current() {
  std::scoped_lock lock(mutex_);
  co_return keys_.front()->name;
}

bool LocalMasterKeys::unwraps(std::string_view master) { return master.starts_with(kLocal); }

std::shared_ptr<const LocalMasterKeys::Key> LocalMasterKeys::held(std::string_view master) {
  std::scoped_lock lock(mutex_);
  for (const auto& key : keys_) {
    if (key->name == master) return key;
  }
  return nullptr;
}

// Requests that miss the same key wait here one behind the other, and the first one reads.
std::shared_ptr<const LocalMasterKeys::Key> LocalMasterKeys::read_again(const std::string& master) {
  if (auto key = held(master)) return key;
  const auto now = std::chrono::steady_clock::now();
  if (!last_read_ || now - *last_read_ >= read_again_after_) {
    last_read_ = now;
    Keys keys;
    try {
      keys = parse(read_());
    } catch (const Error& error) {
      throw internal_error("the master keys cannot be read again: " + error.message());
    }
    std::scoped_lock lock(mutex_);
    auto given = keys.size();
    for (auto& before : keys_) {
      auto end = keys.begin() + static_cast<std::ptrdiff_t>(given);
      bool again = std::any_of(keys.begin(), end,
                               [&before](const auto& key) { return key->name == before->name; });
      if (!again) keys.push_back(before);
    }
    keys_ = std::move(keys);
  }
  if (auto key = held(master)) return key;
  throw internal_error("the master key " + master + " is not among those given");
}

Task<std::shared_ptr<const LocalMasterKeys::Key>> LocalMasterKeys::find(std::string master) {
  if (auto key = held(master)) co_return key;
  auto job = [this, master = std::move(master)] { return read_again(master); };
  co_return co_await reading_.run(std::move(job));
}

Task<Wrapped> LocalMasterKeys::wrap(std::string secret, std::string context) {
  WipeAtEnd wipe_secret(secret);
  std::shared_ptr<const Key> key;
  {
    std::scoped_lock lock(mutex_);
    key = keys_.front();
  }
  co_return Wrapped{key->name, seal(key->secret, secret, context)};
}

Task<std::string> LocalMasterKeys::unwrap(Wrapped wrapped, std::string context) {
  auto key = co_await find(wrapped.master);
  auto secret = open(key->secret, wrapped.bytes, context);
  if (!secret) throw internal_error("a wrapped data key was changed, or is not where it belongs");
  co_return std::move(*secret);
}

std::string make_master_key() { return base64_encode(random_bytes(kSecretBytes)); }

std::string read_master_keys(const std::string& path) {
  try {
    auto file = read_file(path, 64 * limits::kKiB);
    if ((file.permissions & 0007U) != 0) {
      throw Error(ErrorCode::kInvalid,
                  "The master key " + path + " can be read by everyone: make it mode 0600.");
    }
    return std::move(file.text);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNotFound) throw;
    throw Error(ErrorCode::kInvalid, "The master key " + path + " is not there.");
  }
}

}  // namespace colloquy::keyring
