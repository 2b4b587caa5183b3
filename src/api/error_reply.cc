#include "api/error_reply.h"

#include <algorithm>

#include "base/json_writer.h"

namespace colloquy::api {
namespace {

std::string_view title_of(int status) {
  switch (status) {
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Range Not Satisfiable";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 507:
      return "Insufficient Storage";
    default:
      return status < 500 ? "Bad Request" : "Internal Server Error";
  }
}

std::string problem(int status, std::string_view detail, const std::vector<FieldError>& fields,
                    std::string_view request_id) {
  std::string body;
  JsonWriter json(body);
  json.begin_object().key("type").string("about:blank").key("title").string(title_of(status));
  json.key("status").integer(status).key("detail").string(detail);
  json.key("request_id").string(request_id);
  if (!fields.empty()) {
    json.key("errors").begin_array();
    for (const auto& field : fields) {
      json.begin_object().key("field").string(field.field);
      json.key("message").string(field.message).end_object();
    }
    json.end_array();
  }
  json.end_object();
  return body;
}

http::Response reply(int status, std::string body) {
  http::Response response;
  response.status = status;
  response.set_header("Content-Type", "application/problem+json");
  response.set_header("Cache-Control", "no-store");
  response.body = std::move(body);
  return response;
}

}  // namespace

int status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kMalformed:
      return 400;
    case ErrorCode::kUnauthenticated:
      return 401;
    case ErrorCode::kNotFound:
      return 404;
    case ErrorCode::kTooSlow:
      return 408;
    case ErrorCode::kConflict:
      return 409;
    case ErrorCode::kPreconditionFailed:
      return 412;
    case ErrorCode::kTooLarge:
      return 413;
    case ErrorCode::kUnsupportedMedia:
      return 415;
    case ErrorCode::kInvalid:
      return 422;
    case ErrorCode::kThrottled:
      return 429;
    case ErrorCode::kUnavailable:
      return 503;
    case ErrorCode::kQuota:
      return 507;
    case ErrorCode::kInternal:
      return 500;
  }
  return 500;
}

std::string problem_json(const Error& error, std::string_view request_id) {
  return problem(status_of(error.code()), error.message(), error.fields(), request_id);
}

http::Response error_reply(const Error& error, std::string_view request_id) {
  int status = status_of(error.code());
  auto response = reply(status, problem_json(error, request_id));
  if (status == 401) response.set_header("WWW-Authenticate", "Bearer");
  if (status == 429 || status == 503 || (status == 409 && error.retry_after_s() > 0)) {
    response.set_header("Retry-After", std::to_string(std::max(1, error.retry_after_s())));
  }
  response.log_detail = error.detail();
  return response;
}

http::Response status_reply(int status, std::string_view detail, std::string_view request_id) {
  auto response = reply(status, problem(status, detail, {}, request_id));
  if (status == 503) response.set_header("Retry-After", "1");
  return response;
}

http::Response no_files_reply(std::string_view request_id) {
  return status_reply(501, kKeepsNoFiles, request_id);
}

}  // namespace colloquy::api
