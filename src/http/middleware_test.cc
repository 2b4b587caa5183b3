#include "http/middleware.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "base/testing/run_task.h"
#include "http/sse.h"

namespace colloquy::http {
namespace {

using ::testing::HasSubstr;

class Collector final : public BodyWriter {
 public:
  Task<> write(std::string_view piece) override {
    text += piece;
    ++pieces;
    co_return;
  }
  void abort() override {}
  std::string text;
  int pieces = 0;
};

Task<int> collect(const Response& response, BodyWriter& body) {
  co_await response.stream(body);
  co_return 0;
}

std::string gunzip(const std::string& compressed) {
  z_stream stream{};
  EXPECT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(compressed.data()));
  stream.avail_in = static_cast<uInt>(compressed.size());
  std::string text(4'000'000, '\0');
  stream.next_out = reinterpret_cast<Bytef*>(text.data());
  stream.avail_out = static_cast<uInt>(text.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  text.resize(stream.total_out);
  inflateEnd(&stream);
  return text;
}

Request request_with(Method method, std::vector<Header> headers) {
  Request request;
  request.method = method;
  request.headers = std::move(headers);
  return request;
}

std::string value(const Response& response, std::string_view name) {
  return std::string(find_header(response.headers, name).value_or(""));
}

Middleware tag(std::string name) {
  return [name](Request& request, const Handler& next) -> Task<Response> {
    request.path += name;
    return next(request);
  };
}

Handler answer_with(Response response) {
  return [response](Request&) {
    return [](Response copy) -> Task<Response> { co_return copy; }(response);
  };
}

Response json(std::size_t bytes) {
  Response response;
  response.set_header("Content-Type", "application/json");
  response.set_header("ETag", "\"5\"");
  while (response.body.size() < bytes) response.body += std::to_string(response.body.size());
  response.body.resize(bytes);
  return response;
}

TEST(Chain, RunsTheFirstOutermost) {
  const Handler handler = chain({tag("a"), tag("b")}, [](Request& request) -> Task<Response> {
    Response response;
    response.body = request.path + "c";
    co_return response;
  });
  Request request;
  EXPECT_EQ(run_task(handler(request)).body, "abc");
}

TEST(Cors, AnswersThePreflightOfAnAllowedOrigin) {
  const Handler handler = chain({cors({{"https://a", "https://b"}})}, answer_with({}));
  Request request = request_with(
      Method::kOptions, {{"Origin", "https://b"}, {"Access-Control-Request-Method", "PATCH"}});
  const Response response = run_task(handler(request));
  EXPECT_EQ(response.status, 204);
  EXPECT_EQ(value(response, "Access-Control-Allow-Origin"), "https://b");
  EXPECT_THAT(value(response, "Access-Control-Allow-Methods"), HasSubstr("PATCH"));
  EXPECT_THAT(value(response, "Access-Control-Allow-Headers"), HasSubstr("Idempotency-Key"));
  EXPECT_EQ(value(response, "Access-Control-Max-Age"), "600");
  EXPECT_EQ(value(response, "Access-Control-Allow-Credentials"), "");
  EXPECT_THAT(value(response, "Vary"), HasSubstr("Origin"));
}

TEST(Cors, GivesAnotherOriginNothing) {
  const Handler handler = chain({cors({{"https://a"}})}, answer_with(json(3)));
  for (const char* origin : {"https://a.evil", "https://", "null", "*", "HTTPS://A"}) {
    Request preflight = request_with(
        Method::kOptions, {{"Origin", origin}, {"Access-Control-Request-Method", "GET"}});
    Request get = request_with(Method::kGet, {{"Origin", origin}});
    for (const Response& response : {run_task(handler(preflight)), run_task(handler(get))}) {
      for (const Header& header : response.headers) {
        EXPECT_FALSE(header.name.starts_with("Access-Control")) << header.name;
      }
      EXPECT_THAT(value(response, "Vary"), HasSubstr("Origin"));
    }
  }
}

TEST(Cors, MarksResponsesAndPassesPlainOptionsOn) {
  const Handler handler = chain({cors({{"*"}})}, answer_with(json(3)));
  Request get = request_with(Method::kGet, {{"Origin", "https://any"}});
  const Response response = run_task(handler(get));
  EXPECT_EQ(value(response, "Access-Control-Allow-Origin"), "*");
  EXPECT_THAT(value(response, "Access-Control-Expose-Headers"), HasSubstr("ETag"));
  Request options = request_with(Method::kOptions, {{"Origin", "https://any"}});
  EXPECT_EQ(run_task(handler(options)).status, 200);
}

TEST(Gzip, CompressesLargeJson) {
  for (const std::size_t bytes : {1000U, 3'000'000U}) {
    const Response plain = json(bytes);
    const Handler handler = chain({gzip(1000)}, answer_with(plain));
    Request request = request_with(Method::kGet, {{"Accept-Encoding", "br, gzip"}});
    const Response response = run_task(handler(request));
    EXPECT_EQ(value(response, "Content-Encoding"), "gzip");
    EXPECT_EQ(value(response, "Vary"), "Accept-Encoding");
    EXPECT_EQ(value(response, "ETag"), "\"5-gzip\"");
    EXPECT_LT(response.body.size(), bytes);
    EXPECT_EQ(gunzip(response.body), plain.body);
  }
}

TEST(Gzip, LeavesOtherResponsesAlone) {
  const auto encoding = [](const Response& plain, const char* accepted) {
    const Handler handler = chain({gzip(1000)}, answer_with(plain));
    Request request = request_with(Method::kGet, {{"Accept-Encoding", accepted}});
    const Response response = run_task(handler(request));
    EXPECT_EQ(response.body, plain.body);
    EXPECT_EQ(value(response, "ETag"), value(plain, "ETag"));
    return value(response, "Content-Encoding");
  };
  EXPECT_EQ(encoding(json(2000), "identity"), "");
  EXPECT_EQ(encoding(json(2000), "gzip;q=0"), "");
  EXPECT_EQ(encoding(json(999), "gzip"), "");
  Response other = json(2000);
  other.set_header("Content-Type", "text/html");
  EXPECT_EQ(encoding(other, "gzip"), "");
  Response encoded = json(2000);
  encoded.set_header("Content-Encoding", "br");
  EXPECT_EQ(encoding(encoded, "gzip"), "br");
  Response kept = json(2000);
  kept.set_header("Cache-Control", "no-store, No-Transform");
  EXPECT_EQ(encoding(kept, "gzip"), "");
  Response events;
  set_event_stream_headers(events);
  events.stream = [](BodyWriter&) -> Task<> { co_return; };
  EXPECT_EQ(encoding(events, "gzip"), "");
}

TEST(Gzip, CompressesStreamsWithFlushes) {
  Response plain;
  plain.set_header("Content-Type", "application/json; charset=utf-8");
  plain.stream = [](BodyWriter& body) -> Task<> {
    const std::string piece(30'000, 'x');
    for (int i = 0; i < 100; ++i) co_await body.write(piece + std::to_string(i));
  };
  const Handler handler = chain({gzip(1000)}, answer_with(plain));
  Request request = request_with(Method::kGet, {{"Accept-Encoding", "gzip"}});
  const Response response = run_task(handler(request));
  Collector plain_body;
  Collector body;
  run_task(collect(plain, plain_body));
  run_task(collect(response, body));
  EXPECT_EQ(gunzip(body.text), plain_body.text);
  EXPECT_GT(body.pieces, 40);
}

TEST(Gzip, AHandlerSeesItsOwnTags) {
  const Handler handler = chain({gzip(10)}, [](Request& request) -> Task<Response> {
    Response response;
    response.status = 304;
    response.set_header("ETag", "\"5\"");
    response.log_detail = std::string(request.header("If-None-Match").value_or("")) + "|" +
                          std::string(request.header("If-Match").value_or(""));
    co_return response;
  });
  Request request = request_with(Method::kGet, {{"Accept-Encoding", "gzip"},
                                                {"If-None-Match", "\"4\", \"5-gzip\""},
                                                {"If-Match", "W/\"x\",\"a,b-gzip\""}});
  const Response response = run_task(handler(request));
  EXPECT_EQ(response.log_detail, "\"4\", \"5\"|W/\"x\", \"a,b\"");
  EXPECT_EQ(value(response, "ETag"), "\"5-gzip\"");
}

Task<int> write_events(BodyWriter& body) {
  SseWriter events(body);
  co_await events.event("token", "7", "a\nb\r\nc\rd");
  co_await events.event("done\nid: 9", "", "");
  co_await events.comment("still\nhere");
  co_return 0;
}

TEST(Sse, WritesEventsThatCannotBeBroken) {
  Collector body;
  run_task(write_events(body));
  EXPECT_EQ(body.text,
            "event: token\nid: 7\ndata: a\ndata: b\ndata: c\ndata: d\n\n"
            "event: doneid: 9\ndata: \n\n"
            ": still\n: here\n\n");
  EXPECT_EQ(body.pieces, 3);
}

}  // namespace
}  // namespace colloquy::http
