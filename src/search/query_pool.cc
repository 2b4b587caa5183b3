#include "search/query_pool.h"

#include "base/error.h"

namespace colloquy::search {

void check_deadline(Deadline deadline) {
  if (std::chrono::steady_clock::now() < deadline) return;
  throw unavailable("The search took too long.", "past its deadline").with_retry_after(1);
}

QueryPool::QueryPool(std::size_t threads, std::size_t queue_limit) : queue_limit_(queue_limit) {
  for (std::size_t i = 0; i < threads; ++i) {
    threads_.emplace_back([this, i] { work(i); });
  }
}

QueryPool::~QueryPool() {
  {
    std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void QueryPool::submit(Job job) {
  {
    std::scoped_lock lock(mutex_);
    if (queue_.size() >= queue_limit_) {
      throw unavailable("Too many searches wait.", "the queue of searches is full")
          .with_retry_after(1);
    }
    queue_.push_back(std::move(job));
  }
  wake_.notify_one();
}

void QueryPool::work(std::size_t worker) {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    auto job = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    job(worker);
    job = nullptr;
    lock.lock();
  }
}

}  // namespace colloquy::search
