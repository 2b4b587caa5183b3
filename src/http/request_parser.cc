#include "http/request_parser.h"

#include <algorithm>
#include <charconv>

#include "base/chunked.h"
#include "base/limits.h"
#include "http/header_values.h"

namespace colloquy::http {

namespace beast_http = boost::beast::http;

namespace {

constexpr std::size_t kBodyReserveBytes = 64 * limits::kKiB;

constexpr std::string_view kTooLarge = "The request's body is too large.";

std::string_view view(boost::beast::string_view text) { return {text.data(), text.size()}; }

Method method_of(beast_http::verb verb) {
  switch (verb) {
    case beast_http::verb::get:
      return Method::kGet;
    case beast_http::verb::head:
      return Method::kHead;
    case beast_http::verb::post:
      return Method::kPost;
    case beast_http::verb::put:
      return Method::kPut;
    case beast_http::verb::patch:
      return Method::kPatch;
    case beast_http::verb::delete_:
      return Method::kDelete;
    case beast_http::verb::options:
      return Method::kOptions;
    default:
      return Method::kOther;
  }
}

std::uint64_t parse_length(std::string_view digits) {
  std::uint64_t length = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), length);
  return length;
}

// uri-host [ ":" port ]; empty where the target has no authority.
bool is_host(std::string_view value) {
  return std::none_of(value.begin(), value.end(), [](char c) {
    return static_cast<unsigned char>(c) <= ' ' || c == '/' || c == '\\' || c == '?' || c == '#' ||
           c == '@' || c == ',' || c == '"' || c == '<' || c == '>';
  });
}

// Where the head ends in bytes that begin within it, at the start of a line.
std::size_t head_end(std::string_view bytes) {
  if (bytes.starts_with("\r\n")) return 2;
  const auto end = bytes.find("\r\n\r\n");
  return end == std::string_view::npos ? bytes.size() : end + 4;
}

}  // namespace

RequestParser::RequestParser(Request& request, const ServerLimits& limits,
                             const StreamedBody* streamed)
    : request_(request), limits_(limits), streamed_(streamed), most_body_bytes_(limits.body_bytes) {
  eager(true);
  body_limit(boost::none);  // counted here: how much may come is known with the head only
  header_limit(static_cast<std::uint32_t>(
      std::min<std::size_t>(limits.header_bytes, std::numeric_limits<std::uint32_t>::max())));
}

RequestParser::Progress RequestParser::feed(std::string_view& bytes) {
  if (!got_some()) {
    // An empty line before a request is to be ignored (RFC 9112, 2.2).
    while (bytes.starts_with("\r\n")) bytes.remove_prefix(2);
    if (bytes.empty() || bytes == "\r") return Progress::kNeedMore;
  }
  Error error;
  const bool in_head = !is_header_done();
  if (!in_head && chunked() && may_be_cut_last_chunk(bytes)) return Progress::kNeedMore;
  const std::string_view given = bytes;
  const std::size_t taken = put(boost::asio::const_buffer(bytes.data(), bytes.size()), error);
  bytes.remove_prefix(taken);
  if (error && error != beast_http::error::need_more) {
    if (refusal_.status == 0) refuse_for(error);
    return Progress::kRefused;
  }
  // Counted as sent, so that it does not matter in which pieces it came.
  if (in_head) head_bytes_ += is_header_done() ? head_end(given) : taken;
  if (head_bytes_ + (is_header_done() ? 0 : bytes.size()) > limits_.header_bytes) {
    refuse(431, "The request's header is too large.", error);
    return Progress::kRefused;
  }
  if (is_done()) return Progress::kComplete;
  // What is kept until its end arrives must end some time: a chunk's extension, the trailer.
  if (is_header_done() && bytes.size() > limits_.header_bytes) {
    refuse(400, "A chunk's extension or the trailer is too long.", error);
    return Progress::kRefused;
  }
  return Progress::kNeedMore;
}

void RequestParser::on_request_impl(Verb verb, String method, String target, int version,
                                    Error& error) {
  error = {};
  http_1_1_ = version == 11;
  request_.method = method_of(verb);
  request_.method_text = view(method);
  request_.target = view(target);
  if (!take_target(request_.target)) {
    return refuse(400, "The request's target is not a path or an absolute URL.", error);
  }
  request_.headers.reserve(16);
}

