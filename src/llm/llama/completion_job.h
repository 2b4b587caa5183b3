// One completion on its way between the event loop of its turn and the model's thread.
//
// The model's thread says tokens and ends it; the text reaches the sink on the turn's event loop,
// in whole UTF-8 characters, all that came meanwhile at once. Whichever side ends it first has
// ended it: what the other says then is dropped.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/completion.h"
#include "base/error.h"
#include "llm/llama/stop_scanner.h"
#include "llm/provider.h"
#include "llm/utf8_repair.h"

namespace colloquy::llm {

class CompletionJob : public std::enable_shared_from_this<CompletionJob> {
 public:
  CompletionJob(CompletionRequest request, const TextSink& sink,
                boost::asio::any_io_executor executor);

  // On the turn's event loop.

  // Returns when it has ended, all its text given to the sink; throws what it failed with. Once
  // only.
  Task<CompletionResult> wait();
  // Ends it with what was said.
  void cancel();
  // The sink is not called any more.
  void leave() { sink_ = nullptr; }

  // On the model's thread.

  const CompletionRequest& request() const { return request_; }
  bool ended() const;
  void set_prompt_tokens(std::size_t tokens);
  // One token of the answer, as the bytes it stands for. False: the answer has ended, with it or
  // before.
  bool say(std::string_view piece);
  // The token that ends the answer.
  void finish();
  // The answer ends here for want of room.
  void reach_limit();
  void fail(Error error);

 private:
  void show(std::string text);  // under mutex_
  void end(StopReason reason);  // under mutex_
  void deliver();

  const CompletionRequest request_;
  const boost::asio::any_io_executor executor_;
  const TextSink* sink_;  // the event loop's

  mutable std::mutex mutex_;
  // Guarded by mutex_:
  Utf8Repair utf8_;
  StopScanner scanner_;
  std::string pending_;  // shown, and not given to the sink yet
  bool posted_ = false;  // deliver() is on its way
  bool ended_ = false;
  CompletionResult result_;
  std::optional<Error> error_;

  Completion<void> done_;
};

}  // namespace colloquy::llm
