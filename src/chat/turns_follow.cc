// The part of Turns that joins answers which are being made, here or on another server, and stops
// them.
#include <boost/asio/post.hpp>
#include <chrono>
#include <utility>

#include "base/pause.h"
#include "chat/turns.h"

namespace colloquy::chat {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

// A turn is registered a moment after its commit, or never where the commit was not heard of.
constexpr auto kRegistrationWait = milliseconds(5'000);
constexpr auto kFirstLook = milliseconds(20);
// How long a repeat waits for an answer that a server without an address makes.
constexpr auto kElsewhereWait = milliseconds(30'000);
constexpr auto kLongestLook = milliseconds(2'000);
constexpr int kPeerTries = 20;
constexpr auto kPeerWait = milliseconds(100);

bool is_running(const store::Message& reply) {
  return reply.status == store::MessageStatus::kRunning;
}

}  // namespace

std::shared_ptr<RunningTurn> Turns::find(MessageId reply) const {
  std::scoped_lock lock(mutex_);
  auto found = turns_.find(reply);
  return found == turns_.end() ? nullptr : found->second;
}

std::shared_ptr<RunningTurn> Turns::find(const AnswerName& name) const {
  auto running = find(name.message);
  bool theirs = running && running->generation->user() == name.user &&
                running->generation->conversation() == name.conversation;
  return theirs ? running : nullptr;
}

std::shared_ptr<Generation> Turns::running_here(const AnswerName& name) const {
  auto running = find(name);
  return running ? running->generation : nullptr;
}

Task<std::optional<GenerationOutcome>> Turns::cancel_here(AnswerName name) {
  auto running = find(name);
  if (!running) co_return std::nullopt;
  boost::asio::post(running->executor, [running] { running->cut(Cut::kCancelled); });
  co_return co_await running->generation->outcome();
}

// The answer and its prompt, from one read where that stands right before it; before another answer
// to the same prompt there are others.
Task<Turn> Turns::read_turn(UserId user, ConversationId id, MessageId reply) {
  store::MessageRange range;
  range.before = reply.successor();
  range.limit = 2;
  range.max_bytes = SIZE_MAX;
  range.all_branches = true;
  auto page = co_await store_.list_messages(user, id, range);
  auto& messages = page.messages;
  bool there = !messages.empty() && messages.back().id == reply;
  // What a client has appended has no model, and no turn.
  if (!there || messages.back().role != store::Role::kAssistant || messages.back().model.empty()) {
    throw not_found();
  }
  Turn turn;
  turn.conversation = std::move(page.conversation);
  turn.reply = std::move(messages.back());
  turn.replayed = true;
  if (!turn.reply.parent) co_return turn;
  if (messages.size() == 2 && messages.front().id == *turn.reply.parent) {
    turn.prompt = std::move(messages.front());
  } else {
    turn.prompt = co_await store_.get_message(std::move(user), id, *turn.reply.parent);
  }
  // Where the prompt was deleted, an answer before it is next.
  if (turn.prompt && turn.prompt->role != store::Role::kUser) turn.prompt.reset();
  co_return turn;
}

Task<> Turns::read_again(UserId user, Turn& turn) {
  auto saved = co_await store_.get_message(std::move(user), turn.conversation.id, turn.reply.id);
  if (!saved) throw not_found();
  turn.reply = std::move(*saved);
}

Task<Turns::Place> Turns::locate(UserId user, Turn& turn) {
  auto give_up = steady_clock::now() + kRegistrationWait;
  auto wait = kFirstLook;
  while (is_running(turn.reply)) {
    if (auto running = find(turn.reply.id)) co_return Place{running, {}};
    auto owner = co_await store_.find_owner(user, turn.conversation.id, turn.reply.id);
    if (owner) co_return Place{nullptr, std::move(*owner)};
    // Between its commit and its registration, or ended since it was read.
    co_await read_again(user, turn);
    if (!is_running(turn.reply)) break;
    if (steady_clock::now() > give_up) throw unavailable("The answer is still being begun.");
    co_await pause(wait);
    wait = std::min(2 * wait, kLongestLook);
  }
  co_return Place{};
}

Task<> Turns::attach(UserId user, Turn& turn, TraceContext trace) {
  auto place = co_await locate(user, turn);
  if (place.here) turn.generation = place.here->generation;
  if (place.here || !is_running(turn.reply)) co_return;
  turn.elsewhere = true;
  AnswerName name{user, turn.conversation.id, turn.reply.id, std::move(trace)};
  for (int tries = 0; tries < kPeerTries; ++tries) {
    auto joined = co_await remote_.join(place.owner, name, turn.reply);
    if (joined.state == PeerState::kRunning) {
      turn.generation = std::move(joined.generation);
      co_return;
    }
    if (joined.state == PeerState::kUnreachable) break;
    co_await read_again(user, turn);
    if (joined.state == PeerState::kGone && is_running(turn.reply)) {
      turn.reply.status = store::MessageStatus::kInterrupted;
    }
    if (!is_running(turn.reply)) co_return;
    co_await pause(kPeerWait);
  }
  turn.generation = std::make_shared<Generation>(name.user, name.conversation, name.message);
  turn.generation->append(turn.reply.content);
  turn.generation->end(lost_outcome(turn.reply));
}

Task<Turn> Turns::follow(UserId user, ConversationId id, MessageId reply, TraceContext trace) {
  auto turn = co_await read_turn(user, id, reply);
  co_await attach(std::move(user), turn, std::move(trace));
  co_return turn;
}

Task<store::Message> Turns::cancel(UserId user, ConversationId id, MessageId reply,
                                   TraceContext trace) {
  auto turn = co_await read_turn(user, id, reply);
  AnswerName name{user, id, reply, std::move(trace)};
  for (int tries = 0; tries < kPeerTries; ++tries) {
    auto place = co_await locate(user, turn);
    if (place.here) {
      auto outcome = co_await cancel_here(name);
      if (!outcome) continue;
      if (!outcome->durable) throw std::move(*outcome->error);
      co_return std::move(outcome->reply);
    }
    if (!is_running(turn.reply)) co_return std::move(turn.reply);
    auto stopped = co_await remote_.cancel(std::move(place.owner), name);
    if (stopped.state == PeerState::kUnreachable) break;
    if (!stopped.end.durable && stopped.end.error) throw std::move(*stopped.end.error);
    co_await read_again(user, turn);
    if (stopped.state == PeerState::kGone && is_running(turn.reply)) {
      turn.reply.status = store::MessageStatus::kInterrupted;
    }
    if (!is_running(turn.reply)) co_return std::move(turn.reply);
    co_await pause(kPeerWait);
  }
  throw std::move(*lost_outcome({}).error);
}

Task<std::optional<Turn>> Turns::join(UserId user, std::optional<ConversationId> id,
                                      store::IdempotencyKey key, TraceContext trace) {
  auto started = co_await store_.find_turn(user, id, std::move(key));
  if (!started) co_return std::nullopt;
  co_return co_await join_replayed(std::move(user), std::move(*started), std::move(trace));
}

Task<Turn> Turns::join_replayed(UserId user, store::StartedTurn started, TraceContext trace) {
  Turn turn;
  turn.conversation = std::move(started.conversation);
  turn.prompt = std::move(started.prompt);
  turn.reply = std::move(started.reply);
  turn.replayed = true;
  co_await attach(user, turn, std::move(trace));
  if (!is_running(turn.reply) || !turn.elsewhere) co_return turn;
  // Of a server that cannot be asked, only the store tells when it has ended.
  auto lost = turn.generation->ended();
  if (!lost || !lost->may_go_on) co_return turn;
  auto give_up = steady_clock::now() + kElsewhereWait;
  auto wait = milliseconds(100);
  while (is_running(turn.reply) && steady_clock::now() < give_up && !draining_) {
    co_await pause(wait);
    wait = std::min(2 * wait, kLongestLook);
    co_await read_again(user, turn);
  }
  if (is_running(turn.reply)) throw unavailable("The answer is still being made elsewhere.");
  turn.generation.reset();
  co_return turn;
}

}  // namespace colloquy::chat
