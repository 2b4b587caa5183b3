#include "chat/turns.h"

#include <algorithm>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "base/pause.h"
#include "base/text.h"
#include "chat/conversations.h"
#include "telemetry/log.h"

namespace colloquy::chat {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Why the model was asked to stop.
enum class Cut : std::uint8_t { kNone, kTooLong, kTimeout, kShutdown };

// One turn while it runs. All but `generation` belongs to the turn's event loop.
struct Turns::Running {
  explicit Running(boost::asio::any_io_executor on) : executor(std::move(on)), deadline(executor) {}

  void cut(Cut why) {
    if (reason != Cut::kNone) return;
    reason = why;
    cancellation.request();
  }

  boost::asio::any_io_executor executor;
  boost::asio::steady_timer deadline;
  std::shared_ptr<Generation> generation;
  llm::CompletionRequest request;
  llm::Cancellation cancellation;
  Cut reason = Cut::kNone;
  store::Message reply;
  std::size_t said_bytes = 0;
  std::int64_t lease_until_s = 0;
  steady_clock::time_point started_at = steady_clock::now();
};

struct Turns::Instruments {
  explicit Instruments(telemetry::Metrics& metrics)
      : running(metrics.gauge("colloquy_turns_running", "Answers that the model is making now.")),
        first_token(metrics.histogram("colloquy_turn_first_token_seconds",
                                      "From the start of a turn to the answer's first text.",
                                      telemetry::latency_buckets())),
        duration(metrics.histogram("colloquy_turn_seconds",
                                   "From the start of a turn to its saved answer.",
                                   telemetry::latency_buckets())),
        prompt_tokens(tokens(metrics, "prompt")),
        completion_tokens(tokens(metrics, "completion")),
        metrics_(metrics) {}

  void ended(store::FinishReason reason) {
    std::string outcome(store::finish_reason_name(reason));
    metrics_
        .counter("colloquy_turns_total", "Turns that have ended, by how.", {{"outcome", outcome}})
        .Increment();
  }

  telemetry::Gauge& running;
  telemetry::Histogram& first_token;
  telemetry::Histogram& duration;
  telemetry::Counter& prompt_tokens;
  telemetry::Counter& completion_tokens;

 private:
  static telemetry::Counter& tokens(telemetry::Metrics& metrics, const std::string& kind) {
    return metrics.counter("colloquy_tokens_total", "Tokens given to and made by the model.",
                           {{"kind", kind}});
  }
  telemetry::Metrics& metrics_;
};

// A place among the running turns. It is given back unless the turn runs.
class Turns::Place {
 public:
  explicit Place(Turns& turns) {
    auto running = turns.running_.load();
    while (turns_ == nullptr && running < turns.options_.max_turns) {
      if (turns.running_.compare_exchange_weak(running, running + 1)) turns_ = &turns;
    }
  }
  ~Place() { release(); }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  bool taken() const { return turns_ != nullptr; }
  void release() {
    if (turns_ != nullptr) std::exchange(turns_, nullptr)->release_place();
  }
  // From here on it is the running turn's.
  void keep() { turns_ = nullptr; }

