#include "api/file_content.h"

#include <algorithm>
#include <string>
#include <utility>

#include "api/error_reply.h"
#include "base/error.h"
#include "base/http_date.h"
#include "base/limits.h"
#include "files/media_types.h"
#include "http/header_values.h"
#include "http/representation.h"
#include "http/response_head.h"

namespace colloquy::api {
namespace {

constexpr std::size_t kPieceBytes = 256 * limits::kKiB;
// Sent in one write, with its header.
constexpr std::size_t kWholeBytes = 64 * limits::kKiB;

// A date is as fine as a second, and another program's clock may be a little behind.
constexpr std::int64_t kSettledAfterS = 2;

std::optional<http::EntityTags> tags_of(const http::Request& request, const char* name) {
  if (!request.header(name)) return std::nullopt;
  auto tags = http::parse_entity_tags(request, name);
  if (!tags) throw malformed(std::string(name) + " must be * or a list of entity tags.");
  return tags;
}

std::optional<std::int64_t> date_of(const http::Request& request, const char* name) {
  const auto text = request.header(name);
  // RFC 9110, 13.1.3: what is no date is ignored.
  return text ? parse_http_date(std::string(*text)) : std::nullopt;
}

Error precondition_failed() {
  return {ErrorCode::kPreconditionFailed, "The file is not, or no longer, as you expect it."};
}

// RFC 9110, 13.2.2: of a read, once what must hold does. True where the client has it already.
bool client_has(const http::Request& request, const files::FileInfo& info) {
  if (const auto tags = tags_of(request, "If-None-Match")) {
    const auto is_it = [&info](std::string_view tag) { return tag == info.tag; };
    return tags->any || std::any_of(tags->strong.begin(), tags->strong.end(), is_it) ||
           std::any_of(tags->weak.begin(), tags->weak.end(), is_it);
  }
  const auto since = date_of(request, "If-Modified-Since");
  return since && info.modified_s <= *since;
}

// Throws where what must hold does not. Else the reply is a 304, or 200 with all headers.
http::Response begin_reply(const http::Request& request, const files::FileInfo& info,
                           std::int64_t now_s) {
  auto precondition = precondition_of(request);
  precondition.missing = false;  // these two say "not modified" to a reader
  precondition.none_of.reset();
  if (!precondition.holds_for(info)) throw precondition_failed();
  http::Response response;
  set_file_headers(response, info, now_s);
  if (client_has(request, info)) {
    response.status = 304;
    return response;
  }
  const auto type = files::media_type_of(info.path);
  const auto name = info.path.substr(info.path.rfind('/') + 1);
  response.set_header("Content-Type", std::string(type.name));
  response.set_header("Content-Disposition",
                      http::content_disposition(type.is_shown ? "inline" : "attachment", name));
  response.set_header("Accept-Ranges", "bytes");
  // Whatever it is, it is not to run with the rights of the page's origin.
  response.set_header("X-Content-Type-Options", "nosniff");
  response.set_header("Content-Security-Policy", "default-src 'none'; sandbox");
  return response;
}

http::RangeChoice range_of(const http::Request& request, const files::FileInfo& info) {
  const auto range = request.header("Range");
  if (!range || http::count_headers(request.headers, "Range") > 1) return {};
  const auto condition = request.header("If-Range");
  if (condition && !http::if_range_holds(*condition, info.tag)) return {};
  return http::choose_range(*range, info.bytes);
}

Error changed_meanwhile() {
  return {ErrorCode::kConflict, "The file was changed by another program while it was read."};
}

// What is still to be sent of a file.
struct Rest {
  std::shared_ptr<files::Reader> reader;
  std::uint64_t first = 0;
  std::uint64_t bytes = 0;
};

// Takes the next piece off `rest`. A file that another program changes meanwhile has no last piece:
// the client never has two versions in one.
Task<std::string> take_piece(Rest& rest) {
  const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(rest.bytes, kPieceBytes));
  std::string piece = co_await rest.reader->read(rest.first, wanted);
  rest.first += wanted;
  rest.bytes -= wanted;
  bool good = piece.size() == wanted;
  if (good && rest.bytes == 0) good = co_await rest.reader->is_unchanged();
  if (!good) throw changed_meanwhile();
  co_return piece;
}

Task<> stream_file(std::string piece, Rest rest, http::BodyWriter& writer) {
  co_await writer.write(piece);
  while (rest.bytes > 0) {
    piece = co_await take_piece(rest);
    co_await writer.write(piece);
  }
}

}  // namespace

