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
#include "chat/peers.h"
#include "chat/places.h"
#include "chat/remote_turns.h"
#include "chat/running_turn.h"
#include "chat/turn_metrics.h"
#include "chat/turn_saver.h"
#include "llm/provider.h"
#include "store/store.h"
#include "telemetry/metrics.h"

namespace colloquy::chat {

struct TurnRequest {
  std::optional<ConversationId> conversation_id;  // nullopt: a new one, titled from the prompt
  std::string prompt;
  PlaceRequest place;  // of the prompt, in the conversation that is named
  // Another answer to this message of the user, or to the one that this answer is to; then there
  // is no prompt of its own.
  std::optional<MessageId> regenerated;
  std::string model;  // empty: the default
  llm::SamplingOptions sampling;
  store::Metadata metadata;  // of the prompt's message
  bool temporary = false;    // the new conversation
  std::string client_message_id;
  std::string request_id;
  TraceContext trace;                   // of the request
  store::Attachments attachments = {};  // of the prompt's message
};

// A turn as its follower sees it.
struct Turn {
  store::Conversation conversation;
  std::optional<store::Message> prompt;    // nullopt: deleted since
  store::Message reply;                    // as it was when the turn was joined
  std::shared_ptr<Generation> generation;  // null when the reply had ended already
  bool replayed = false;
  bool elsewhere = false;  // another server makes it, and what is known here may lag behind
};

class Turns {
 public:
  // All references outlive it. `on_usage` hears how many tokens a user's turn took.
  using OnUsage = std::function<void(const UserId&, std::int64_t tokens)>;
  // `peers`, where given: the other servers on the same store.
  Turns(store::Store& store, llm::Provider& provider, Clock& clock, telemetry::Metrics& metrics,
        ChatOptions options, OnUsage on_usage = {}, Peers* peers = nullptr);
  ~Turns();

  // Returns once the prompt is durable. A repeat with the same key joins the running turn or
  // returns the saved answer, also where a new turn would be refused; the model is not called
  // again. kInvalid (a field), kTooLarge, kNotFound, kConflict (what the key made is deleted, or
  // the conversation can have no more branches), kUnavailable (too many turns, shutting down, store
  // out).
  Task<Turn> start(UserId user, TurnRequest request, std::optional<store::IdempotencyKey> key);

  // The turn that an earlier start with this key made, joined as by a repeat; nullopt when there is
  // none. For a caller that would refuse a new one.
  Task<std::optional<Turn>> join(UserId user, std::optional<ConversationId> id,
                                 store::IdempotencyKey key, TraceContext trace);

  // `trace`, here and above: of the request, which a server that is asked about it goes on with.

  // The turn that made, or makes, an answer, joined as by a repeat. Where the server that makes it
  // cannot be reached, `generation` has ended with what is saved and an outcome that may go on.
  // kNotFound: there is no such answer.
  Task<Turn> follow(UserId user, ConversationId id, MessageId reply, TraceContext trace);

  // Stops the model, and returns the answer once what was said is durable; one that has ended
  // already as it is. kNotFound; kUnavailable (it cannot be saved, or the server that makes it not
  // be reached).
  Task<store::Message> cancel(UserId user, ConversationId id, MessageId reply, TraceContext trace);

  // Stops the model in all turns of the user's that this server makes; what was said is saved where
  // there is a place for it. Does not wait for that.
  void cancel_all(const UserId& user);

  // For other servers: of what this one makes. Null, or nullopt, for anything else.
  std::shared_ptr<Generation> running_here(const AnswerName& name) const;
  Task<std::optional<GenerationOutcome>> cancel_here(AnswerName name);

  // Refuses new turns; waits until the running ones have ended or the time is up, then cuts them
  // and waits until what they have said is saved (ten seconds at most).
  Task<> drain(std::chrono::milliseconds at_most);

  std::size_t running() const { return running_.load(); }

 private:
  class Room;

  void check(const TurnRequest& request) const;
  Task<std::vector<llm::ChatMessage>> context_for(UserId user, const TurnRequest& request,
                                                  store::NewTurn& fresh);
  Turn run_started(UserId user, store::StartedTurn started, std::shared_ptr<RunningTurn> turn);
  void release_room();
  Task<Turn> join_replayed(UserId user, store::StartedTurn started, TraceContext trace);
  // Who makes an answer that is running: this server (`here`), or `owner`; neither: it has ended,
  // and `turn.reply` says how.
  struct Place {
    std::shared_ptr<RunningTurn> here;
    std::string owner;
  };
  Task<Place> locate(UserId user, Turn& turn);
  Task<> attach(UserId user, Turn& turn, TraceContext trace);
  Task<Turn> read_turn(UserId user, ConversationId id, MessageId reply);
  Task<> read_again(UserId user, Turn& turn);
  std::shared_ptr<RunningTurn> find(MessageId reply) const;
  std::shared_ptr<RunningTurn> find(const AnswerName& name) const;
  Task<> run(std::shared_ptr<RunningTurn> turn);
  Task<llm::CompletionResult> ask_model(RunningTurn& turn);
  void settle(RunningTurn& turn, GenerationOutcome& outcome) const;
  void report(const RunningTurn& turn, const GenerationOutcome& outcome);
  Task<> save_late(const RunningTurn& turn, store::Message& reply);
  Task<> wait_until_idle(std::chrono::milliseconds at_most);

  store::Store& store_;
  llm::Provider& provider_;
  Clock& clock_;
  ChatOptions options_;
  ContextBuilder contexts_;
  OnUsage on_usage_;
  TurnSaver saver_;
  RemoteTurns remote_;
  TurnMetrics instruments_;

  std::atomic<std::size_t> running_{0};
  std::atomic<bool> draining_{false};
  mutable std::mutex mutex_;
  std::unordered_map<MessageId, std::shared_ptr<RunningTurn>> turns_;  // guarded by mutex_
  Signal changed_;  // a turn was registered or has ended
};

}  // namespace colloquy::chat
