// GET /files; PUT, GET (and HEAD), DELETE /files/{path...}: the caller's own folder, and no other.
#include <exception>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include "api/error_reply.h"
#include "api/file_content.h"
#include "api/request_fields.h"
#include "api/services.h"
#include "base/json_writer.h"
#include "base/text.h"
#include "files/media_types.h"
#include "files/names.h"

namespace colloquy::api {
namespace {

// So much of a body is written at a time.
constexpr std::size_t kPieceBytes = 256 * limits::kKiB;

void write_file(JsonWriter& json, const files::FileInfo& info) {
  json.begin_object().key("path").string(info.path);
  json.key("size").integer(static_cast<std::int64_t>(info.bytes));
  json.key("content_type").string(files::media_type_of(info.path).name);
  json.key("etag").string("\"" + info.tag + "\"");
  json.key("modified_at").integer(info.modified_s).end_object();
}

// What is stored is what is sent, and the whole of it.
void refuse_parts(const http::Request& request) {
  if (request.header("Content-Range")) {
    throw malformed("A part of a file cannot be written: send it whole, without Content-Range.");
  }
  const auto coding = request.header("Content-Encoding");
  if (coding && !coding->empty() && !equals_ignoring_case(*coding, "identity")) {
    throw Error(ErrorCode::kUnsupportedMedia, "Send the file without a Content-Encoding.");
  }
}

// `gate` refuses what would come after the user's erasing has begun; null where there is none.
Task<> receive(files::Upload& upload, http::BodyReader& body, const erase::UserGate::Pass* gate) {
  std::string pending;
  for (;;) {
    const std::string_view piece = co_await body.read();
    if (gate != nullptr) gate->check();
    pending.append(piece);
    if (piece.empty() || pending.size() >= kPieceBytes) {
      if (!pending.empty()) co_await upload.write(std::move(pending));
      pending = std::string();
    }
    if (piece.empty()) co_return;
  }
}

// A client that hears of a failure has its share of storage back.
Task<files::Stored> receive_all(files::Upload& upload, http::BodyReader& body,
                                const erase::UserGate::Pass* gate) {
  std::exception_ptr failure;
  try {
    co_await receive(upload, body, gate);
    if (gate != nullptr) gate->check();
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    co_await upload.give_up();
    std::rethrow_exception(failure);
  }
  co_return co_await upload.finish();
}

Task<http::Response> put(Services& services, http::Request& request) {
  refuse_parts(request);
  files::NewFile file;
  file.user = request.user;
  file.path = request.path_parameter("path");
  file.precondition = precondition_of(request);
  file.checksums = checksums_of(request);
  file.bytes = request.body_stream->length();
  // Before the key that the upload is sealed with is asked for.
  std::optional<erase::UserGate::Pass> gate;
  if (services.gate != nullptr) gate.emplace(services.gate->enter(request.user));
  auto upload = co_await services.files->begin(std::move(file));
  const auto stored = co_await receive_all(*upload, *request.body_stream, gate ? &*gate : nullptr);
  std::string body;
  JsonWriter json(body);
  write_file(json, stored.info);
  auto response = json_reply(stored.is_new ? 201 : 200, std::move(body));
  if (stored.is_new) {
    response.set_header("Location", "/files/" + percent_encode(stored.info.path, "/"));
  }
  response.set_header("ETag", "\"" + stored.info.tag + "\"");
  co_return response;
}

Task<http::Response> get(Services& services, http::Request& request) {
  const std::string path = request.path_parameter("path");
  if (request.method == http::Method::kHead) {
    const auto info = co_await services.files->info(request.user, path);
    if (!info) throw not_found();
    co_return file_head_reply(request, *info, services.clock.now_s());
  }
  auto reader = co_await services.files->open(request.user, path);
  if (!reader) throw not_found();
  co_return co_await file_reply(request, std::move(reader), services.clock.now_s());
}

Task<http::Response> remove(Services& services, http::Request& request) {
  co_await services.files->remove(request.user, request.path_parameter("path"),
                                  precondition_of(request));
  http::Response response;
  response.status = 204;
  co_return response;
}

// A cursor is the path where the next page begins, in hexadecimal.
std::string cursor_of(const http::Request& request) {
  const auto* text = request.query_parameter("cursor");
  if (text == nullptr) return {};
  auto path = from_hex(*text);
  if (!path || path->size() > files::kPathBytes + 1) {
    throw invalid_field("cursor", "is not one that this server made");
  }
  return std::move(*path);
}

Task<http::Response> list(Services& services, http::Request& request) {
  files::ListRequest wanted;
  const auto* prefix = request.query_parameter("prefix");
  if (prefix != nullptr) wanted.prefix = *prefix;
  if (wanted.prefix.size() > files::kPathBytes) {
    throw invalid_field("prefix",
                        "must be at most " + std::to_string(files::kPathBytes) + " bytes");
  }
  wanted.from = cursor_of(request);
  wanted.limit = limit_of(request).value_or(limits::kPageDefault);
  const std::size_t limit = wanted.limit;
  const auto page = co_await services.files->list(request.user, std::move(wanted));
  std::string body;
  JsonWriter json(body);
  json.begin_array();
  for (const auto& info : page.files) write_file(json, info);
  json.end_array();
  auto response = json_reply(200, std::move(body));
  if (!page.next.empty()) {
    std::string next = "</files?limit=" + std::to_string(limit);
    if (prefix != nullptr) next += "&prefix=" + percent_encode(*prefix);
    next += "&cursor=" + to_hex(page.next) + ">; rel=\"next\"";
    response.set_header("Link", std::move(next));
  }
  co_return response;
}

Task<http::Response> refuse(http::Request& request) {
  co_return no_files_reply(request.request_id);
}

}  // namespace

void add_file_routes(http::Router& router, Services& services) {
  using http::Method;
  const auto most = services.files == nullptr ? std::numeric_limits<std::uint64_t>::max()
                                              : services.files->max_file_bytes();
  auto add = [&](Method method, const char* path, auto handler) {
    http::Route route{method, path, false, [&services, handler](http::Request& request) {
                        if (services.files == nullptr) return refuse(request);
                        return handler(services, request);
                      }};
    if (method == Method::kPut) route.streamed_body_bytes = most;
    router.add(std::move(route));
  };
  add(Method::kGet, "/files", list);
  add(Method::kPut, "/files/{path...}", put);
  add(Method::kGet, "/files/{path...}", get);
  add(Method::kDelete, "/files/{path...}", remove);
}

}  // namespace colloquy::api
