// The same for each of many, a few of them at once, on one event loop.
#pragma once

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <cstddef>
#include <exception>
#include <memory>

#include "base/completion.h"
#include "base/task.h"

namespace colloquy::migrate {

// `work.one(i)` for each i below `count`, in order, `at_once` at a time. After one has thrown no
// other is begun; waits for those that have, then throws the first. `work` outlives the call.
template <class Work>
class AtOnce {
 public:
  static Task<> run(Work& work, std::size_t count, std::size_t at_once) {
    if (count == 0) co_return;
    auto state = std::make_shared<State>(work, count, std::min(count, at_once));
    auto executor = co_await boost::asio::this_coro::executor;
    auto workers = state->working;
    for (std::size_t i = 0; i < workers; ++i) {
      boost::asio::co_spawn(executor, loop(state),
                            [state](std::exception_ptr error) { state->finished(error); });
    }
    co_await state->all.wait();
    if (state->error) std::rethrow_exception(state->error);
  }

 private:
  struct State {
    State(Work& w, std::size_t n, std::size_t workers) : work(w), count(n), working(workers) {}
    void finished(const std::exception_ptr& failure) {
      if (failure && !error) error = failure;
      if (failure) next = count;
      if (--working == 0) all.set_value_now();
    }
    Work& work;
    std::size_t count;
    std::size_t next = 0;
    std::size_t working;
    std::exception_ptr error;
    Completion<void> all;
  };

  static Task<> loop(std::shared_ptr<State> state) {
    while (state->next < state->count) {
      auto index = state->next++;
      co_await state->work.one(index);
    }
  }
};

}  // namespace colloquy::migrate