bool RequestParser::take_target(std::string_view target) {
  const bool scheme = target.size() > 7 && equals_ignoring_case(target.substr(0, 7), "http://");
  const bool secure = target.size() > 8 && equals_ignoring_case(target.substr(0, 8), "https://");
  if (scheme || secure) {
    target.remove_prefix(secure ? 8 : 7);
    const std::size_t authority = std::min(target.find_first_of("/?"), target.size());
    if (authority == 0) return false;
    target.remove_prefix(authority);
    request_.path = target.starts_with("/") ? "" : "/";
  } else if (target == "*") {
    request_.path = target;
    return request_.method == Method::kOptions;
  } else if (!target.starts_with("/")) {
    // CONNECT's host and port: for the handler to refuse.
    request_.path = target;
    return request_.method_text == "CONNECT";
  }
  request_.path += target.substr(0, target.find('?'));
  return true;
}

void RequestParser::on_field_impl(Field field, String name, String value, Error& error) {
  error = {};
  if (is_header_done()) return;  // a trailer's field is not a header's
  switch (field) {
    case Field::host:
      if (++hosts_ > 1 || !is_host(view(value))) {
        return refuse(400, "The Host header is repeated or not a host.", error);
      }
      break;
    case Field::content_length:
      if (declared_bytes_ || view(value).find(',') != std::string_view::npos) {
        return refuse(400, "Content-Length is given more than once.", error);
      }
      // Beast has refused what is no number.
      declared_bytes_ = parse_length(view(value));
      break;
    case Field::transfer_encoding:
      if (!http_1_1_ || !equals_ignoring_case(trim(view(value)), "chunked")) {
        return refuse(400, "The only transfer coding understood is chunked.", error);
      }
      break;
    case Field::expect:
      if (!equals_ignoring_case(trim(view(value)), "100-continue")) {
        return refuse(417, "The only expectation understood is 100-continue.", error);
      }
      awaits_continue_ = http_1_1_;
      break;
    default:
      break;
  }
  request_.headers.push_back({std::string(view(name)), std::string(view(value))});
}

void RequestParser::on_header_impl(Error& error) {
  error = {};
  if (http_1_1_ && hosts_ == 0) {
    return refuse(400, "A request of HTTP/1.1 needs a Host header.", error);
  }
  request_.keep_alive = keep_alive();
  std::optional<std::uint64_t> most;
  if (streamed_ != nullptr && *streamed_) most = (*streamed_)(request_);
  streams_ = most.has_value();
  if (most) most_body_bytes_ = *most;
  if (declared_bytes_.value_or(0) > most_body_bytes_) {
    refuse(413, kTooLarge, error);
  }
}

void RequestParser::on_body_init_impl(const boost::optional<std::uint64_t>& length, Error& error) {
  error = {};
  // What a client merely announces costs no memory.
  request_.body.reserve(
      static_cast<std::size_t>(std::min<std::uint64_t>(length.value_or(0), kBodyReserveBytes)));
}

std::size_t RequestParser::on_body_impl(String body, Error& error) {
  error = {};
  body_bytes_ += body.size();
  if (body_bytes_ > most_body_bytes_) {
    refuse(413, kTooLarge, error);
    return 0;
  }
  request_.body.append(body.data(), body.size());
  return body.size();
}

void RequestParser::on_chunk_header_impl(std::uint64_t bytes, String, Error& error) {
  error = {};
  if (bytes > most_body_bytes_ - body_bytes_) refuse(413, kTooLarge, error);
}

std::size_t RequestParser::on_chunk_body_impl(std::uint64_t, String body, Error& error) {
  return on_body_impl(body, error);
}

void RequestParser::refuse(int status, std::string_view reason, Error& error) {
  refusal_ = {status, reason};
  error = beast_http::error::bad_field;
}

void RequestParser::refuse_for(const Error& error) {
  if (error == beast_http::error::header_limit) {
    refusal_ = {431, "The request's header is too large."};
  } else if (error == beast_http::error::bad_content_length ||
             error == beast_http::error::multiple_content_length ||
             error == beast_http::error::bad_transfer_encoding) {
    refusal_ = {400, "The length of the request's body is not clear."};
  } else if (error == beast_http::error::bad_version) {
    refusal_ = {400, "The version of HTTP is not 1.0 or 1.1."};
  } else {
    refusal_ = {400, "The request is not well-formed HTTP."};
  }
}

}  // namespace colloquy::http
