// The user's files that a message names: read from a request, looked for, deleted with the
// conversation.
#pragma once

#include <cstdint>
#include <optional>

#include "api/body.h"
#include "api/services.h"
#include "base/error.h"
#include "base/ids.h"
#include "base/task.h"
#include "store/types.h"

namespace colloquy::api {

// `attachments`: paths by the rules of files/names.h, none of them twice.
store::Attachments read_attachments(Body& body);

// Why they cannot be attached, naming each that is no file of the user's; nullopt where all are
// there. Whoever sends a request again may have deleted them since.
Task<std::optional<Error>> refusal_of_attachments(Services& services, UserId user,
                                                  store::Attachments paths);

// Deletes the files that the messages of the conversation name, on all branches, and then the
// conversation, which knows them until then: whatever ends this early, the same call finishes it.
// A message that comes meanwhile is seen too. `if_version` as Conversations::remove; kUnavailable
// where the conversation changes all the time. There must be files (services.files).
Task<> remove_with_files(Services& services, UserId user, ConversationId id,
                         std::optional<std::uint64_t> if_version);

}  // namespace colloquy::api
