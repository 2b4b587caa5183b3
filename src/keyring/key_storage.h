// Where wrapped data keys are kept: apart from the data, so that a key which is erased is nowhere.
//
// Calls run on any event loop and do not block it. Errors: kUnavailable where it cannot be reached
// or its disk is full, or where it is not the keyring any more that id() has told of; kInternal,
// with a detail, where what is kept is damaged.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/task.h"
#include "keyring/master_keys.h"

namespace colloquy::keyring {

struct KeyRecord {
  std::string key_id;  // kKeyIdBytes bytes
  Wrapped wrapped;
  std::int64_t made_at_s = 0;
};
inline bool operator==(const KeyRecord& a, const KeyRecord& b) {
  return a.key_id == b.key_id && a.wrapped.master == b.wrapped.master &&
         a.wrapped.bytes == b.wrapped.bytes && a.made_at_s == b.made_at_s;
}

// Names are 64 hexadecimal digits.
struct KeyPage {
  std::vector<std::pair<std::string, KeyRecord>> records;
  std::vector<std::string> damaged;  // what cannot be read, and why
  std::string next;                  // the position after them; empty: no more
};

class KeyStorage {
 public:
  virtual ~KeyStorage() = default;

  // The id that this keyring has had since it was made; made now where there is none and `make`
  // says so; else empty.
  virtual Task<std::string> id(bool make) = 0;

  virtual Task<std::optional<KeyRecord>> find(std::string name) = 0;
  // Durable when it returns. False, and nothing is written, where there is one.
  virtual Task<bool> put_new(std::string name, KeyRecord record) = 0;
  // False where `before` is not what stands there.
  virtual Task<bool> replace(std::string name, KeyRecord before, KeyRecord after) = 0;
  // Gone for good when it returns; false where there was none. With an id, only the key that has
  // it, or what is damaged: false where there is another.
  virtual Task<bool> erase(std::string name, std::string key_id) = 0;
  // From the first, where the position is empty.
  virtual Task<KeyPage> list(std::string position) = 0;
};

// Of what cannot be had by chance: base64, 12 letters.
std::string make_keyring_id();

}  // namespace colloquy::keyring
