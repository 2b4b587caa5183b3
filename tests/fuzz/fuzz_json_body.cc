// A request's JSON body, read as every resource reads it, and what is written back of it.
#include <boost/json.hpp>
#include <cstdint>

#include "api/attachments.h"
#include "api/body.h"
#include "api/error_reply.h"
#include "api/objects.h"
#include "check.h"
#include "files/names.h"

namespace {

using colloquy::Error;
using colloquy::JsonWriter;
using colloquy::api::Body;

// Reads each kind of field, under names that the seeds use.
colloquy::store::Message read(Body& body) {
  colloquy::store::Message message;
  message.content = body.required_string("prompt");
  message.client_message_id = body.optional_string("client_message_id").value_or("");
  body.optional_boolean("stream");
  body.optional_integer("max_tokens", 1, 1000);
  auto heat = body.optional_number("temperature", 0, 2);
  if (heat) COLLOQUY_CHECK(*heat >= 0 && *heat <= 2);
  for (const auto& stop : body.string_or_strings("stop", 4, 16)) {
    COLLOQUY_CHECK(!stop.empty() && stop.size() <= 16);
  }
  std::set<std::string> removed;
  message.metadata = body.string_map("metadata", &removed).value_or(message.metadata);
  message.attachments = colloquy::api::read_attachments(body);
  body.finish();
  COLLOQUY_CHECK(message.attachments.size() <= colloquy::limits::kAttachments);
  for (const auto& path : message.attachments) {
    COLLOQUY_CHECK(!colloquy::files::refusal_of_path(path));
  }
  return message;
}

void check_written(const colloquy::store::Message& message) {
  std::string out;
  JsonWriter json(out);
  colloquy::api::write_message(json, message);
  auto parsed = boost::json::parse(out).as_object();
  COLLOQUY_CHECK(std::string_view(parsed.at("content").as_string()) == message.content);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  colloquy::http::Request request;
  request.headers.push_back({"Content-Type", "application/json"});
  request.body.assign(reinterpret_cast<const char*>(data), size);
  try {
    Body body(request);
    check_written(read(body));
  } catch (const Error& error) {
    // Always the client's fault, and always said in JSON.
    auto reply = colloquy::api::error_reply(error, "id");
    COLLOQUY_CHECK(reply.status >= 400 && reply.status < 500);
    COLLOQUY_CHECK(boost::json::parse(reply.body).is_object());
  }
  return 0;
}
