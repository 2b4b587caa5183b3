// Turns what goes wrong with an upstream into an Error: the one place that does. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "llm/openai/stream_chunk.h"
#include "net/http_client.h"

namespace colloquy::llm {

// Of a connection that could not be made, or broke.
Error network_failure(const net::NetError& error);

// Of a status that is not 200. The error's detail is the upstream's own words.
Error status_failure(int status, const UpstreamMessage& message,
                     const std::optional<std::string>& retry_after);

// Of an error that came within the stream.
Error stream_failure(const UpstreamMessage& message);

Error cut_off_failure();
Error garbled_failure(std::string_view detail);
Error timeout_failure(std::string_view waited_for);

// Whether a 400 complains of stream_options, which some upstreams do not know.
bool refuses_stream_options(int status, const UpstreamMessage& message);

// Seconds from a Retry-After field (RFC 9110 10.2.3: a number or a date); 0 when there is none to
// understand; at most a day.
int retry_after_seconds(std::string_view value, std::int64_t now_s);

// The error without the secret, should the upstream have repeated it.
Error without_secret(const Error& error, const std::string& secret);

}  // namespace colloquy::llm
