// The files of a keyring in a folder, as text: the one with the keyring's id, and one for each key.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "keyring/key_storage.h"

namespace colloquy::keyring {

std::string encode_key(const KeyRecord& record);
std::string encode_keyring(const std::string& id);

// nullopt: it is damaged.
std::optional<KeyRecord> decode_key(std::string_view text);
std::optional<std::string> decode_keyring(std::string_view text);

}  // namespace colloquy::keyring
