#include "llm/demo/demo_provider.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "base/error.h"
#include "llm/demo/demo_answer.h"
#include "llm/demo/demo_tokens.h"

namespace colloquy::llm {
namespace {

namespace asio = boost::asio;

// Without a delay, the event loop has its turn after so many tokens.
constexpr std::int64_t kTokensAtOnce = 8;

// Where the first stop sequence begins, or the end.
std::size_t answer_bytes(std::string_view answer, const std::vector<std::string>& stop) {
  std::size_t size = answer.size();
  for (const std::string& sequence : stop) {
    if (!sequence.empty()) size = std::min(size, answer.find(sequence));
  }
  return size;
}

// Takes the provider's callback away again, however the completion ends.
struct CallbackRemoved {
  ~CallbackRemoved() { cancellation.on_request({}); }
  Cancellation& cancellation;
};

}  // namespace

DemoProvider::DemoProvider(DemoOptions options)
    : options_(std::move(options)), models_{options_.model} {}

std::optional<std::size_t> DemoProvider::count_tokens(std::string_view /*model*/,
                                                      std::string_view text) {
  return count_demo_tokens(text);
}

Task<CompletionResult> DemoProvider::complete(CompletionRequest request, const TextSink& sink,
                                              Cancellation& cancellation) {
  if (!request.model.empty() && request.model != options_.model) {
    throw invalid_field("model", "is not a model of this server");
  }
  CompletionResult result;
  for (const ChatMessage& message : request.messages) {
    result.prompt_tokens += static_cast<std::int64_t>(count_demo_tokens(message.content));
  }
  const std::string answer = demo_answer(request);
  std::string_view rest(answer);
  rest = rest.substr(0, answer_bytes(rest, request.sampling.stop));

  asio::steady_timer timer(co_await asio::this_coro::executor);
  cancellation.on_request([&timer] { timer.cancel(); });
  const CallbackRemoved removed{cancellation};
  while (!rest.empty() && !cancellation.requested()) {
    if (request.sampling.max_tokens && result.completion_tokens >= *request.sampling.max_tokens) {
      result.stop_reason = StopReason::kLength;
      break;
    }
    if (options_.delay_per_token.count() > 0) {
      timer.expires_after(options_.delay_per_token);
      boost::system::error_code ignored;
      co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    } else if (result.completion_tokens % kTokensAtOnce == 0) {
      co_await asio::post(asio::use_awaitable);
    }
    if (cancellation.requested()) break;
    const std::size_t size = first_token_bytes(rest);
    sink(rest.substr(0, size));
    rest.remove_prefix(size);
    ++result.completion_tokens;
  }
  co_return result;
}

}  // namespace colloquy::llm
