// What every store's Intake::take (intake.h) looks at before it writes. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>

#include "base/error.h"
#include "store/types.h"

namespace colloquy::store {

// kConflict: the one that is there with this id has expired, and is yet to be removed.
Error expired_on_intake();

// Makes `conversation` one of a store with this retention at this time: what lies in the future
// becomes now. kConflict when it would have expired.
void prepare_taken(Conversation& conversation, std::optional<std::int64_t> retention_seconds,
                   std::int64_t now_s);

}  // namespace colloquy::store
