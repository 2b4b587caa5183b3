#include "net/response_reader.h"

#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/fields.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <utility>

#include "base/chunked.h"

namespace colloquy::net {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;

constexpr std::size_t kReadBytes = std::size_t{16} * 1024;
constexpr int kInformationalMax = 16;

// Collects what came, and unlike Beast's string_body reserves nothing on the peer's word.
struct PieceBody {
  using value_type = std::string;

  class reader {
   public:
    template <bool is_request, class Fields>
    reader(http::header<is_request, Fields>& /*header*/, value_type& body) : body_(body) {}

    void init(const boost::optional<std::uint64_t>& /*content_length*/, beast::error_code& error) {
      error = {};
    }
    template <class Buffers>
    std::size_t put(const Buffers& buffers, beast::error_code& error) {
      error = {};
      std::size_t size = 0;
      for (const auto buffer : beast::buffers_range_ref(buffers)) {
        body_.append(static_cast<const char*>(buffer.data()), buffer.size());
        size += buffer.size();
      }
      return size;
    }
    void finish(beast::error_code& error) { error = {}; }

   private:
    value_type& body_;
  };
};

using Parser = http::response_parser<PieceBody>;

NetError parse_failure(const beast::error_code& error) {
  const bool too_large =
      error == http::error::header_limit || error == http::error::buffer_overflow;
  return {too_large ? NetFailure::kTooLarge : NetFailure::kMalformed,
          "response: " + error.message()};
}

}  // namespace

struct ResponseReader::State {
  explicit State(Body wanted) : body(wanted) { restart(); }

  void restart() {
    parser.emplace();
    parser->header_limit(kHeaderBytesMax);
    parser->body_limit(boost::none);
    parser->eager(true);
    if (body == Body::kNone) parser->skip(true);
  }

  // True when there is more to parse: an informational response was passed over.
  bool parse_once() {
    beast::error_code error;
    const auto data = buffer.data();
    const std::string_view bytes(static_cast<const char*>(data.data()), data.size());
    if (parser->is_header_done() && parser->chunked() && may_be_cut_last_chunk(bytes)) return false;
    buffer.consume(parser->put(boost::asio::const_buffer(bytes.data(), bytes.size()), error));
    if (error == http::error::need_more) error = {};
    if (error) {
      failure = parse_failure(error);
      return false;
    }
    if (buffer.size() >= kHeaderBytesMax) {
      // A start line, a chunk's header or a trailer that does not end.
      if (!parser->is_done()) failure = parse_failure(http::error::header_limit);
      return false;
    }
    if (!parser->is_header_done() || parser->get().result_int() >= 200) return false;
    if (parser->get().result_int() == 101 || ++informational > kInformationalMax) {
      failure = NetError(NetFailure::kMalformed, "response: unexpected informational response");
      return false;
    }
    restart();
    return buffer.size() > 0;
  }

  const Body body;
  beast::flat_buffer buffer{kHeaderBytesMax + kReadBytes};
  std::optional<Parser> parser;
  std::optional<NetError> failure;
  int informational = 0;
  bool got_bytes = false;
};

ResponseReader::ResponseReader(Body body) : state_(std::make_unique<State>(body)) {}
ResponseReader::~ResponseReader() = default;

ResponseReader::Space ResponseReader::space() {
  const auto space = state_->buffer.prepare(kReadBytes);
  return {static_cast<char*>(space.data()), space.size()};
}

void ResponseReader::commit(std::size_t size) {
  if (size == 0) return;
  state_->buffer.commit(size);
  state_->got_bytes = true;
  if (state_->failure || state_->parser->is_done()) return;
  while (state_->parse_once()) {
  }
}

void ResponseReader::end() {
  State& state = *state_;
  if (state.failure || state.parser->is_done()) return;
  beast::error_code error = http::error::partial_message;
  if (state.parser->got_some()) state.parser->put_eof(error);
  if (error) {
    state.failure =
        NetError(NetFailure::kClosed, state.got_bytes ? "connection closed within the response"
                                                      : "connection closed before the response");
  }
}

bool ResponseReader::got_bytes() const { return state_->got_bytes; }
bool ResponseReader::header_done() const {
  return state_->parser->is_header_done() && state_->parser->get().result_int() >= 200;
}
bool ResponseReader::done() const { return header_done() && state_->parser->is_done(); }
const std::optional<NetError>& ResponseReader::failure() const { return state_->failure; }

int ResponseReader::status() const { return static_cast<int>(state_->parser->get().result_int()); }

std::optional<std::string> ResponseReader::header(std::string_view name) const {
  const auto& fields = state_->parser->get();
  const auto field = fields.find(beast::string_view(name.data(), name.size()));
  if (field == fields.end()) return std::nullopt;
  return std::string(field->value());
}

std::vector<HeaderField> ResponseReader::headers() const {
  std::vector<HeaderField> out;
  for (const auto& field : state_->parser->get()) {
    out.push_back(HeaderField{std::string(field.name_string()), std::string(field.value())});
  }
  return out;
}

std::string ResponseReader::take_body() { return std::exchange(state_->parser->get().body(), {}); }

bool ResponseReader::reusable() const {
  return done() && state_->parser->keep_alive() && state_->buffer.size() == 0;
}

}  // namespace colloquy::net
