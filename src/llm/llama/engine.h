// The thread on which a model in the process answers, several conversations in one batch.
//
// submit() is thread-safe. One thread of its own does all else: it reads prompts in pieces between
// the tokens of the answers that are being made, so that none of them waits for long.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "llm/llama/completion_job.h"
#include "llm/llama/model_file.h"
#include "llm/llama/slots.h"
#include "telemetry/metrics.h"

struct llama_context;
struct llama_batch;

namespace colloquy::llm {

struct EngineOptions {
  std::size_t slots = 4;  // answers made at once
  std::size_t context_tokens =
      0;                   // of one conversation with its answer; 0: the model's, 4096 at most
  std::size_t queue = 64;  // completions that may wait for a slot
  int threads = 0;         // 0: all processors but one
};

class Engine {
 public:
  // `model` outlives it. Throws Error(kInvalid) when the model has no such context or there is no
  // memory for it.
  Engine(const ModelFile& model, EngineOptions options, telemetry::Metrics& metrics);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Throws kUnavailable when too many wait.
  void submit(std::shared_ptr<CompletionJob> job);
  // A job was ended from outside.
  void notice();
  // What still runs or waits fails with kUnavailable, and so does what comes later. From one
  // thread.
  void stop();

  std::size_t context_tokens() const { return options_.context_tokens; }

 private:
  struct FreeContext {
    void operator()(llama_context* context) const;
  };
  struct Batch;
  struct Threads;
  struct Instruments;

  void run();
  // Waits until there is something to do; false: it is to end.
  bool wait_for_work();
  std::shared_ptr<CompletionJob> next_waiting();
  void admit();
  void admit(std::shared_ptr<CompletionJob> job);
  void drop_ended();
  void step();
  void fill(Batch& batch);
  bool decode(Batch& batch);
  void sample(Slot& slot);
  void fail_all(const Error& error);
  void forget_ended_waiters();  // under mutex_
  void show();

  const ModelFile& model_;
  EngineOptions options_;
  std::unique_ptr<Instruments> instruments_;
  std::unique_ptr<Threads> pool_;
  std::unique_ptr<llama_context, FreeContext> context_;
  std::unique_ptr<Batch> batch_;
  std::optional<Slots> slots_;    // the thread's
  std::size_t first_reader_ = 0;  // the thread's: whose prompt is read first

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<CompletionJob>> waiting_;  // guarded by mutex_
  bool noticed_ = false;                                // guarded by mutex_
  std::atomic<bool> ending_ = false;
  std::thread thread_;
};

}  // namespace colloquy::llm
