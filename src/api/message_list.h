// Messages as a JSON array, of any number, in bounded memory.
#pragma once

#include <string>

#include "base/task.h"
#include "chat/conversations.h"
#include "http/message.h"

namespace colloquy::api {

// Which messages a request asks for, from `limit`, `before`, `after` and `branches`.
struct MessageSelection {
  bool all = false;  // no limit: every one, from the oldest (or from `after`)
  store::MessageRange range;

  // `default_limit` 0: without a limit, all. kInvalid naming the parameter.
  static MessageSelection of_request(const http::Request& request, std::size_t default_limit = 0);
};

// What stands around the array.
enum class ListShape {
  kBare,              // nothing
  kWithConversation,  // {"conversation": …, "messages": the array}, with the conversation's ETag
};

// A selection that fits one page is a body with its length; a longer one is streamed page by page.
// Link headers (RFC 8288) lead to older (prev) and newer (next) messages. kNotFound.
Task<http::Response> list_messages(chat::Conversations& conversations, UserId user,
                                   ConversationId id, MessageSelection selection, ListShape shape);

}  // namespace colloquy::api
