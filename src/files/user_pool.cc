#include "files/user_pool.h"

#include <algorithm>

#include "base/error.h"

namespace colloquy::files {
namespace {

constexpr std::chrono::milliseconds kLookAgain{250};

// Jobs that are nobody's stand in a line of their own.
const std::string kNobody;
std::string line_of(const UserId& user) { return "user " + user.value(); }

Error too_many() { return unavailable("There are too many files being read and written."); }

}  // namespace

UserPool::UserPool(UserPoolOptions options)
    : options_(options), most_of_one_(std::max<std::size_t>((options.threads + 1) / 2, 1)) {
  const auto count = std::max<std::size_t>(options_.threads, 1);
  threads_.reserve(count + 1);
  for (std::size_t i = 0; i < count; ++i) threads_.emplace_back([this] { work(); });
  threads_.emplace_back([this] { watch(); });
}

UserPool::~UserPool() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  wake_watch_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void UserPool::submit(const UserId& user, Job job) {
  job.deadline = Clock::now() + options_.wait_most;
  const std::scoped_lock lock(mutex_);
  if (waiting_ >= options_.queue_limit) throw too_many();
  enqueue(line_of(user), std::move(job));
}

void UserPool::post(std::function<void()> job) {
  Job posted;
  posted.run = std::move(job);
  const std::scoped_lock lock(mutex_);
  enqueue(kNobody, std::move(posted));
}

void UserPool::enqueue(const std::string& line, Job job) {
  auto& jobs = lines_[line].jobs;
  if (jobs.empty()) turns_.push_back(line);
  jobs.push_back(std::move(job));
  if (waiting_++ == 0) wake_watch_.notify_one();
  wake_.notify_one();
}

// The next job of the first in turn who has not all that one may have.
bool UserPool::take(std::string& line, Job& job) {
  for (auto turn = turns_.begin(); turn != turns_.end(); ++turn) {
    Line& found = lines_[*turn];
    if (found.running >= most_of_one_) continue;
    line = std::move(*turn);
    turns_.erase(turn);
    job = std::move(found.jobs.front());
    found.jobs.pop_front();
    --waiting_;
    ++found.running;
    if (!found.jobs.empty()) turns_.push_back(line);
    return true;
  }
  return false;
}

void UserPool::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    std::string line;
    Job job;
    if (!take(line, job)) {
      if (stopping_ && waiting_ == 0) return;
      wake_.wait(lock);
      continue;
    }
    lock.unlock();
    job.run();
    job = Job();  // what it held may block to be let go
    lock.lock();
    const auto done = lines_.find(line);
    if (--done->second.running == 0 && done->second.jobs.empty()) lines_.erase(done);
    if (stopping_) wake_.notify_all();
  }
}

std::vector<UserPool::Job> UserPool::take_late() {
  std::vector<Job> late;
  const auto now = Clock::now();
  std::deque<std::string> turns;
  for (auto& line : turns_) {
    const auto found = lines_.find(line);
    auto& jobs = found->second.jobs;
    while (!jobs.empty() && jobs.front().deadline <= now) {
      late.push_back(std::move(jobs.front()));
      jobs.pop_front();
      --waiting_;
    }
    if (!jobs.empty()) {
      turns.push_back(std::move(line));
    } else if (found->second.running == 0) {
      lines_.erase(found);
    }
  }
  turns_ = std::move(turns);
  return late;
}

void UserPool::watch() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (waiting_ == 0) {
      wake_watch_.wait(lock);
      continue;
    }
    wake_watch_.wait_for(lock, kLookAgain);
    auto late = take_late();
    if (late.empty()) continue;
    lock.unlock();
    for (auto& job : late) job.give_up(std::make_exception_ptr(too_many()));
    late.clear();
    lock.lock();
    wake_.notify_all();
  }
}

}  // namespace colloquy::files
