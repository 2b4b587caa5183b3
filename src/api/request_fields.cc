#include "api/request_fields.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/limits.h"
#include "base/sha256.h"
#include "http/header_values.h"

namespace colloquy::api {
namespace {

constexpr std::uint64_t kNoVersion = ~0ULL;

// What a repeat must have in common with the first: method, target and body.
std::array<std::uint8_t, 32> fingerprint_of(const http::Request& request) {
  return sha256({request.method_text, " ", request.target, "\n", request.body});
}

bool printable_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c <= 0x7e; });
}

}  // namespace

ConversationId conversation_id_of(const http::Request& request) {
  auto id = ConversationId::parse(request.path_parameter("conversation_id"));
  if (!id) throw not_found();
  return *id;
}

MessageId message_id_of(const http::Request& request) {
  auto id = MessageId::parse(request.path_parameter("message_id"));
  if (!id) throw not_found();
  return *id;
}

std::optional<std::size_t> limit_of(const http::Request& request, std::size_t most) {
  const auto* text = request.query_parameter("limit");
  if (text == nullptr) return std::nullopt;
  std::size_t limit = 0;
  auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), limit);
  bool whole = error == std::errc() && end == text->data() + text->size();
  if (!whole || limit < 1 || limit > most) {
    throw invalid_field("limit", "must be a whole number from 1 to " + std::to_string(most));
  }
  return limit;
}

template <class Id>
std::optional<Id> id_parameter(const http::Request& request, std::string_view name) {
  const auto* text = request.query_parameter(name);
  if (text == nullptr) return std::nullopt;
  auto id = Id::parse(*text);
  if (!id) throw invalid_field(std::string(name), "is not an id of this server");
  return id;
}
template std::optional<ConversationId> id_parameter(const http::Request&, std::string_view);
template std::optional<MessageId> id_parameter(const http::Request&, std::string_view);

std::optional<MessageId> read_message_id(Body& body, std::string_view name) {
  auto text = body.optional_string(name);
  if (!text) return std::nullopt;
  auto id = MessageId::parse(*text);
  if (!id) body.refuse(std::string(name), "is not an id of this server");
  return id;
}

chat::PlaceRequest read_place(Body& body) {
  chat::PlaceRequest place;
  if (body.is_null("parent_id")) {
    place.parent.emplace();
  } else if (auto parent = read_message_id(body, "parent_id")) {
    place.parent = parent;
  }
  place.edit_of = read_message_id(body, "edit_of");
  if (body.has("parent_id") && body.has("edit_of")) {
    body.refuse("edit_of", "does not go together with parent_id");
  }
  return place;
}

std::string entity_tag(const store::Conversation& conversation) {
  return "\"" + std::to_string(conversation.version) + "\"";
}

std::optional<std::vector<std::uint64_t>> if_match_of(const http::Request& request) {
  if (!request.header("If-Match")) return std::nullopt;
  const auto tags = http::parse_entity_tags(request, "If-Match");
  if (!tags) throw malformed("If-Match must be * or a list of entity tags, such as \"3\".");
  if (tags->any) return std::nullopt;
  std::vector<std::uint64_t> versions;
  for (const auto tag : tags->strong) {
    std::uint64_t version = 0;
    const auto [end, error] = std::from_chars(tag.data(), tag.data() + tag.size(), version);
    const bool ours = error == std::errc() && std::to_string(version) == tag;
    if (ours) versions.push_back(version);
  }
  return versions;
}

Task<std::optional<std::uint64_t>> expected_version(chat::Conversations& conversations,
                                                    const http::Request& request,
                                                    ConversationId id) {
  const auto versions = if_match_of(request);
  if (!versions) co_return std::nullopt;
  if (versions->empty()) co_return kNoVersion;
  if (versions->size() == 1) co_return versions->front();
  // The store makes the change only if this is still the version then.
  const auto conversation = co_await conversations.get(request.user, id);
  const bool listed =
      std::find(versions->begin(), versions->end(), conversation.version) != versions->end();
  co_return listed ? conversation.version : kNoVersion;
}

std::optional<store::IdempotencyKey> idempotency_key_of(const http::Request& request,
                                                        std::int64_t now_s, std::string_view scope,
                                                        std::string_view client_message_id) {
  store::IdempotencyKey key;
  if (auto header = request.header("Idempotency-Key")) {
    if (http::count_headers(request.headers, "Idempotency-Key") > 1) {
      throw malformed("Idempotency-Key must be given once.");
    }
    if (header->empty() || header->size() > limits::kIdempotencyKeyBytes ||
        !printable_ascii(*header)) {
      throw invalid_field("Idempotency-Key", "must be 1 to " +
                                                 std::to_string(limits::kIdempotencyKeyBytes) +
                                                 " printable ASCII characters");
    }
    key.key = "k:" + std::string(*header);
  } else if (!client_message_id.empty()) {
    key.key = "m:" + std::string(scope) + ":" + std::string(client_message_id);
    key.field = "client_message_id";
  } else {
    return std::nullopt;
  }
  key.fingerprint = fingerprint_of(request);
  key.expires_at_s = now_s + limits::kIdempotencySeconds;
  return key;
}

http::Response json_reply(int status, std::string body) {
  http::Response response;
  response.status = status;
  response.headers.reserve(6);
  response.headers.push_back({"Content-Type", "application/json"});
  response.headers.push_back({"Cache-Control", "no-store"});
  response.body = std::move(body);
  return response;
}

void set_entity_tag(http::Response& response, const store::Conversation& conversation) {
  response.set_header("ETag", entity_tag(conversation));
}

}  // namespace colloquy::api
