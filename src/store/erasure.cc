#include "store/erasure.h"

#include "base/sha256.h"
#include "base/text.h"

namespace colloquy::store {

std::string erased_name(const UserId& user) { return to_hex(bytes_of(sha256({user.value()}))); }

}  // namespace colloquy::store
