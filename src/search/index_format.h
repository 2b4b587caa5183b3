// What stands in a file of the index, which SQLite keeps (FTS5 for the words):
//
//   meta        key, value: the version, the sequence of changes it follows, how far it is
//   users       a number for each user who has documents, never given twice
//   documents   a title (its message id is nil) or a message: ids, user, tokens
//   words       FTS5 without a copy of the text; a row for each document under the same id
//
// The tokens are kept so that they can be taken out of `words` again. An answer that was running
// has none and is `pending`.
//
// Every token stands in `words` behind the code of its user, and no code is a prefix of another. So
// a search is one of that user's words and walks over nobody else's. A document also has one token
// for its conversation. A document's id grows with its time, so that the newest come first without
// sorting. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "search/query.h"

namespace colloquy::search::index_format {

inline constexpr std::int64_t kVersion = 2;

// Lower-case letters and digits, the first a digit from 1 to 9.
std::string user_code(std::int64_t user_number);
// Begins with a letter: no user's.
std::string conversation_token(const ConversationId& conversation);
// What `words` is given for a document whose tokens, parted by spaces, these are.
std::string words_of(std::string_view tokens, std::int64_t user_number,
                     const ConversationId& conversation);
// In the language of FTS5's MATCH; the query is not empty.
std::string match_expression(const Query& query, std::int64_t user_number,
                             const std::optional<ConversationId>& conversation);

// The id of a document of that time, of which the lowest bits of `tie` part those of the same
// millisecond. Two documents may have the same: then one takes another of them that is free.
std::int64_t document_id(std::int64_t time_ms, std::uint64_t tie);
// What is tried first.
std::uint64_t document_tie(const ConversationId& conversation, const MessageId& message);
// The time of a document with this id.
std::int64_t document_ms(std::int64_t document_id);

}  // namespace colloquy::search::index_format
