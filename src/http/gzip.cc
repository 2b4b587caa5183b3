// The gzip middleware. A compressed representation is another one than the plain (RFC 9110, 8.8.3),
// so a strong ETag "v5" leaves as "v5-gzip"; on the way in the suffix is taken off If-Match and
// If-None-Match again, so that a handler only ever sees and makes "v5", and a client that was sent
// either form may use it in a conditional request. Weak ETags name both and stay as they are.
#include <zlib.h>

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <new>
#include <utility>

#include "base/limits.h"
#include "http/header_values.h"
#include "http/middleware.h"

namespace colloquy::http {

namespace {

constexpr int kLevel = 1;  // on JSON a third larger than level 6 at a third of its time
constexpr int kGzipWindow = 15 + 16;
constexpr std::size_t kSliceBytes = 64 * limits::kKiB;  // a loop is lent for no more at a time
// A streamed body is flushed once so much went in, or so long after the last time.
constexpr std::size_t kFlushBytes = 32 * limits::kKiB;
constexpr std::chrono::milliseconds kFlushAfter{50};
constexpr std::string_view kTagSuffix = "-gzip\"";

class Deflater {
 public:
  Deflater() {
    if (deflateInit2(&stream_, kLevel, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
      throw std::bad_alloc();
    }
  }
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;
  ~Deflater() { deflateEnd(&stream_); }

  // Appends what comes out to `out`. `flush` is one of zlib's.
  void add(std::string_view piece, int flush, std::string& out) {
    // zlib does not write to its input; its interface is older than const.
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(piece.data()));
    stream_.avail_in = static_cast<uInt>(piece.size());
    std::array<char, 16 * limits::kKiB> room;
    do {
      stream_.next_out = reinterpret_cast<Bytef*>(room.data());
      stream_.avail_out = static_cast<uInt>(room.size());
      deflate(&stream_, flush);
      out.append(room.data(), room.size() - stream_.avail_out);
    } while (stream_.avail_out == 0);
  }

 private:
  z_stream stream_{};
};

class GzipWriter final : public BodyWriter {
 public:
  explicit GzipWriter(BodyWriter& body) : body_(body) {}

  Task<> write(std::string_view piece) override {
    // deflate counts in 32 bits, and a large piece must not grow a second time in memory.
    while (!piece.empty()) {
      const std::string_view slice = piece.substr(0, kSliceBytes);
      piece.remove_prefix(slice.size());
      const auto now = std::chrono::steady_clock::now();
      unflushed_bytes_ += slice.size();
      const bool flush = unflushed_bytes_ >= kFlushBytes || now - flushed_at_ >= kFlushAfter;
      deflater_.add(slice, flush ? Z_SYNC_FLUSH : Z_NO_FLUSH, out_);
      if (!flush) continue;
      flushed_at_ = now;
      unflushed_bytes_ = 0;
      co_await body_.write(out_);
      out_.clear();
    }
  }
  void abort() override { body_.abort(); }

  Task<> finish() {
    deflater_.add({}, Z_FINISH, out_);
    co_await body_.write(out_);
  }

 private:
  BodyWriter& body_;
  Deflater deflater_;
  std::string out_;  // compressed, not yet written
  std::size_t unflushed_bytes_ = 0;
  std::chrono::steady_clock::time_point flushed_at_ = std::chrono::steady_clock::now();
};

using Producer = std::function<Task<>(BodyWriter&)>;

Task<> compress_stream(Producer producer, BodyWriter& body) {
  GzipWriter writer(body);
  co_await producer(writer);
  co_await writer.finish();
}

Task<std::string> compress(std::string body) {
  Deflater deflater;
  std::string out;
  out.reserve(body.size() / 4 + 64);
  std::string_view left = body;
  while (left.size() > kSliceBytes) {
    deflater.add(left.substr(0, kSliceBytes), Z_NO_FLUSH, out);
    left.remove_prefix(kSliceBytes);
    co_await boost::asio::post(boost::asio::use_awaitable);
  }
  deflater.add(left, Z_FINISH, out);
  co_return out;
}

bool is_json(std::string_view content_type) {
  const std::string_view type = trim(content_type.substr(0, content_type.find(';')));
  constexpr std::string_view kStructured = "+json";
  return equals_ignoring_case(type, "application/json") ||
         (type.size() > kStructured.size() &&
          equals_ignoring_case(type.substr(type.size() - kStructured.size()), kStructured));
}

bool forbids_transform(const Response& response) {
  std::string_view list = find_header(response.headers, "Cache-Control").value_or("");
  while (const auto element = next_list_element(list)) {
    if (equals_ignoring_case(*element, "no-transform")) return true;
  }
  return false;
}

bool is_strong(std::string_view tag) {
  return tag.size() >= 2 && tag.front() == '"' && tag.back() == '"';
}

// Takes the suffix off the tags of a conditional header; true when one had it.
bool strip_tag_suffix(Request& request, std::string_view name) {
  bool stripped = false;
  for (Header& header : request.headers) {
    if (!equals_ignoring_case(header.name, name)) continue;
    if (header.value.find(kTagSuffix) == std::string::npos) continue;
    std::string plain;
    std::string_view list = header.value;
    while (const auto element = next_list_element(list)) {
      if (!plain.empty()) plain += ", ";
      if (element->ends_with(kTagSuffix)) {
        plain.append(element->substr(0, element->size() - kTagSuffix.size())).append("\"");
        stripped = true;
      } else {
        plain.append(*element);
      }
    }
    header.value = std::move(plain);
  }
  return stripped;
}

void add_tag_suffix(Response& response) {
  for (Header& header : response.headers) {
    if (!equals_ignoring_case(header.name, "ETag") || !is_strong(header.value)) continue;
    header.value.pop_back();
    header.value += kTagSuffix;
  }
}

Task<Response> apply(std::size_t least_bytes, Request& request, const Handler& next) {
  // The handler may use the request up.
  const bool accepted = accepts_gzip(request.header("Accept-Encoding").value_or(""));
  strip_tag_suffix(request, "If-Match");
  const bool had_compressed = strip_tag_suffix(request, "If-None-Match");
  Response response = co_await next(request);

  if (response.status == 304) {
    // The tag of what the client has.
    add_vary(response, "Accept-Encoding");
    if (had_compressed && accepted) add_tag_suffix(response);
    co_return response;
  }
  const bool compressible = response.status != 204 && response.status != 206 &&
                            is_json(find_header(response.headers, "Content-Type").value_or("")) &&
                            !find_header(response.headers, "Content-Encoding") &&
                            (response.stream || response.body.size() >= least_bytes) &&
                            !forbids_transform(response);
  if (!compressible) co_return response;
  add_vary(response, "Accept-Encoding");
  if (!accepted) co_return response;
  add_tag_suffix(response);
  response.set_header("Content-Encoding", "gzip");
  if (response.stream) {
    response.stream_bytes.reset();
    response.stream = [producer = std::move(response.stream)](BodyWriter& body) {
      return compress_stream(producer, body);
    };
  } else {
    response.body = co_await compress(std::move(response.body));
  }
  co_return response;
}

}  // namespace

Middleware gzip(std::size_t least_bytes) {
  return [least_bytes](Request& request, const Handler& next) {
    return apply(least_bytes, request, next);
  };
}

}  // namespace colloquy::http
