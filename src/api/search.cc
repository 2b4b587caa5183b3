// GET /search; POST /search/rebuild on the listener for operators.
#include "search/search.h"

#include <utility>

#include "api/objects.h"
#include "api/request_fields.h"
#include "api/services.h"
#include "base/error.h"
#include "base/json_writer.h"
#include "base/text.h"

namespace colloquy::api {
namespace {

constexpr std::size_t kResultsDefault = 20;
constexpr std::size_t kResultsMax = 50;

search::Search& search_of(const Services& services) {
  if (services.search == nullptr) {
    throw Error(
        ErrorCode::kNotFound,
        "Search is switched off on this server: by its settings, or because what users write "
        "is kept encrypted.");
  }
  return *services.search;
}

search::Request search_request(const http::Request& request) {
  search::Request wanted;
  wanted.user = request.user;
  const auto* text = request.query_parameter("q");
  if (text == nullptr || text->empty()) throw invalid_field("q", "must not be empty");
  if (text->size() > search::kQueryBytes) {
    throw invalid_field(
        "q", "must be at most " + std::to_string(search::kQueryBytes) + " bytes of UTF-8");
  }
  wanted.text = *text;
  wanted.limit = limit_of(request, kResultsMax).value_or(kResultsDefault);
  if (const auto* cursor = request.query_parameter("cursor")) wanted.cursor = *cursor;
  wanted.conversation = id_parameter<ConversationId>(request, "conversation_id");
  return wanted;
}

void write_hit(JsonWriter& json, const search::Hit& hit) {
  json.begin_object().key("kind").string(hit.message ? "message" : "title");
  json.key("conversation_id").uuid(hit.conversation.uuid());
  json.key("title").string(hit.title);
  if (hit.message) {
    json.key("message_id").uuid(hit.message->id.uuid());
    json.key("role").string(store::role_name(hit.message->role));
    json.key("timestamp").integer(hit.message->timestamp_s);
  }
  json.key("snippet").begin_array();
  for (const auto& fragment : hit.snippet) {
    json.begin_object().key("text").string(fragment.text);
    json.key("match").boolean(fragment.match).end_object();
  }
  json.end_array().key("score").number(hit.score).end_object();
}

std::string next_path(const search::Request& wanted, const std::string& cursor) {
  auto path = "/search?q=" + percent_encode(wanted.text) +
              "&limit=" + std::to_string(wanted.limit) + "&cursor=" + cursor;
  if (wanted.conversation) path += "&conversation_id=" + wanted.conversation->to_string();
  return path;
}

Task<http::Response> find(Services& services, http::Request& request) {
  auto& search = search_of(services);
  auto wanted = search_request(request);
  auto page = co_await search.find(wanted);
  std::string body;
  JsonWriter json(body);
  json.begin_object().key("results").begin_array();
  for (const auto& hit : page.hits) write_hit(json, hit);
  json.end_array().key("complete").boolean(page.complete).end_object();
  auto response = json_reply(200, std::move(body));
  if (page.next) {
    response.set_header("Link", "<" + next_path(wanted, *page.next) + ">; rel=\"next\"");
  }
  co_return response;
}

Task<http::Response> rebuild(Services& services, http::Request&) {
  if (!search_of(services).rebuild()) {
    throw Error(ErrorCode::kNotFound, "Search has no index on this store.");
  }
  co_return json_reply(202, R"({"status":"rebuilding"})");
}

}  // namespace

void add_search_routes(http::Router& router, Services& services) {
  router.add({http::Method::kGet, "/search", false,
              [&services](http::Request& request) { return find(services, request); }});
}

void add_search_admin_routes(http::Router& router, Services& services) {
  router.add({http::Method::kPost, "/search/rebuild", true,
              [&services](http::Request& request) { return rebuild(services, request); }});
}

}  // namespace colloquy::api
