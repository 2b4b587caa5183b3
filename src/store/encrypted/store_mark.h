// A store's mark, which says that what is in it is encrypted, and with which keyring: a
// conversation of a user that nobody can be. So every backup of the store has it, and every store
// that it is moved to. It never expires, whatever the clock says.
//
// From any event loop. Errors: as store.h, key_storage.h and master_keys.h.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "keyring/keyring.h"
#include "store/store.h"

namespace colloquy::store {

// Whose conversations the marks are; and the keyring that the title of one names, if it is one.
UserId owner_of_marks();
std::optional<std::string> keyring_of_title(const std::string& title);

// The keyrings that the store was encrypted with; none: it was not.
Task<std::vector<std::string>> find_marks(Store& store);

// The keyring of the store, which is marked now where it was not. Before that the keyring is made,
// where there is none, and the master key tried, in both directions. kInvalid, for an operator,
// where the store was encrypted with another keyring. What is referred to outlives the keyring.
Task<std::unique_ptr<keyring::Keyring>> open_keyring(Store& store, keyring::KeyStorage& storage,
                                                     keyring::MasterKeys& masters,
                                                     const Clock& clock);

}  // namespace colloquy::store
