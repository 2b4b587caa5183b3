// POST /conversations/{conversation_id}/context: what the model would be given for a prompt, and
// why.
#include <string>
#include <utility>

#include "api/body.h"
#include "api/request_fields.h"
#include "api/services.h"
#include "store/json_members.h"

namespace colloquy::api {
namespace {

std::string_view part_name(chat::ContextPart part) {
  switch (part) {
    case chat::ContextPart::kSystemPrompt:
      return "system_prompt";
    case chat::ContextPart::kMessage:
      return "message";
    case chat::ContextPart::kPrompt:
      return "prompt";
  }
  return "message";
}

std::string_view reason_name(chat::LeftOutReason reason) {
  switch (reason) {
    case chat::LeftOutReason::kNoText:
      return "no_text";
    case chat::LeftOutReason::kMessages:
      return "messages";
    case chat::LeftOutReason::kTokens:
      return "tokens";
  }
  return "messages";
}

void write_given(JsonWriter& json, const chat::ContextMessage& message) {
  json.begin_object();
  json.key("role").string(llm::role_name(message.role));
  json.key("content").string(message.content);
  json.key("source").string(part_name(message.part));
  if (message.id) json.key("message_id").uuid(message.id->uuid());
  json.key("tokens").integer(static_cast<std::int64_t>(message.tokens)).end_object();
}

void write_left_out(JsonWriter& json, const chat::LeftOutMessage& message) {
  json.begin_object();
  json.key("message_id").uuid(message.id.uuid());
  json.key("role").string(store::role_name(message.role));
  json.key("reason").string(reason_name(message.reason));
  json.key("summarized").boolean(message.summarized).end_object();
}

std::string context_json(const chat::ExplainedContext& explained) {
  const auto& prepared = explained.prepared;
  const auto& conversation = prepared.conversation;
  std::string body;
  JsonWriter json(body);
  json.begin_object();
  json.key("conversation_id").uuid(conversation.id.uuid());
  json.key("model").string(explained.model);
  json.key("policy");
  store::write_context_settings(json, prepared.settings);
  bool own = conversation.context.messages || conversation.context.tokens;
  json.key("policy_source").string(own ? "conversation" : "server");
  json.key("messages").begin_array();
  for (const auto& message : prepared.context.messages) write_given(json, message);
  json.end_array();
  json.key("tokens").integer(static_cast<std::int64_t>(prepared.context.tokens));
  json.key("tokens_estimated").boolean(explained.prepared.estimated);
  json.key("left_out").begin_array();
  for (const auto& message : explained.left_out) write_left_out(json, message);
  json.end_array();
  json.key("more_left_out").boolean(explained.more_left_out);
  if (prepared.summary) {
    json.key("summary").begin_object();
    json.key("text").string(prepared.summary->text);
    json.key("up_to").uuid(prepared.summary->up_to.uuid());
    json.key("given").boolean(prepared.context.summary_given).end_object();
  }
  json.end_object();
  return body;
}

Task<http::Response> explain(Services& services, http::Request& request) {
  auto id = conversation_id_of(request);
  Body body(request);
  auto prompt = body.required_string("prompt");
  auto model = body.optional_string("model");
  if (model && model->empty()) body.refuse("model", "must not be empty");
  auto place = read_place(body);
  body.finish();
  // Nothing is written, so a repeat needs no key; one that is given must be one all the same.
  idempotency_key_of(request, services.clock.now_s());
  auto explained = co_await services.contexts.explain(request.user, id, model.value_or(""),
                                                      std::move(prompt), place);
  co_return json_reply(200, context_json(explained));
}

}  // namespace

void add_context_routes(http::Router& router, Services& services) {
  router.add({http::Method::kPost, "/conversations/{conversation_id}/context", false,
              [&services](http::Request& request) { return explain(services, request); }});
}

}  // namespace colloquy::api
