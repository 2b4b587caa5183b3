#include "llm/llama/engine.h"

#include <ggml-backend.h>
#include <ggml-cpu.h>
#include <llama.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <string>
#include <utility>

#include "llm/llama/library.h"
#include "llm/llama/prompt.h"
#include "telemetry/log.h"

namespace colloquy::llm {
namespace {

constexpr std::size_t kContextTokensDefault = 4096;
// How many tokens are computed together: alone, and while others wait for their next token.
constexpr std::size_t kBatchTokens = 512;
constexpr std::size_t kPromptTokensBesideAnswers = 128;
constexpr int kRetryAfterS = 5;

int threads_of(int wanted) {
  if (wanted > 0) return wanted;
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()) - 1);
}

std::size_t context_tokens_of(const ModelFile& model, std::size_t wanted) {
  const auto trained = static_cast<std::size_t>(std::max(1, model.trained_tokens()));
  if (wanted == 0) return std::min(trained, kContextTokensDefault);
  if (wanted > trained) {
    throw Error(ErrorCode::kInvalid, "The model was made for contexts of " +
                                         std::to_string(trained) + " tokens, not of " +
                                         std::to_string(wanted) + ".");
  }
  return wanted;
}

Error no_model(std::string detail) {
  return unavailable("The language model cannot answer right now.", std::move(detail))
      .with_retry_after(kRetryAfterS);
}

}  // namespace

struct Engine::Instruments {
  explicit Instruments(telemetry::Metrics& metrics)
      : queue(metrics.gauge("colloquy_llama_queue_length",
                            "Answers that wait for a slot of the model in the process.")),
        slots_busy(metrics.gauge("colloquy_llama_slots_busy",
                                 "Answers that the model in the process is making now.")),
        evaluated(tokens(metrics, "evaluated")),
        reused(tokens(metrics, "reused")) {}

  static telemetry::Counter& tokens(telemetry::Metrics& metrics, const std::string& how) {
    return metrics.counter("colloquy_llama_prompt_tokens_total",
                           "Tokens of prompts, read by the model or remembered by it.",
                           {{"how", how}});
  }

  telemetry::Gauge& queue;
  telemetry::Gauge& slots_busy;
  telemetry::Counter& evaluated;
  telemetry::Counter& reused;
};

// A batch of tokens of several sequences, each with its position.
struct Engine::Batch {
  Batch() : tokens(llama_batch_init(kBatchTokens, 0, 1)) {}
  ~Batch() { llama_batch_free(tokens); }
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  std::size_t size() const { return static_cast<std::size_t>(tokens.n_tokens); }
  // Returns its place in the batch.
  std::int32_t add(Token token, std::size_t position, std::int32_t sequence, bool output) {
    const auto i = tokens.n_tokens++;
    tokens.token[i] = token;
    tokens.pos[i] = static_cast<std::int32_t>(position);
    tokens.n_seq_id[i] = 1;
    tokens.seq_id[i][0] = sequence;
    tokens.logits[i] = output ? 1 : 0;
    return i;
  }

  llama_batch tokens;
};

// Threads that sleep between two batches instead of spinning; none for one thread.
struct Engine::Threads {
  explicit Threads(int count) {
    if (count < 2) return;
    auto* device = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    auto* registry = ggml_backend_dev_backend_reg(device);
    auto make = reinterpret_cast<decltype(&ggml_threadpool_new)>(
        ggml_backend_reg_get_proc_address(registry, "ggml_threadpool_new"));
    free_ = reinterpret_cast<decltype(&ggml_threadpool_free)>(
        ggml_backend_reg_get_proc_address(registry, "ggml_threadpool_free"));
    if (make == nullptr || free_ == nullptr) return;
    auto parameters = ggml_threadpool_params_default(count);
    parameters.poll = 0;
    pool = make(&parameters);
  }
  ~Threads() {
    if (pool != nullptr) free_(pool);
  }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

  ggml_threadpool* pool = nullptr;

 private:
  decltype(&ggml_threadpool_free) free_ = nullptr;
};

void Engine::FreeContext::operator()(llama_context* context) const { llama_free(context); }