files::Precondition precondition_of(const http::Request& request) {
  files::Precondition precondition;
  if (const auto tags = tags_of(request, "If-Match")) {
    precondition.exists = tags->any;
    if (!tags->any) precondition.one_of.emplace(tags->strong.begin(), tags->strong.end());
  }
  if (const auto tags = tags_of(request, "If-None-Match")) {
    precondition.missing = tags->any;
    // RFC 9110, 13.1.2: compared weakly.
    if (!tags->any) {
      auto& none = precondition.none_of.emplace(tags->strong.begin(), tags->strong.end());
      none.insert(none.end(), tags->weak.begin(), tags->weak.end());
    }
  }
  precondition.unmodified_since_s = date_of(request, "If-Unmodified-Since");
  return precondition;
}

files::Checksums checksums_of(const http::Request& request) {
  if (!request.header("Content-Digest")) return {};
  const auto digest = http::parse_content_digest(request);
  if (!digest) throw malformed("Content-Digest must be as RFC 9530 has it: sha-256=:BASE64:.");
  files::Checksums checksums{digest->sha256, digest->sha512};
  if (!checksums.any()) {
    throw invalid_field("Content-Digest", "must have sha-256 or sha-512, which are checked");
  }
  const bool good = (checksums.sha256.empty() || files::is_base64_of(checksums.sha256, 32)) &&
                    (checksums.sha512.empty() || files::is_base64_of(checksums.sha512, 64));
  if (!good) throw invalid_field("Content-Digest", "is not the base64 of a digest");
  return checksums;
}

void set_file_headers(http::Response& response, const files::FileInfo& info, std::int64_t now_s) {
  response.set_header("ETag", "\"" + info.tag + "\"");
  if (now_s - info.modified_s >= kSettledAfterS) {
    response.set_header("Last-Modified", http::format_http_date(info.modified_s));
  }
  // Compressed on the way, its length and ranges would be another's.
  response.set_header("Cache-Control", "private, no-cache, no-transform");
}

Task<http::Response> file_reply(const http::Request& request, std::unique_ptr<files::Reader> reader,
                                std::int64_t now_s) {
  const files::FileInfo info = reader->info();
  auto response = begin_reply(request, info, now_s);
  if (response.status == 304) co_return response;
  const auto range = range_of(request, info);
  std::uint64_t first = 0;
  std::uint64_t bytes = info.bytes;
  if (range.kind == http::RangeChoice::Kind::kUnsatisfiable) {
    response = status_reply(416, "The file has no such range.", request.request_id);
    response.set_header("Content-Range", "bytes */" + std::to_string(info.bytes));
    co_return response;
  }
  if (range.kind == http::RangeChoice::Kind::kPart) {
    first = range.first;
    bytes = range.bytes;
    response.status = 206;
    response.set_header("Content-Range", "bytes " + std::to_string(first) + "-" +
                                             std::to_string(first + bytes - 1) + "/" +
                                             std::to_string(info.bytes));
  }
  Rest rest{std::move(reader), first, bytes};
  // Before the status is sent: what cannot be read at all has one of its own.
  std::string piece = co_await take_piece(rest);
  if (bytes <= kWholeBytes) {
    response.body = std::move(piece);
    co_return response;
  }
  response.stream_bytes = bytes;
  response.stream = [piece = std::move(piece), rest](http::BodyWriter& writer) mutable {
    return stream_file(std::move(piece), rest, writer);
  };
  co_return response;
}

http::Response file_head_reply(const http::Request& request, const files::FileInfo& info,
                               std::int64_t now_s) {
  auto response = begin_reply(request, info, now_s);
  if (response.status == 200) response.stream_bytes = info.bytes;
  return response;
}

}  // namespace colloquy::api
