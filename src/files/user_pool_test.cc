#include "files/user_pool.h"

#include <gtest/gtest.h>

#include <future>
#include <mutex>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/testing/run_task.h"

namespace colloquy::files {
namespace {

using namespace std::chrono_literals;

int one() { return 1; }

TEST(UserPool, NoUserHasAllThreads) {
  UserPool pool({.threads = 2});
  std::promise<void> open;
  const auto gate = open.get_future().share();
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&pool, gate] {
      run_task(pool.run(UserId("alice"), [gate] {
        gate.wait();
        return 0;
      }));
    });
  }
  // However many of alice's wait.
  for (int i = 0; i < 20; ++i) EXPECT_EQ(run_task(pool.run(UserId("bob"), one)), 1);
  open.set_value();
  for (auto& caller : callers) caller.join();
}

TEST(UserPool, WhatWaitsTooLongIsGivenUpAlsoWhereNoThreadIsFree) {
  UserPool pool({.threads = 1, .queue_limit = 10, .wait_most = 50ms});
  std::promise<void> open;
  std::promise<void> begun;
  const auto gate = open.get_future().share();
  std::thread caller([&pool, &begun, gate] {
    run_task(pool.run(UserId("alice"), [&begun, gate] {
      begun.set_value();
      gate.wait();
      return 0;
    }));
  });
  begun.get_future().wait();
  try {
    run_task(pool.run(UserId("bob"), one));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
  }
  open.set_value();
  caller.join();
  EXPECT_EQ(run_task(pool.run(UserId("bob"), one)), 1);
}

TEST(UserPool, RunsWhatWasPostedBeforeItEnds) {
  int runs = 0;
  std::mutex mutex;
  {
    UserPool pool({.threads = 3});
    for (int i = 0; i < 100; ++i) {
      pool.post([&runs, &mutex] {
        const std::scoped_lock lock(mutex);
        ++runs;
      });
    }
    pool.post([&pool] { pool.post([] {}); });
  }
  EXPECT_EQ(runs, 100);
}

}  // namespace
}  // namespace colloquy::files