Engine::Engine(const ModelFile& model, EngineOptions options, telemetry::Metrics& metrics)
    : model_(model), options_(options), instruments_(std::make_unique<Instruments>(metrics)) {
  options_.context_tokens = context_tokens_of(model, options.context_tokens);
  options_.slots = std::clamp<std::size_t>(options.slots, 1, llama_max_parallel_sequences());
  const auto slots = static_cast<std::uint32_t>(options_.slots);
  auto parameters = llama_context_default_params();
  parameters.n_seq_max = slots;
  parameters.n_ctx = static_cast<std::uint32_t>(options_.context_tokens) * slots;
  parameters.n_batch = kBatchTokens;
  parameters.n_ubatch = kBatchTokens;
  parameters.n_outputs_max = slots;
  parameters.n_threads = threads_of(options.threads);
  parameters.n_threads_batch = parameters.n_threads;
  parameters.kv_unified = false;  // each conversation has its own share, whatever others do
  parameters.swa_full = true;     // else nothing could be remembered past the window
  parameters.abort_callback = [](void* ending) {
    return static_cast<std::atomic<bool>*>(ending)->load();
  };
  parameters.abort_callback_data = &ending_;
  const LlamaComplaints complaints;
  context_.reset(llama_init_from_model(model.get(), parameters));
  if (!context_) {
    throw Error(ErrorCode::kInvalid, "There is no memory for " + std::to_string(slots) +
                                         " contexts of " + std::to_string(options_.context_tokens) +
                                         " tokens: " + complaints.first());
  }
  if (llama_pooling_type(context_.get()) > LLAMA_POOLING_TYPE_NONE ||
      llama_get_memory(context_.get()) == nullptr) {
    throw Error(ErrorCode::kInvalid, "The model makes embeddings, not text.");
  }
  pool_ = std::make_unique<Threads>(parameters.n_threads);
  if (pool_->pool != nullptr) llama_attach_threadpool(context_.get(), pool_->pool, pool_->pool);
  batch_ = std::make_unique<Batch>();
  slots_.emplace(context_.get(), options_.slots);
  thread_ = std::thread([this] { run(); });
}