 private:
  Turns* turns_ = nullptr;
};

namespace {

constexpr auto kSaveAttempts = 6;
constexpr auto kSaveWaitAfterDrain = milliseconds(10'000);
constexpr auto kJoinWait = milliseconds(30'000);
constexpr auto kLateSaveInterval = milliseconds(5'000);

bool is_passing(const Error& error) {
  return error.code() == ErrorCode::kUnavailable || error.code() == ErrorCode::kThrottled;
}

double seconds_since(steady_clock::time_point start) {
  return std::chrono::duration<double>(steady_clock::now() - start).count();
}

store::FinishReason to_finish_reason(llm::StopReason reason) {
  return reason == llm::StopReason::kLength ? store::FinishReason::kLength
                                            : store::FinishReason::kStop;
}

}  // namespace

Turns::Turns(store::Store& store, llm::Provider& provider, Clock& clock,
             telemetry::Metrics& metrics, ChatOptions options, OnUsage on_usage)
    : store_(store),
      provider_(provider),
      clock_(clock),
      options_(options),
      contexts_(store, provider, options),
      on_usage_(std::move(on_usage)),
      instruments_(std::make_unique<Instruments>(metrics)) {}

Turns::~Turns() = default;

void Turns::check(const TurnRequest& request) const {
  check_content("prompt", request.prompt, options_.max_content_bytes);
  check_metadata(request.metadata);
  check_client_message_id(request.client_message_id);
  check_model(provider_, request.model);
}

// What the model is given; `fresh` learns the conversation, or that it is to be made.
Task<std::vector<llm::ChatMessage>> Turns::context_for(UserId user, const TurnRequest& request,
                                                       store::NewTurn& fresh) {
  if (!request.conversation_id) {
    fresh.new_conversation.emplace();
    fresh.new_conversation->title = title_from_prompt(request.prompt);
    co_return to_chat_messages(contexts_.first(fresh.model, request.prompt));
  }
  auto prepared = co_await contexts_.prepare(std::move(user), *request.conversation_id, fresh.model,
                                             request.prompt);
  if (!prepared) throw not_found();
  fresh.seen = std::move(prepared->conversation);
  fresh.conversation_id = request.conversation_id;
  fresh.newest_seen = prepared->newest;
  co_return to_chat_messages(std::move(prepared->context));
}

Task<Turn> Turns::start(UserId user, TurnRequest request,
                        std::optional<store::IdempotencyKey> key) {
  check(request);
  auto executor = co_await boost::asio::this_coro::executor;
  auto turn = std::make_shared<Running>(executor);

  store::NewTurn fresh;
  fresh.model = request.model.empty() ? provider_.models().front() : request.model;
  std::optional<Error> refusal;
  try {
    turn->request.messages = co_await context_for(user, request, fresh);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kTooLarge || !key) throw;
    refusal = error;
  }
  if (refusal) {
    // It may have been begun when the context was larger.
    auto earlier = co_await join(user, request.conversation_id, *key);
    if (earlier) co_return std::move(*earlier);
    throw std::move(*refusal);
  }

  // Taken before the write: what is accepted is also run. A repeat needs no place of its own, but
  // cannot be told apart yet, and is asked for only where a new turn would be refused.
  Place place(*this);
  if (draining_ || !place.taken()) {
    place.release();
    if (key) {
      auto earlier = co_await join(user, request.conversation_id, *key);
      if (earlier) co_return std::move(*earlier);
    }
    throw unavailable(draining_ ? "The server is shutting down."
                                : "Too many answers are being made right now.");
  }

  fresh.prompt = {store::Role::kUser, request.prompt, request.metadata, request.client_message_id};
  fresh.lease_until_s = clock_.now_s() + options_.turn_timeout.count() / 1000 + 60;
  turn->lease_until_s = fresh.lease_until_s;
  std::string model = fresh.model;
  bool is_new_conversation = fresh.new_conversation.has_value();
  auto started = co_await store_.start_turn(user, std::move(fresh), std::move(key));
  if (started.replayed) {
    place.release();
    co_return co_await join_replayed(std::move(user), std::move(started));
  }

  if (is_new_conversation) {
    telemetry::log_info(
        "conversation.created",
        {{"user_id", user.value()}, {"conversation_id", started.conversation.id.to_string()}});
  }
  telemetry::log_info("message.added", {{"user_id", user.value()},
                                        {"conversation_id", started.conversation.id.to_string()},
                                        {"message_id", started.prompt.id.to_string()},
                                        {"role", store::role_name(started.prompt.role)}});

  turn->generation = std::make_shared<Generation>(user, started.conversation.id, started.reply.id);
  turn->reply = started.reply;
  turn->request.model = std::move(model);
  turn->request.sampling = std::move(request.sampling);
  if (!turn->request.sampling.max_tokens && options_.max_tokens_default > 0) {
    turn->request.sampling.max_tokens = static_cast<int>(options_.max_tokens_default);
  }
  turn->request.request_id = std::move(request.request_id);
  {
    std::scoped_lock lock(mutex_);
    turns_.emplace(started.reply.id, turn);
  }
  changed_.notify_all();
  place.keep();
  instruments_->running.Set(static_cast<double>(running_.load()));
  boost::asio::co_spawn(executor, run(turn), boost::asio::detached);
  co_return Turn{std::move(started.conversation), std::move(started.prompt),
                 std::move(started.reply), turn->generation, false};
}

std::shared_ptr<Generation> Turns::find(MessageId reply) const {
  std::scoped_lock lock(mutex_);
  auto found = turns_.find(reply);
  return found == turns_.end() ? nullptr : found->second->generation;
}

void Turns::release_place() {
  --running_;
  instruments_->running.Set(static_cast<double>(running_.load()));
  changed_.notify_all();
}

Task<std::optional<Turn>> Turns::join(UserId user, std::optional<ConversationId> id,
                                      store::IdempotencyKey key) {
  auto started = co_await store_.find_turn(user, id, std::move(key));
  if (!started) co_return std::nullopt;
  co_return co_await join_replayed(std::move(user), std::move(*started));
}

Task<Turn> Turns::join_replayed(UserId user, store::StartedTurn started) {
  Turn turn{std::move(started.conversation), std::move(started.prompt), std::move(started.reply),
            nullptr, true};
  auto give_up = steady_clock::now() + kJoinWait;
  // The first request may be between its commit and its registration: then wait for that.
  while (turn.reply.status == store::MessageStatus::kRunning && steady_clock::now() < give_up) {
    auto ticket = changed_.ticket();
    turn.generation = find(turn.reply.id);
    if (turn.generation) break;
    auto saved = co_await store_.get_message(user, turn.conversation.id, turn.reply.id);
    if (!saved) throw not_found();
    turn.reply = std::move(*saved);
    if (turn.reply.status != store::MessageStatus::kRunning) break;
    co_await changed_.wait(ticket, milliseconds(100));
  }
  if (turn.reply.status == store::MessageStatus::kRunning && !turn.generation) {
    throw unavailable("The answer is still being made elsewhere.");
  }
  co_return turn;
}

Task<llm::CompletionResult> Turns::ask_model(Running& turn) {
  llm::TextSink sink = [this, &turn](std::string_view text) {
    if (text.empty()) return;
    if (turn.said_bytes == 0) instruments_->first_token.Observe(seconds_since(turn.started_at));
    auto room = options_.max_content_bytes - turn.said_bytes;
    auto taken = cut_utf8(text, room).size();
    turn.said_bytes += taken;
    turn.generation->append(text.substr(0, taken));
    if (taken < text.size()) turn.cut(Cut::kTooLong);
  };
  co_return co_await provider_.complete(turn.request, sink, turn.cancellation);
}

// What the answer and its outcome are, now that the model has ended or was cut.
void Turns::settle(Running& turn, GenerationOutcome& outcome) const {
  auto& reply = turn.reply;
  reply.content = turn.generation->text();
  if (turn.reason == Cut::kTooLong) {
    outcome.error.reset();
    reply.status = store::MessageStatus::kComplete;
    reply.finish_reason = store::FinishReason::kLength;
  } else if (turn.reason != Cut::kNone) {
    bool shutdown = turn.reason == Cut::kShutdown;
    outcome.error = unavailable(shutdown ? "The server was shut down while it answered."
                                         : "The answer took too long.");
    reply.status = store::MessageStatus::kInterrupted;
    reply.finish_reason = store::FinishReason::kError;
  } else if (outcome.error) {
    reply.status = store::MessageStatus::kFailed;
    reply.finish_reason = store::FinishReason::kError;
  }
}

void Turns::report(const Running& turn, const GenerationOutcome& outcome) {
  const auto& reply = outcome.reply;
  if (outcome.error) {
    telemetry::log_warning("turn.failed",
                           {{"conversation_id", turn.generation->conversation().to_string()},
                            {"message_id", reply.id.to_string()},
                            {"request_id", turn.request.request_id},
                            {"code", error_code_name(outcome.error->code())},
                            {"error", outcome.error->message()},
                            {"detail", outcome.error->detail()}});
  }
  if (reply.usage) {
    instruments_->prompt_tokens.Increment(static_cast<double>(reply.usage->prompt_tokens));
    instruments_->completion_tokens.Increment(static_cast<double>(reply.usage->completion_tokens));
    if (on_usage_) {
      on_usage_(turn.generation->user(),
                reply.usage->prompt_tokens + reply.usage->completion_tokens);
    }
  }
  instruments_->ended(outcome.durable ? reply.finish_reason : store::FinishReason::kError);
  instruments_->duration.Observe(seconds_since(turn.started_at));
}

Task<> Turns::run(std::shared_ptr<Running> turn) {
  // A `detached` coroutine must not throw: everything ends in `outcome`.
  turn->deadline.expires_after(options_.turn_timeout);
  turn->deadline.async_wait([turn](boost::system::error_code stopped) {
    if (!stopped) turn->cut(Cut::kTimeout);
  });
  GenerationOutcome outcome;
  auto& reply = turn->reply;
  try {
    if (draining_) turn->cut(Cut::kShutdown);
    auto result = co_await ask_model(*turn);
    reply.status = store::MessageStatus::kComplete;
    reply.finish_reason = to_finish_reason(result.stop_reason);
    reply.usage = store::Usage{result.prompt_tokens, result.completion_tokens};
  } catch (const Error& error) {
    outcome.error = error;
  } catch (const std::exception& error) {
    outcome.error = internal_error(error.what());
  }
  turn->deadline.cancel();
  settle(*turn, outcome);
  if (auto failure = co_await save(*turn, reply)) {
    outcome.error = std::move(failure);
    outcome.durable = false;
  }
  outcome.reply = reply;
  report(*turn, outcome);
  bool try_again = !outcome.durable && is_passing(*outcome.error);
  turn->generation->end(std::move(outcome));
  // Whoever waited has been told; what was said is still worth saving.
  if (try_again) co_await save_late(*turn, reply);
  {
    std::scoped_lock lock(mutex_);
    turns_.erase(reply.id);
  }
  release_place();
}

// Makes the answer durable, and gives it the time that the store saved it with; what stands in the
// way, if it cannot be.
Task<std::optional<Error>> Turns::save(const Running& turn, store::Message& reply) {
  auto wait = milliseconds(50);
  std::optional<Error> failure;
  for (int attempt = 0; attempt < kSaveAttempts; ++attempt) {
    if (attempt > 0) {
      co_await pause(wait);
      wait *= 3;
    }
    failure.reset();
    try {
      auto finished = co_await store_.finish_turn(turn.generation->user(),
                                                  turn.generation->conversation(), reply);
      reply.timestamp_s = finished.reply.timestamp_s;
      telemetry::log_info("message.added",
                          {{"user_id", turn.generation->user().value()},
                           {"conversation_id", turn.generation->conversation().to_string()},
                           {"message_id", reply.id.to_string()},
                           {"role", store::role_name(reply.role)}});
      co_return std::nullopt;
    } catch (const Error& error) {
      failure = error;
    } catch (const std::exception& error) {
      failure = internal_error(error.what());
    }
    if (!is_passing(*failure)) break;
  }
  co_return failure;
}

// Goes on until it is saved or its lease is up, and with it the claim that it is running. Its place
// among the running turns stays taken, so that what waits in memory is bounded.
Task<> Turns::save_late(const Running& turn, store::Message& reply) {
  while (!draining_ && clock_.now_s() < turn.lease_until_s) {
    co_await changed_.wait(changed_.ticket(), kLateSaveInterval);
    auto failure = co_await save(turn, reply);
    if (!failure || !is_passing(*failure)) co_return;
  }
}

Task<> Turns::wait_until_idle(milliseconds at_most) {
  auto give_up = steady_clock::now() + at_most;
  while (running_ > 0) {
    auto ticket = changed_.ticket();
    if (running_ == 0) break;
    auto left = std::chrono::duration_cast<milliseconds>(give_up - steady_clock::now());
    if (left.count() <= 0) break;
    co_await changed_.wait(ticket, left);
  }
}

Task<> Turns::drain(milliseconds at_most) {
  draining_ = true;
  changed_.notify_all();
  co_await wait_until_idle(at_most);
  std::vector<std::shared_ptr<Running>> left;
  {
    std::scoped_lock lock(mutex_);
    for (const auto& [id, turn] : turns_) left.push_back(turn);
  }
  for (const auto& turn : left) {
    boost::asio::post(turn->executor, [turn] { turn->cut(Cut::kShutdown); });
  }
  co_await wait_until_idle(kSaveWaitAfterDrain);
}

}  // namespace colloquy::chat
