// Threads for calls that block on the users' files. No user can have them all: each has at most
// half of them at once, and users whose calls wait take turns. What has waited too long is given
// up before it is begun, also where every thread hangs in a file system that does not answer.
//
// Thread-safe. `run` may be awaited on any event loop; it resumes there.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/complete_with.h"
#include "base/completion.h"
#include "base/ids.h"
#include "base/task.h"

namespace colloquy::files {

struct UserPoolOptions {
  std::size_t threads = 4;
  std::size_t queue_limit = 4096;
  std::chrono::milliseconds wait_most{20'000};
};

class UserPool {
 public:
  explicit UserPool(UserPoolOptions options);
  // Runs what is queued, then ends the threads. Not on a thread of the pool.
  ~UserPool();
  UserPool(const UserPool&) = delete;
  UserPool& operator=(const UserPool&) = delete;

  // What `function` returns or throws, run on a thread of the pool. kUnavailable past the bound of
  // what may wait, or of how long. The coroutine may be gone before the function runs: it holds
  // what it uses.
  template <class Function>
  Task<std::invoke_result_t<Function&>> run(UserId user, Function function) {
    using Result = std::invoke_result_t<Function&>;
    auto completion = std::make_shared<Completion<Result>>();
    Job job;
    job.run = [completion, function = std::move(function)]() mutable {
      complete_with(*completion, function);
    };
    job.give_up = [completion](std::exception_ptr error) {
      completion->set_error_now(std::move(error));
    };
    submit(user, std::move(job));
    co_return co_await completion->wait();
  }

  // Runs it, bound or not, and does not say when. It throws nothing.
  void post(std::function<void()> job);

 private:
  using Clock = std::chrono::steady_clock;
  struct Job {
    std::function<void()> run;
    std::function<void(std::exception_ptr)> give_up;
    Clock::time_point deadline = Clock::time_point::max();
  };
  struct Line {
    std::deque<Job> jobs;
    std::size_t running = 0;
  };

  void submit(const UserId& user, Job job);
  void enqueue(const std::string& line, Job job);  // with mutex_
  bool take(std::string& line, Job& job);          // with mutex_
  std::vector<Job> take_late();                    // with mutex_
  void work();
  void watch();

  const UserPoolOptions options_;
  const std::size_t most_of_one_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable wake_watch_;
  // Guarded by mutex_:
  std::unordered_map<std::string, Line> lines_;  // with jobs that wait or run
  std::deque<std::string> turns_;                // the lines in which jobs wait
  std::size_t waiting_ = 0;
  bool stopping_ = false;

  std::vector<std::thread> threads_;
};

}  // namespace colloquy::files
