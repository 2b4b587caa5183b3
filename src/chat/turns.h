// Turns: a prompt, the model's answer, and what is durable when.
//
// One turn, whatever the store: (1) the conversation, which alone decides who may, and its newest
// messages are read; (2) the prompt is durable before the model is called; (3) the model sees the
// context and the prompt; (4) the answer is durable before anyone is told that it is complete.
//
// A turn runs detached on the event loop of the request that started it, whoever listens. The
// request is its first follower and no different from later ones. Callable from every event loop.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/signal.h"
#include "base/task.h"
#include "chat/context_builder.h"
#include "chat/generation.h"
#include "chat/options.h"
#include "llm/provider.h"
#include "store/store.h"
#include "telemetry/metrics.h"

namespace colloquy::chat {

struct TurnRequest {
  std::optional<ConversationId> conversation_id;  // nullopt: a new one, titled from the prompt
  std::string prompt;
  std::string model;  // empty: the default
  llm::SamplingOptions sampling;
  store::Metadata metadata;  // of the prompt's message
  std::string client_message_id;
  std::string request_id;
};

// A turn as its follower sees it.
struct Turn {
  store::Conversation conversation;
  store::Message prompt;
  store::Message reply;                    // as it was when the turn was joined
  std::shared_ptr<Generation> generation;  // null when the reply had ended already
  bool replayed = false;
};

class Turns {
 public:
  // All references outlive it. `on_usage` hears how many tokens a user's turn took.
  using OnUsage = std::function<void(const UserId&, std::int64_t tokens)>;
  Turns(store::Store& store, llm::Provider& provider, Clock& clock, telemetry::Metrics& metrics,
        ChatOptions options, OnUsage on_usage = {});
  ~Turns();

  // Returns once the prompt is durable. A repeat with the same key joins the running turn or
  // returns the saved answer, also where a new turn would be refused; the model is not called
  // again. kInvalid (a field), kTooLarge, kNotFound, kConflict (what the key made is deleted),
  // kUnavailable (too many turns, shutting down, store out).
  Task<Turn> start(UserId user, TurnRequest request, std::optional<store::IdempotencyKey> key);

  // The turn that an earlier start with this key made, joined as by a repeat; nullopt when there is
  // none. For a caller that would refuse a new one.
  Task<std::optional<Turn>> join(UserId user, std::optional<ConversationId> id,
                                 store::IdempotencyKey key);

  // Refuses new turns; waits until the running ones have ended or the time is up, then cuts them
  // and waits until what they have said is saved (ten seconds at most).
  Task<> drain(std::chrono::milliseconds at_most);

  std::size_t running() const { return running_.load(); }

 private:
  struct Running;
  struct Instruments;
  class Place;

  void check(const TurnRequest& request) const;
  Task<std::vector<llm::ChatMessage>> context_for(UserId user, const TurnRequest& request,
                                                  store::NewTurn& fresh);
  void release_place();
  Task<Turn> join_replayed(UserId user, store::StartedTurn started);
  std::shared_ptr<Generation> find(MessageId reply) const;
  Task<> run(std::shared_ptr<Running> turn);
  Task<llm::CompletionResult> ask_model(Running& turn);
  void settle(Running& turn, GenerationOutcome& outcome) const;
  void report(const Running& turn, const GenerationOutcome& outcome);
  Task<std::optional<Error>> save(const Running& turn, store::Message& reply);
  Task<> save_late(const Running& turn, store::Message& reply);
  Task<> wait_until_idle(std::chrono::milliseconds at_most);

  store::Store& store_;
  llm::Provider& provider_;
  Clock& clock_;
  ChatOptions options_;
  ContextBuilder contexts_;
  OnUsage on_usage_;
  std::unique_ptr<Instruments> instruments_;

  std::atomic<std::size_t> running_{0};
  std::atomic<bool> draining_{false};
  mutable std::mutex mutex_;
  std::unordered_map<MessageId, std::shared_ptr<Running>> turns_;  // guarded by mutex_
  Signal changed_;  // a turn was registered or has ended
};

}  // namespace colloquy::chat
