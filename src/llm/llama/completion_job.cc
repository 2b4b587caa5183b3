#include "llm/llama/completion_job.h"

#include <boost/asio/post.hpp>
#include <utility>

namespace colloquy::llm {

CompletionJob::CompletionJob(CompletionRequest request, const TextSink& sink,
                             boost::asio::any_io_executor executor)
    : request_(std::move(request)),
      executor_(std::move(executor)),
      sink_(&sink),
      scanner_(request_.sampling.stop) {}

Task<CompletionResult> CompletionJob::wait() {
  co_await done_.wait();
  deliver();
  std::scoped_lock lock(mutex_);
  if (error_) throw *error_;
  co_return result_;
}

void CompletionJob::cancel() {
  std::scoped_lock lock(mutex_);
  end(StopReason::kStop);
}

bool CompletionJob::ended() const {
  std::scoped_lock lock(mutex_);
  return ended_;
}

void CompletionJob::set_prompt_tokens(std::size_t tokens) {
  std::scoped_lock lock(mutex_);
  if (!ended_) result_.prompt_tokens = static_cast<std::int64_t>(tokens);
}

bool CompletionJob::say(std::string_view piece) {
  std::scoped_lock lock(mutex_);
  if (ended_) return false;
  ++result_.completion_tokens;
  show(scanner_.push(utf8_.push(piece)));
  if (scanner_.stopped()) end(StopReason::kStop);
  return !ended_;
}

void CompletionJob::finish() {
  std::scoped_lock lock(mutex_);
  if (ended_) return;
  ++result_.completion_tokens;
  end(StopReason::kStop);
}

void CompletionJob::reach_limit() {
  std::scoped_lock lock(mutex_);
  end(StopReason::kLength);
}

void CompletionJob::fail(Error error) {
  std::scoped_lock lock(mutex_);
  if (ended_) return;
  error_ = std::move(error);
  end(StopReason::kStop);
}

void CompletionJob::show(std::string text) {
  if (text.empty()) return;
  pending_ += text;
  if (std::exchange(posted_, true)) return;
  boost::asio::post(executor_, [self = shared_from_this()] { self->deliver(); });
}

void CompletionJob::end(StopReason reason) {
  if (std::exchange(ended_, true)) return;
  show(scanner_.push(utf8_.flush()));
  show(scanner_.flush());
  result_.stop_reason = scanner_.stopped() ? StopReason::kStop : reason;
  done_.set_value_now();
}

void CompletionJob::deliver() {
  std::string text;
  {
    std::scoped_lock lock(mutex_);
    posted_ = false;
    text = std::exchange(pending_, {});
  }
  // Not under the lock: the sink may cancel.
  if (sink_ != nullptr && !text.empty()) (*sink_)(text);
}

}  // namespace colloquy::llm
