#include "store/dynamodb/aws/endpoint.h"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <optional>
#include <utility>

namespace colloquy::aws {
namespace {

namespace asio = boost::asio;
using net::NetError;
using net::NetFailure;

// Ends a call when its time is over. Lives on one event loop.
class Alarm {
 public:
  Alarm(const asio::any_io_executor& executor, std::chrono::milliseconds after)
      : timer_(executor, after), state_(std::make_shared<State>()) {
    timer_.async_wait([state = state_](boost::system::error_code error) {
      if (error) return;
      state->rang = true;
      if (state->cancel) state->cancel();
    });
  }
  ~Alarm() { state_->cancel = {}; }
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;

  std::function<void(std::function<void()>)> setter() {
    return [state = state_](std::function<void()> cancel) { state->cancel = std::move(cancel); };
  }
  bool rang() const { return state_->rang; }

 private:
  struct State {
    bool rang = false;
    std::function<void()> cancel;
  };
  asio::steady_timer timer_;
  std::shared_ptr<State> state_;
};

Task<net::HttpResponse> read_answer(net::HttpClient& http, net::HttpRequest request,
                                    std::function<void(std::function<void()>)> on_cancelable) {
  const auto stream = co_await http.open(std::move(request), std::move(on_cancelable));
  net::HttpResponse response;
  response.status = stream->status();
  while (true) {
    const auto piece = co_await stream->read();
    if (!piece) break;
    if (response.body.size() + piece->size() > kAnswerBytesMax) {
      throw NetError(NetFailure::kTooLarge, "the answer is too large");
    }
    response.body += *piece;
  }
  co_return response;
}

Task<net::HttpResponse> attempt(net::HttpClient& http, net::HttpRequest request,
                                EndpointPolicy policy) {
  request.deadlines = {policy.connect, policy.total, policy.total};
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  Alarm alarm(executor, policy.total);
  auto on_cancelable = alarm.setter();
  try {
    co_return co_await read_answer(http, std::move(request), std::move(on_cancelable));
  } catch (const NetError&) {
    if (!alarm.rang()) throw;
  }
  throw NetError(NetFailure::kTimeout, "no whole answer in time");
}

bool may_try_again(NetFailure failure) {
  return failure != NetFailure::kBadUrl && failure != NetFailure::kTooLarge &&
         failure != NetFailure::kTls;
}

bool may_try_again(int status) { return status == 429 || status >= 500; }

}  // namespace

Task<net::HttpResponse> call_endpoint(net::HttpClient& http, net::HttpRequest request,
                                      EndpointPolicy policy) {
  auto delay = policy.retry_delay;
  for (int tried = 1;; ++tried) {
    const bool last = tried >= policy.attempts;
    std::optional<net::HttpResponse> answer;
    try {
      answer = co_await attempt(http, request, policy);
    } catch (const NetError& error) {
      if (last || !may_try_again(error.failure())) throw;
    }
    if (answer && (last || !may_try_again(answer->status))) co_return std::move(*answer);
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    asio::steady_timer pause(executor, delay);
    co_await pause.async_wait(asio::use_awaitable);
    delay *= 2;
  }
}

}  // namespace colloquy::aws
