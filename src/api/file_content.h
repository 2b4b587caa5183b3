// What requests for files demand, and the answer that is a file's content.
#pragma once

#include <cstdint>
#include <memory>

#include "base/task.h"
#include "files/checksum.h"
#include "files/user_files.h"
#include "http/message.h"

namespace colloquy::api {

// If-Match, If-None-Match and If-Unmodified-Since of a request that changes a file. kMalformed
// where one of the two lists is none.
files::Precondition precondition_of(const http::Request& request);

// Content-Digest (RFC 9530). kMalformed, or kInvalid where it names no algorithm that is checked.
files::Checksums checksums_of(const http::Request& request);

// The headers that say which file it is: ETag, what goes with it, and Last-Modified once a later
// change cannot have the same one: until then it would be no condition to write under (RFC 9110,
// 8.8.2.2).
void set_file_headers(http::Response& response, const files::FileInfo& info, std::int64_t now_s);

// The answer to a GET: 200, 206, 304, 412 or 416. The content is streamed from the reader.
Task<http::Response> file_reply(const http::Request& request, std::unique_ptr<files::Reader> reader,
                                std::int64_t now_s);
// The answer to a HEAD: 200, 304 or 412.
http::Response file_head_reply(const http::Request& request, const files::FileInfo& info,
                               std::int64_t now_s);

}  // namespace colloquy::api
