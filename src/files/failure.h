// The one place where a failed system call becomes an Error.
#pragma once

#include <string_view>

#include "base/error.h"

namespace colloquy::files {

// No room, or a quota of the file system's: kQuota. Everything else that a caller has not
// understood by itself: kUnavailable, with `what` and the errno for the log.
Error error_of(int error_number, std::string_view what);

// Of a call that makes or changes what a client has named: kInvalid for a name that the file system
// cannot have, kConflict where another program does not let us write; else as error_of.
Error error_of_writing(int error_number, std::string_view what);

// Whether the file system cannot have such a name.
bool means_bad_name(int error_number);

// Whether a look at a path found that there is no file there for us: nothing, something else on the
// way, what is not ours to follow, or what another program does not let us see.
bool means_missing(int error_number);

}  // namespace colloquy::files
