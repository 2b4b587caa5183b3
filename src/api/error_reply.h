// The one place where an Error becomes a reply: application/problem+json (RFC 9457).
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "http/message.h"

namespace colloquy::api {

int status_of(ErrorCode code);

// The problem object by itself, as an event of a stream carries it.
std::string problem_json(const Error& error, std::string_view request_id);

http::Response error_reply(const Error& error, std::string_view request_id);

// For what has no Error: a path or a method that is not there, a request that cannot be read.
http::Response status_reply(int status, std::string_view detail, std::string_view request_id);

// What is said of what needs files, where Services has none, and the reply to it.
inline constexpr const char* kKeepsNoFiles = "This server keeps no files.";
http::Response no_files_reply(std::string_view request_id);

}  // namespace colloquy::api
