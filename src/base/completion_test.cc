#include "base/completion.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <thread>

#include "base/error.h"
#include "base/signal.h"

namespace colloquy {
namespace {

namespace asio = boost::asio;

Task<> await_into(std::shared_ptr<Completion<int>> completion, int& out) {
  out = co_await completion->wait();
}

TEST(Completion, CarriesAValueFromAnotherThread) {
  asio::io_context loop;
  auto completion = std::make_shared<Completion<int>>();
  int out = 0;
  asio::co_spawn(loop, await_into(completion, out), asio::detached);
  std::thread worker([completion] { completion->set_value_now(42); });
  loop.run();
  worker.join();
  EXPECT_EQ(out, 42);
}

TEST(Completion, CarriesAnErrorAndAResultThatCameFirst) {
  asio::io_context loop;
  auto completion = std::make_shared<Completion<int>>();
  completion->set_error_now(std::make_exception_ptr(not_found()));
  int out = 0;
  std::exception_ptr seen;
  asio::co_spawn(loop, await_into(completion, out), [&](std::exception_ptr e) { seen = e; });
  loop.run();
  ASSERT_TRUE(seen);
  EXPECT_THROW(std::rethrow_exception(seen), Error);
}

TEST(WakeList, ResumesEveryWaiterOnItsOwnLoop) {
  asio::io_context loops[2];
  std::vector<std::shared_ptr<Completion<int>>> completions;
  std::vector<int> out(10, -1);
  for (std::size_t i = 0; i < out.size(); ++i) {
    completions.push_back(std::make_shared<Completion<int>>());
    asio::co_spawn(loops[i % 2], await_into(completions[i], out[i]), asio::detached);
  }
  for (auto& loop : loops) loop.poll();
  WakeList wakes;
  for (std::size_t i = 0; i < out.size(); ++i) {
    completions[i]->set_value(wakes, static_cast<int>(i));
  }
  wakes.wake_all();
  loops[0].restart();
  loops[0].run();
  for (std::size_t i = 0; i < out.size(); ++i) {
    EXPECT_EQ(out[i], i % 2 == 0 ? static_cast<int>(i) : -1);
  }
  loops[1].restart();
  loops[1].run();
  for (std::size_t i = 0; i < out.size(); ++i) EXPECT_EQ(out[i], static_cast<int>(i));
}

Task<> wait_signal(Signal& signal, std::uint64_t ticket, std::chrono::milliseconds at_most,
                   int& notified) {
  bool seen = co_await signal.wait(ticket, at_most);
  notified = seen ? 1 : 0;
}

TEST(Signal, WakesEveryWaiterOfAnyLoop) {
  asio::io_context one;
  asio::io_context two;
  Signal signal;
  int a = -1;
  int b = -1;
  asio::co_spawn(one, wait_signal(signal, signal.ticket(), std::chrono::hours(1), a),
                 asio::detached);
  asio::co_spawn(two, wait_signal(signal, signal.ticket(), std::chrono::hours(1), b),
                 asio::detached);
  std::thread first([&] { one.run(); });
  std::thread second([&] { two.run(); });
  signal.notify_all();
  first.join();
  second.join();
  EXPECT_EQ(a, 1);
  EXPECT_EQ(b, 1);
}

TEST(Signal, SaysWhenTheTimeIsUpAndForgetsNothingBeforeTheWait) {
  asio::io_context loop;
  Signal signal;
  int out = -1;
  asio::co_spawn(loop, wait_signal(signal, signal.ticket(), std::chrono::milliseconds(1), out),
                 asio::detached);
  loop.run();
  EXPECT_EQ(out, 0);
  auto ticket = signal.ticket();
  signal.notify_all();
  loop.restart();
  asio::co_spawn(loop, wait_signal(signal, ticket, std::chrono::hours(1), out), asio::detached);
  loop.run();
  EXPECT_EQ(out, 1);
}

}  // namespace
}  // namespace colloquy
