#include "store/intake_checks.h"

#include <algorithm>

namespace colloquy::store {

Error expired_on_intake() {
  return {ErrorCode::kConflict,
          "It has expired, and is being removed. Import it again in a quarter of an hour."};
}

void prepare_taken(Conversation& conversation, std::optional<std::int64_t> retention_seconds,
                   std::int64_t now_s) {
  conversation.retention_seconds = retention_seconds;
  conversation.created_at_s = std::min(conversation.created_at_s, now_s);
  conversation.updated_at_s = std::min(conversation.updated_at_s, now_s);
  if (!conversation.expired(now_s)) return;
  throw Error(ErrorCode::kConflict,
              conversation.ttl_seconds
                  ? "By its time to live it has expired."
                  : "It is older than this server keeps conversations (--retention).");
}

}  // namespace colloquy::store
