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

// A place among the running turns. It is given back unless the turn runs.
class Turns::Room {
 public:
  explicit Room(Turns& turns) {
    auto running = turns.running_.load();
    while (turns_ == nullptr && running < turns.options_.max_turns) {
      if (turns.running_.compare_exchange_weak(running, running + 1)) turns_ = &turns;
    }
  }
  ~Room() { release(); }
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;

  bool taken() const { return turns_ != nullptr; }
  void release() {
    if (turns_ != nullptr) std::exchange(turns_, nullptr)->release_room();
  }
  // From here on it is the running turn's.
  void keep() { turns_ = nullptr; }

 private:
  Turns* turns_ = nullptr;
};

namespace {

constexpr auto kSaveWaitAfterDrain = milliseconds(10'000);
constexpr auto kLateSaveInterval = milliseconds(5'000);

// What was begun when the context was larger, or the messages that it names were there.
bool may_be_of_a_repeat(const Error& error, const TurnRequest& request) {
  if (error.code() == ErrorCode::kTooLarge) return true;
  bool names_messages = request.regenerated || !request.place.empty();
  return names_messages &&
         (error.code() == ErrorCode::kInvalid || error.code() == ErrorCode::kNotFound);
}

store::FinishReason to_finish_reason(llm::StopReason reason) {
  return reason == llm::StopReason::kLength ? store::FinishReason::kLength
                                            : store::FinishReason::kStop;
}

}  // namespace

Turns::Turns(store::Store& store, llm::Provider& provider, Clock& clock,
             telemetry::Metrics& metrics, ChatOptions options, OnUsage on_usage, Peers* peers)
    : store_(store),
      provider_(provider),
      clock_(clock),
      options_(options),
      contexts_(store, provider, options),
      on_usage_(std::move(on_usage)),
      saver_(store, options.partial_save_interval),
      remote_(store, peers, options.max_turns),
      instruments_(metrics) {}

Turns::~Turns() = default;

void Turns::check(const TurnRequest& request) const {
  if (!request.regenerated) {
    check_content("prompt", request.prompt, options_.max_content_bytes);
  }
  check_metadata(request.metadata);
  check_client_message_id(request.client_message_id);
  check_model(provider_, request.model);
}

// What the model is given; `fresh` learns what is answered, in which conversation and where, or
// that it is to be made.
Task<std::vector<llm::ChatMessage>> Turns::context_for(UserId user, const TurnRequest& request,
                                                       store::NewTurn& fresh) {
  if (!request.conversation_id) {
    fresh.new_conversation.emplace();
    fresh.new_conversation->title = title_from_prompt(request.prompt);
    fresh.new_conversation->temporary = request.temporary;
    if (request.temporary) {
      fresh.new_conversation->ttl_seconds = options_.temporary_ttl_seconds;
    }
    co_return to_chat_messages(contexts_.first(fresh.model, request.prompt));
  }
  const auto id = *request.conversation_id;
  auto prompt = request.prompt;
  std::optional<store::TreePlace> place;
  if (request.regenerated) {
    fresh.answered = co_await find_prompt(store_, user, id, *request.regenerated);
    prompt = fresh.answered->content;
    place = place_before(*fresh.answered);
  } else {
    place = co_await find_place(store_, user, id, request.place);
    fresh.prompt.place = place;
  }
  auto prepared =
      co_await contexts_.prepare(std::move(user), id, fresh.model, std::move(prompt), place);
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
  auto turn = std::make_shared<RunningTurn>(executor);

  store::NewTurn fresh;
  fresh.model = request.model.empty() ? provider_.models().front() : request.model;
  std::optional<Error> refusal;
  try {
    turn->request.messages = co_await context_for(user, request, fresh);
  } catch (const Error& error) {
    if (!key || !may_be_of_a_repeat(error, request)) throw;
    refusal = error;
  }
  if (refusal) {
    auto earlier = co_await join(user, request.conversation_id, *key, request.trace);
    if (earlier) co_return std::move(*earlier);
    throw std::move(*refusal);
  }

  // Taken before the write: what is accepted is also run. A repeat needs no place of its own, but
  // cannot be told apart yet, and is asked for only where a new turn would be refused.
  Room room(*this);
  if (draining_ || !room.taken()) {
    room.release();
    if (key) {
      auto earlier = co_await join(user, request.conversation_id, *key, request.trace);
      if (earlier) co_return std::move(*earlier);
    }
    throw unavailable(draining_ ? "The server is shutting down."
                                : "Too many answers are being made right now.");
  }

  if (!fresh.answered) {
    fresh.prompt.content = request.prompt;
    fresh.prompt.metadata = request.metadata;
    fresh.prompt.client_message_id = request.client_message_id;
    fresh.prompt.attachments = std::move(request.attachments);
  }
  fresh.lease_until_s = clock_.now_s() + options_.turn_timeout.count() / 1000 + 60;
  turn->lease_until_s = fresh.lease_until_s;
  turn->request.model = fresh.model;
  turn->request.sampling = std::move(request.sampling);
  turn->request.request_id = std::move(request.request_id);
  turn->request.trace = child_span(request.trace);
  bool is_new_conversation = fresh.new_conversation.has_value();
  bool is_new_prompt = !fresh.answered;
  auto started = co_await store_.start_turn(user, std::move(fresh), std::move(key));
  if (started.replayed) {
    room.release();
    co_return co_await join_replayed(std::move(user), std::move(started), std::move(request.trace));
  }

  if (is_new_conversation) {
    telemetry::log_info("conversation.created",
                        {{"user_id", user.value()},
                         {"conversation_id", started.conversation.id.to_string()},
                         {"trace_id", turn->request.trace.trace_id},
                         {"span_id", turn->request.trace.span_id}});
  }
  if (is_new_prompt) {
    telemetry::log_info("message.added", {{"user_id", user.value()},
                                          {"conversation_id", started.conversation.id.to_string()},
                                          {"message_id", started.prompt.id.to_string()},
                                          {"role", store::role_name(started.prompt.role)},
                                          {"trace_id", turn->request.trace.trace_id},
                                          {"span_id", turn->request.trace.span_id}});
  }
  auto joined = run_started(std::move(user), std::move(started), std::move(turn));
  room.keep();
  co_return joined;
}

// From here on the turn runs, whoever listens.
Turn Turns::run_started(UserId user, store::StartedTurn started,
                        std::shared_ptr<RunningTurn> turn) {
  turn->generation =
      std::make_shared<Generation>(std::move(user), started.conversation.id, started.reply.id);
  turn->reply = started.reply;
  if (!turn->request.sampling.max_tokens && options_.max_tokens_default > 0) {
    turn->request.sampling.max_tokens = static_cast<int>(options_.max_tokens_default);
  }
  {
    std::scoped_lock lock(mutex_);
    turns_.emplace(started.reply.id, turn);
  }
  changed_.notify_all();
  instruments_.running.Set(static_cast<double>(running_.load()));
  boost::asio::co_spawn(turn->executor, run(turn), boost::asio::detached);
  return Turn{std::move(started.conversation), std::move(started.prompt), std::move(started.reply),
              turn->generation, false};
}

void Turns::release_room() {
  --running_;
  instruments_.running.Set(static_cast<double>(running_.load()));
  changed_.notify_all();
}

Task<llm::CompletionResult> Turns::ask_model(RunningTurn& turn) {
  llm::TextSink sink = [this, &turn](std::string_view text) {
    if (text.empty() || turn.reason != Cut::kNone) return;
    if (turn.said_bytes == 0) instruments_.first_token.Observe(turn.seconds());
    auto room = options_.max_content_bytes - turn.said_bytes;
    auto taken = cut_utf8(text, room).size();
    turn.said_bytes += taken;
    turn.generation->append(text.substr(0, taken));
    if (taken < text.size()) turn.cut(Cut::kTooLong);
  };
  co_return co_await provider_.complete(turn.request, sink, turn.cancellation);
}

// What the answer and its outcome are, now that the model has ended or was cut.
void Turns::settle(RunningTurn& turn, GenerationOutcome& outcome) const {
  auto& reply = turn.reply;
  reply.content = turn.generation->text();
  if (turn.reason == Cut::kTooLong) {
    outcome.error.reset();
    reply.status = store::MessageStatus::kComplete;
    reply.finish_reason = store::FinishReason::kLength;
  } else if (turn.reason == Cut::kCancelled) {
    outcome.error.reset();
    reply.status = store::MessageStatus::kCancelled;
    reply.finish_reason = store::FinishReason::kCancelled;
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

void Turns::report(const RunningTurn& turn, const GenerationOutcome& outcome) {
  const auto& reply = outcome.reply;
  if (outcome.error) {
    telemetry::log_warning("turn.failed",
                           {{"conversation_id", turn.generation->conversation().to_string()},
                            {"message_id", reply.id.to_string()},
                            {"request_id", turn.request.request_id},
                            {"trace_id", turn.request.trace.trace_id},
                            {"span_id", turn.request.trace.span_id},
                            {"code", error_code_name(outcome.error->code())},
                            {"error", outcome.error->message()},
                            {"detail", outcome.error->detail()}});
  }
  if (reply.usage) {
    instruments_.prompt_tokens.Increment(static_cast<double>(reply.usage->prompt_tokens));
    instruments_.completion_tokens.Increment(static_cast<double>(reply.usage->completion_tokens));
    if (on_usage_) {
      on_usage_(turn.generation->user(),
                reply.usage->prompt_tokens + reply.usage->completion_tokens);
    }
  }
  instruments_.ended(outcome.durable ? reply.finish_reason : store::FinishReason::kError);
  instruments_.duration.Observe(turn.seconds());
}

Task<> Turns::run(std::shared_ptr<RunningTurn> turn) {
  // A `detached` coroutine must not throw: everything ends in `outcome`.
  turn->deadline.expires_after(options_.turn_timeout);
  turn->deadline.async_wait([turn](boost::system::error_code stopped) {
    if (!stopped) turn->cut(Cut::kTimeout);
  });
  saver_.begin(turn);
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
  co_await TurnSaver::end(*turn);
  settle(*turn, outcome);
  if (auto failure = co_await saver_.save(*turn, reply)) {
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
  release_room();
}

// Goes on until it is saved or its lease is up, and with it the claim that it is running. Its place
// among the running turns stays taken, so that what waits in memory is bounded.
Task<> Turns::save_late(const RunningTurn& turn, store::Message& reply) {
  while (!draining_ && clock_.now_s() < turn.lease_until_s) {
    co_await changed_.wait(changed_.ticket(), kLateSaveInterval);
    auto failure = co_await saver_.save(turn, reply);
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

void Turns::cancel_all(const UserId& user) {
  std::vector<std::shared_ptr<RunningTurn>> theirs;
  {
    std::scoped_lock lock(mutex_);
    for (const auto& [id, turn] : turns_) {
      if (turn->generation->user() == user) theirs.push_back(turn);
    }
  }
  for (const auto& turn : theirs) {
    boost::asio::post(turn->executor, [turn] { turn->cut(Cut::kCancelled); });
  }
}

Task<> Turns::drain(milliseconds at_most) {
  draining_ = true;
  remote_.close();
  changed_.notify_all();
  co_await wait_until_idle(at_most);
  std::vector<std::shared_ptr<RunningTurn>> left;
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
