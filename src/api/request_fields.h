// What several resources read out of a request in the same way.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/body.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/task.h"
#include "chat/conversations.h"
#include "chat/places.h"
#include "http/message.h"
#include "store/types.h"

namespace colloquy::api {

// The id in the path, or kNotFound: anything but a version 7 UUID names nothing.
ConversationId conversation_id_of(const http::Request& request);
MessageId message_id_of(const http::Request& request);

// `limit` from 1 to `most`; kInvalid otherwise.
std::optional<std::size_t> limit_of(const http::Request& request,
                                    std::size_t most = limits::kPageMax);
// An id in a query parameter; kInvalid naming the parameter.
template <class Id>
std::optional<Id> id_parameter(const http::Request& request, std::string_view name);
extern template std::optional<ConversationId> id_parameter(const http::Request&, std::string_view);
extern template std::optional<MessageId> id_parameter(const http::Request&, std::string_view);

// The id of a message in a field of a body; a string that is none is refused.
std::optional<MessageId> read_message_id(Body& body, std::string_view name);
// `parent_id` and `edit_of`, of which there may be one.
chat::PlaceRequest read_place(Body& body);

// The entity tag of a conversation (RFC 9110, section 8.8.3).
std::string entity_tag(const store::Conversation& conversation);
// The versions of which If-Match wants one (compared strongly, RFC 9110, 13.1.1): nullopt without
// the header or with "*". A tag that is not of our making matches none, and may leave the list
// empty. kMalformed when the header is neither "*" nor a list of tags.
std::optional<std::vector<std::uint64_t>> if_match_of(const http::Request& request);
// The version that a change must find, for If-Match: nullopt where any will do. Of several versions
// it is the one that the conversation has now. Errors: of if_match_of; kNotFound.
Task<std::optional<std::uint64_t>> expected_version(chat::Conversations& conversations,
                                                    const http::Request& request,
                                                    ConversationId id);

// From the Idempotency-Key header, else from `client_message_id` (scoped to its conversation), else
// nullopt. With both, the header alone counts. kInvalid for a key that is empty, too long or not
// printable ASCII; kMalformed for more than one.
std::optional<store::IdempotencyKey> idempotency_key_of(const http::Request& request,
                                                        std::int64_t now_s,
                                                        std::string_view scope = {},
                                                        std::string_view client_message_id = {});

http::Response json_reply(int status, std::string body);
void set_entity_tag(http::Response& response, const store::Conversation& conversation);

}  // namespace colloquy::api
