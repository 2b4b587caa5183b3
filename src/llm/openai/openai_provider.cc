#include "llm/openai/openai_provider.h"

#include <algorithm>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <utility>

#include "base/error.h"
#include "llm/openai/answer_reader.h"
#include "llm/openai/request_body.h"
#include "llm/openai/upstream_failure.h"
#include "llm/token_estimate.h"
#include "net/url.h"
#include "telemetry/log.h"

namespace colloquy::llm {
namespace {

namespace asio = boost::asio;
using State = AnswerReader::State;

constexpr std::size_t kErrorBodyBytes = std::size_t{64} * 1024;
// A finished answer is not held up for longer by an upstream that owes its usage.
constexpr std::chrono::milliseconds kUsageWait{2'000};
constexpr std::chrono::milliseconds kDrainWait{1'000};
constexpr int kDrainPieces = 16;

bool printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

// Ends the present wait on the upstream when its time is up or the turn is cancelled.
class Watch : public std::enable_shared_from_this<Watch> {
 public:
  explicit Watch(const asio::any_io_executor& executor) : timer_(executor) {}

  void arm(std::chrono::milliseconds time) {
    timer_.expires_after(time);
    timer_.async_wait([weak = weak_from_this(), arming = ++arming_](auto error) {
      const auto watch = weak.lock();
      if (error || !watch || watch->arming_ != arming) return;
      watch->timed_out_ = true;
      watch->end_wait();
    });
  }
  void cancel() {
    cancelled_ = true;
    end_wait();
  }
  void on_end_wait(std::function<void()> callback) { end_wait_ = std::move(callback); }
  void stop() {
    end_wait_ = {};
    ++arming_;
    timer_.cancel();
  }
  bool cancelled() const { return cancelled_; }
  bool timed_out() const { return timed_out_; }

 private:
  void end_wait() {
    if (end_wait_) end_wait_();
  }

  asio::steady_timer timer_;
  std::uint64_t arming_ = 0;
  bool cancelled_ = false;
  bool timed_out_ = false;
  std::function<void()> end_wait_;
};

// Reads what follows the last event, so that the connection can be used again; for a moment only.
Task<> drain(std::shared_ptr<net::ResponseStream> stream) {
  asio::steady_timer timer(co_await asio::this_coro::executor, kDrainWait);
  timer.async_wait([weak = std::weak_ptr<net::ResponseStream>(stream)](auto error) {
    const auto alive = weak.lock();
    if (!error && alive) alive->cancel();
  });
  try {
    for (int i = 0; i < kDrainPieces; ++i) {
      const auto piece = co_await stream->read();
      if (!piece) break;
    }
  } catch (const net::NetError&) {  // the answer is whole: only the connection is lost
  }
}

}  // namespace

// One completion, from the request to the end of the answer.
class OpenAiProvider::Call {
 public:
  Call(OpenAiProvider& provider, const CompletionRequest& request, const TextSink& sink,
       Cancellation& cancellation, const asio::any_io_executor& executor)
      : provider_(provider),
        request_(request),
        cancellation_(cancellation),
        executor_(executor),
        watch_(std::make_shared<Watch>(executor)),
        reader_(sink, provider.options_.content_bytes_max) {
    cancellation_.on_request([watch = watch_] { watch->cancel(); });
  }
  ~Call() {
    cancellation_.on_request({});
    watch_->stop();
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  Task<CompletionResult> run() {
    if (cancellation_.requested()) co_return result();
    watch_->arm(provider_.options_.connect_timeout + provider_.options_.first_token_timeout);
    co_await open(provider_.usage_);
    if (stream_ && stream_->status() != 200) co_await refused();
    if (stream_) co_await read_answer();
    co_return result();
  }

 private:
  // Leaves stream_ null when cancelled.
  Task<> open(UsageInStream usage) {
    usage_ = usage;
    std::function<void(std::function<void()>)> on_cancelable =
        [watch = watch_](std::function<void()> cancel) { watch->on_end_wait(std::move(cancel)); };
    try {
      stream_ = co_await provider_.client_->open(provider_.http_request(request_, usage),
                                                 std::move(on_cancelable));
    } catch (const net::NetError& error) {
      if (watch_->cancelled()) co_return;
      if (watch_->timed_out()) throw timeout_failure("the answer's start");
      throw network_failure(error);
    }
    watch_->on_end_wait([stream = std::weak_ptr<net::ResponseStream>(stream_)] {
      if (const auto alive = stream.lock()) alive->cancel();
    });
  }

  // Throws what the upstream's refusal means, unless another request without stream_options is not
  // refused.
  Task<> refused() {
    UpstreamMessage message = co_await read_message();
    if (watch_->cancelled()) co_return stream_.reset();
    if (usage_ == UsageInStream::kAskedFor && refuses_stream_options(stream_->status(), message)) {
      stream_.reset();
      co_await open(UsageInStream::kLeftOut);
      if (!stream_) co_return;
      if (stream_->status() == 200) {
        provider_.usage_ = UsageInStream::kLeftOut;
        co_return;
      }
      message = co_await read_message();
      if (watch_->cancelled()) co_return stream_.reset();
    }
    throw status_failure(stream_->status(), message, stream_->header("Retry-After"));
  }

  Task<UpstreamMessage> read_message() {
    std::string body;
    try {
      while (body.size() < kErrorBodyBytes) {
        const auto piece = co_await stream_->read();
        if (!piece) break;
        body += *piece;
      }
    } catch (const net::NetError&) {  // the status alone says enough
    }
    co_return parse_upstream_message(body);
  }

  Task<> read_answer() {
    bool body_ended = false;
    std::uint64_t signs_of_life = 0;
    while (!body_ended && reader_.state() != State::kDone && reader_.state() != State::kOverBound) {
      std::optional<std::string> piece;
      std::optional<net::NetError> failure;
      try {
        piece = co_await stream_->read();
      } catch (const net::NetError& error) {
        failure = error;
      }
      if (watch_->cancelled()) co_return;
      if (failure) co_return end_at_failure(*failure);
      body_ended = !piece;
      if (piece) {
        reader_.push(*piece);
      } else {
        reader_.end();
      }
      if (reader_.state() == State::kFinished) {
        if (!waits_for_usage_) watch_->arm(std::min(kUsageWait, provider_.options_.idle_timeout));
        waits_for_usage_ = true;
      } else if (reader_.signs_of_life() != signs_of_life) {
        signs_of_life = reader_.signs_of_life();
        watch_->arm(provider_.options_.idle_timeout);
      }
    }
    if (reader_.state() == State::kOpen) throw cut_off_failure();
    if (reader_.state() == State::kDone && !body_ended) {
      asio::co_spawn(executor_, drain(std::move(stream_)), asio::detached);
    }
  }

  // An answer that has its finish_reason is whole, whatever becomes of the connection.
  void end_at_failure(const net::NetError& failure) {
    if (reader_.state() == State::kFinished) return reader_.end();
    if (watch_->timed_out()) {
      throw timeout_failure(reader_.signs_of_life() == 0 ? "the first token" : "the next token");
    }
    if (failure.failure() == net::NetFailure::kClosed) throw cut_off_failure();
    throw network_failure(failure);
  }

  CompletionResult result() const {
    CompletionResult result;
    const bool length = reader_.state() == State::kOverBound || reader_.finish_reason() == "length";
    result.stop_reason = length ? StopReason::kLength : StopReason::kStop;
    if (reader_.finish_reason() == "content_filter" && reader_.delivered_bytes() == 0) {
      throw Error(ErrorCode::kInvalid, "The language model refused the request.",
                  "finish_reason content_filter")
          .with_field("prompt", "was refused with what comes before it");
    }
    result.prompt_tokens =
        reader_.prompt_tokens() ? *reader_.prompt_tokens() : estimated_prompt_tokens();
    result.completion_tokens = reader_.completion_tokens()
                                   ? *reader_.completion_tokens()
                                   : static_cast<std::int64_t>(reader_.estimated_tokens());
    return result;
  }

  std::int64_t estimated_prompt_tokens() const {
    std::size_t tokens = 0;
    for (const ChatMessage& message : request_.messages) tokens += estimate_tokens(message.content);
    return static_cast<std::int64_t>(tokens);
  }

  OpenAiProvider& provider_;
  const CompletionRequest& request_;
  Cancellation& cancellation_;
  const asio::any_io_executor executor_;
  const std::shared_ptr<Watch> watch_;
  AnswerReader reader_;
  std::shared_ptr<net::ResponseStream> stream_;
  UsageInStream usage_ = UsageInStream::kAskedFor;
  bool waits_for_usage_ = false;
};

OpenAiProvider::OpenAiProvider(OpenAiOptions options, std::shared_ptr<net::HttpClient> client)
    : options_(std::move(options)),
      client_(std::move(client)),
      url_(options_.base_url),
      usage_(options_.usage) {
  const auto url = net::parse_url(url_);
  if (!url || !url->user_info.empty() || url->target.find('?') != std::string::npos) {
    throw Error(ErrorCode::kInvalid, "The model's base URL is not an http or https URL.");
  }
  if (options_.model.empty()) throw Error(ErrorCode::kInvalid, "The model's name is missing.");
  if (!printable(options_.api_key)) {
    throw Error(ErrorCode::kInvalid, "The model's API key holds characters that cannot be sent.");
  }
  while (url_.ends_with('/')) url_.pop_back();
  url_ += "/chat/completions";
  models_.push_back(options_.model);
  for (const std::string& model : options_.allowed_models) {
    if (std::find(models_.begin(), models_.end(), model) == models_.end()) models_.push_back(model);
  }
}

OpenAiProvider::~OpenAiProvider() = default;

net::HttpRequest OpenAiProvider::http_request(const CompletionRequest& request,
                                              UsageInStream usage) const {
  net::HttpRequest http;
  http.method = "POST";
  http.url = url_;
  http.headers.push_back({"Content-Type", "application/json"});
  http.headers.push_back({"Accept", "text/event-stream"});
  if (!options_.api_key.empty()) {
    http.headers.push_back({"Authorization", "Bearer " + options_.api_key});
  }
  if (!request.request_id.empty() && printable(request.request_id)) {
    http.headers.push_back({"X-Request-Id", request.request_id});
  }
  net::add_trace(http, request.trace);
  http.body = request_body(request, options_,
                           request.model.empty() ? options_.model : request.model, usage);
  // The upstream may have begun, and counted, the completion that it got the first time.
  http.resend_when_closed = false;
  http.deadlines.connect = options_.connect_timeout;
  http.deadlines.first_byte = options_.first_token_timeout;
  // The first token may take its time after the header, and Call watches each wait more closely.
  http.deadlines.idle = std::max(options_.first_token_timeout, options_.idle_timeout);
  return http;
}

Task<CompletionResult> OpenAiProvider::complete(CompletionRequest request, const TextSink& sink,
                                                Cancellation& cancellation) {
  if (!request.model.empty() &&
      std::find(models_.begin(), models_.end(), request.model) == models_.end()) {
    throw invalid_field("model", "is not a model of this server");
  }
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  try {
    Call call(*this, request, sink, cancellation, executor);
    co_return co_await call.run();
  } catch (const Error& error) {
    const Error clean = without_secret(error, options_.api_key);
    telemetry::log_warning("llm.upstream_failed", {{"code", error_code_name(clean.code())},
                                                   {"detail", clean.detail()},
                                                   {"request_id", request.request_id},
                                                   {"trace_id", request.trace.trace_id},
                                                   {"span_id", request.trace.span_id}});
    throw clean;
  }
}

}  // namespace colloquy::llm
