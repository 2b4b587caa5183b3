#include "base/thread_pool.h"

#include <algorithm>

#include "base/error.h"

namespace colloquy {

ThreadPool::ThreadPool(std::size_t threads, std::size_t queue_limit, std::string full_message)
    : queue_limit_(queue_limit), full_message_(std::move(full_message)) {
  threads = std::max<std::size_t>(threads, 1);
  threads_.reserve(threads);
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

ThreadPool::~ThreadPool() {
  {
    std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void ThreadPool::submit(std::function<void()> job) {
  {
    std::scoped_lock lock(mutex_);
    if (queue_.size() >= queue_limit_) throw unavailable(full_message_);
    queue_.push_back(std::move(job));
  }
  wake_.notify_one();
}

void ThreadPool::post(std::function<void()> job) {
  {
    std::scoped_lock lock(mutex_);
    queue_.push_back(std::move(job));
  }
  wake_.notify_one();
}

void ThreadPool::work() {
  for (;;) {
    std::function<void()> job;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      job = std::move(queue_.front());
      queue_.pop_front();
    }
    job();
  }
}

}  // namespace colloquy