void Engine::stop() {
  {
    std::scoped_lock lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

Engine::~Engine() {
  stop();
  context_.reset();  // before the threads that compute for it
}

void Engine::submit(std::shared_ptr<CompletionJob> job) {
  {
    std::scoped_lock lock(mutex_);
    if (ending_) throw unavailable("The server is shutting down.");
    if (waiting_.size() >= options_.queue) forget_ended_waiters();
    if (waiting_.size() >= options_.queue) {
      throw unavailable("Too many answers wait for the language model.")
          .with_retry_after(kRetryAfterS);
    }
    waiting_.push_back(std::move(job));
    instruments_->queue.Set(static_cast<double>(waiting_.size()));
  }
  changed_.notify_all();
}

void Engine::notice() {
  {
    std::scoped_lock lock(mutex_);
    noticed_ = true;
  }
  changed_.notify_all();
}

void Engine::forget_ended_waiters() {
  std::erase_if(waiting_, [](const auto& job) { return job->ended(); });
  instruments_->queue.Set(static_cast<double>(waiting_.size()));
}

void Engine::run() {
  while (wait_for_work()) {
    try {
      drop_ended();
      admit();
      step();
    } catch (const std::exception& error) {
      fail_all(no_model(error.what()));
    }
    show();
  }
  fail_all(unavailable("The server is shutting down."));
  while (auto job = next_waiting()) job->fail(unavailable("The server is shutting down."));
}

bool Engine::wait_for_work() {
  std::unique_lock lock(mutex_);
  if (noticed_) forget_ended_waiters();
  changed_.wait(lock,
                [this] { return ending_ || noticed_ || slots_->busy() > 0 || !waiting_.empty(); });
  noticed_ = false;
  return !ending_;
}

std::shared_ptr<CompletionJob> Engine::next_waiting() {
  std::scoped_lock lock(mutex_);
  if (waiting_.empty()) return nullptr;
  auto job = std::move(waiting_.front());
  waiting_.pop_front();
  instruments_->queue.Set(static_cast<double>(waiting_.size()));
  return job;
}

void Engine::admit() {
  while (slots_->any_idle()) {
    auto job = next_waiting();
    if (!job) return;
    if (job->ended()) continue;
    try {
      admit(job);
    } catch (const Error& error) {
      job->fail(error);
    } catch (const std::exception& error) {
      job->fail(no_model(error.what()));
    }
  }
}

void Engine::admit(std::shared_ptr<CompletionJob> job) {
  const auto& request = job->request();
  auto prompt = prompt_tokens(model_, request.messages, options_.context_tokens);
  // At least one token of the answer has to find room.
  if (prompt.size() >= options_.context_tokens) throw too_long(options_.context_tokens);
  if (prompt.empty()) throw invalid_field("prompt", "is nothing that the model could read");
  job->set_prompt_tokens(prompt.size());
  const auto made_max = request.sampling.max_tokens
                            ? static_cast<std::size_t>(std::max(1, *request.sampling.max_tokens))
                            : options_.context_tokens;
  auto sampler = make_sampler(model_, request.sampling);
  const auto reused =
      slots_->place(std::move(job), std::move(prompt), std::move(sampler), made_max);
  instruments_->reused.Increment(static_cast<double>(reused));
}

void Engine::drop_ended() {
  for (auto& slot : slots_->all()) {
    if (slot.job && slot.job->ended()) Slots::release(slot);
  }
}

void Engine::show() { instruments_->slots_busy.Set(static_cast<double>(slots_->busy())); }

void Engine::step() {
  show();
  fill(*batch_);
  if (batch_->size() == 0) return;
  if (!decode(*batch_)) return;
  for (auto& slot : slots_->all()) {
    if (slot.output < 0) continue;
    sample(slot);
    if (slot.job->ended()) Slots::release(slot);
  }
}

// The next token of each answer, then prompts as far as there is room, in turn.
void Engine::fill(Batch& batch) {
  batch.tokens.n_tokens = 0;
  auto& slots = slots_->all();
  for (auto& slot : slots) {
    slot.output = -1;
    if (!slot.making()) continue;
    slot.output = batch.add(*slot.next, slot.tokens.size(), slot.id, true);
    slot.tokens.push_back(*slot.next);
    slot.next.reset();
  }
  auto room = kBatchTokens - batch.size();
  if (batch.size() > 0) room = std::min(room, kPromptTokensBesideAnswers);
  for (std::size_t i = 0; i < slots.size() && room > 0; ++i) {
    auto& slot = slots[(first_reader_ + i) % slots.size()];
    if (!slot.reading()) continue;
    const auto count = std::min(room, slot.prompt.size() - slot.tokens.size());
    for (std::size_t j = 0; j < count; ++j) {
      const auto position = slot.tokens.size();
      const bool last = position + 1 == slot.prompt.size();
      const auto place = batch.add(slot.prompt[position], position, slot.id, last);
      if (last) slot.output = place;
      slot.tokens.push_back(slot.prompt[position]);
    }
    instruments_->evaluated.Increment(static_cast<double>(count));
    room -= count;
    if (room == 0) first_reader_ = (first_reader_ + i) % slots.size();
  }
}

// False: nothing came of it, and everybody has been told.
bool Engine::decode(Batch& batch) {
  const auto status = llama_decode(context_.get(), batch.tokens);
  if (status == 0) return true;
  if (!ending_) fail_all(no_model("llama_decode: " + std::to_string(status)));
  return false;
}

void Engine::sample(Slot& slot) {
  auto& job = *slot.job;
  const auto* logits = llama_get_logits_ith(context_.get(), slot.output);
  if (logits == nullptr || std::isnan(logits[0])) {
    job.fail(no_model("the model's file has made no numbers"));
    return;
  }
  const Token token = llama_sampler_sample(slot.sampler.get(), context_.get(), slot.output);
  ++slot.made;
  if (model_.ends_answer(token)) {
    job.finish();
    return;
  }
  if (!job.say(model_.piece(token))) return;
  if (slot.made >= slot.made_max || slot.tokens.size() >= options_.context_tokens) {
    job.reach_limit();
    return;
  }
  slot.next = token;
}

void Engine::fail_all(const Error& error) {
  for (auto& slot : slots_->all()) {
    if (!slot.job) continue;
    slot.job->fail(error);
    Slots::release(slot);
  }
  // What the memory holds after a failure is not known.
  slots_->forget();
}

}  // namespace colloquy::llm
