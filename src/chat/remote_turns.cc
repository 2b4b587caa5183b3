#include "chat/remote_turns.h"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "base/pause.h"
#include "base/signal.h"
#include "telemetry/log.h"

namespace colloquy::chat {

using std::chrono::milliseconds;

namespace {

constexpr auto kOpenWait = milliseconds(15'000);
constexpr int kTries = 5;  // to take up an answer whose connection broke
constexpr auto kFirstWait = milliseconds(100);

}  // namespace

GenerationOutcome lost_outcome(store::Message reply) {
  GenerationOutcome outcome;
  outcome.reply = std::move(reply);
  outcome.error =
      unavailable("The server that makes this answer cannot be reached.").with_retry_after(2);
  outcome.durable = false;
  outcome.may_go_on = true;
  return outcome;
}

struct RemoteTurns::Remote {
  Remote(boost::asio::any_io_executor on, std::string owner_in, AnswerName name_in,
         store::Message reply_in)
      : executor(std::move(on)),
        owner(std::move(owner_in)),
        name(std::move(name_in)),
        reply(std::move(reply_in)),
        generation(std::make_shared<Generation>(name.user, name.conversation, name.message)) {}

  const boost::asio::any_io_executor executor;
  const std::string owner;
  const AnswerName name;
  const store::Message reply;  // as it was when the first follower came
  const std::shared_ptr<Generation> generation;
  Signal opened;
  std::optional<PeerState> state;  // guarded by the mutex of RemoteTurns
  // Of the executor.
  std::shared_ptr<PeerAnswer> answer;
  int tries = 0;  // to take it up again, since it was last heard of
  milliseconds wait = kFirstWait;
};

RemoteTurns::RemoteTurns(store::Store& store, Peers* peers, std::size_t most)
    : store_(store), peers_(peers), most_(most) {}
RemoteTurns::~RemoteTurns() = default;

Task<RemoteTurns::Joined> RemoteTurns::join(std::string owner, AnswerName name,
                                            store::Message reply) {
  if (peers_ == nullptr || closed_) co_return Joined();
  auto executor = co_await boost::asio::this_coro::executor;
  std::shared_ptr<Remote> remote;
  // Held from the moment at which it is found, so that it is not let go meanwhile.
  std::shared_ptr<Generation> generation;
  bool is_first = false;
  {
    std::scoped_lock lock(mutex_);
    auto found = remotes_.find(name.message);
    if (found != remotes_.end()) {
      remote = found->second;
      generation = remote->generation;
    } else if (remotes_.size() < most_) {
      auto id = name.message;
      remote = std::make_shared<Remote>(std::move(executor), std::move(owner), std::move(name),
                                        std::move(reply));
      remotes_.emplace(id, remote);
      is_first = true;
    }
  }
  if (!remote) co_return Joined();
  if (is_first) co_return co_await open(std::move(remote));
  co_return co_await await_open(std::move(remote), std::move(generation));
}

Task<RemoteTurns::Joined> RemoteTurns::open(std::shared_ptr<Remote> remote) {
  Peers::Opened opened;
  try {
    opened = co_await peers_->follow(remote->owner, remote->name);
  } catch (const std::exception& error) {
    telemetry::log_warning("peer.failed", {{"detail", error.what()}});
  }
  if (opened.answer) remote->generation->append(opened.answer->so_far());
  remote->answer = std::move(opened.answer);
  if (closed_ && remote->answer) remote->answer->close();  // close() came too early to see it
  {
    std::scoped_lock lock(mutex_);
    remote->state = opened.state;
    if (opened.state != PeerState::kRunning) remotes_.erase(remote->name.message);
  }
  remote->opened.notify_all();
  if (opened.state != PeerState::kRunning) co_return Joined{opened.state, nullptr};
  // Held before the pump runs, which ends when nobody holds it.
  Joined joined{PeerState::kRunning, remote->generation};
  boost::asio::co_spawn(remote->executor, pump(remote), boost::asio::detached);
  co_return joined;
}

Task<RemoteTurns::Joined> RemoteTurns::await_open(std::shared_ptr<Remote> remote,
                                                  std::shared_ptr<Generation> generation) {
  auto give_up = std::chrono::steady_clock::now() + kOpenWait;
  while (std::chrono::steady_clock::now() < give_up) {
    std::uint64_t ticket = 0;
    {
      std::scoped_lock lock(mutex_);
      if (remote->state == PeerState::kRunning) {
        co_return Joined{PeerState::kRunning, generation};
      }
      if (remote->state) co_return Joined{*remote->state, nullptr};
      ticket = remote->opened.ticket();
    }
    co_await remote->opened.wait(ticket, kOpenWait);
  }
  co_return Joined();
}

Task<Peers::Stopped> RemoteTurns::cancel(std::string owner, AnswerName name) {
  if (peers_ == nullptr || closed_) co_return Peers::Stopped();
  co_return co_await peers_->cancel(std::move(owner), std::move(name));
}

// True when it is forgotten: nobody follows it here, or it is to end.
bool RemoteTurns::let_go(const Remote& remote, bool even_if_followed) {
  std::scoped_lock lock(mutex_);
  if (!even_if_followed && remote.generation.use_count() > 1) return false;
  auto found = remotes_.find(remote.name.message);
  if (found != remotes_.end() && found->second.get() == &remote) remotes_.erase(found);
  return true;
}

Task<std::optional<PeerEnd>> RemoteTurns::read_answer(Remote& remote) {
  try {
    while (true) {
      auto piece = co_await remote.answer->next();
      if (!piece) co_return remote.answer->end();
      if (!piece->empty()) {
        remote.generation->append(*piece);
        remote.tries = 0;
        remote.wait = kFirstWait;
      }
      if (let_go(remote, false)) co_return std::nullopt;
    }
  } catch (const std::exception& error) {
    telemetry::log_info("peer.lost", {{"message_id", remote.name.message.to_string()},
                                      {"detail", error.what()},
                                      {"trace_id", remote.name.trace.trace_id},
                                      {"span_id", remote.name.trace.span_id}});
  }
  co_return std::nullopt;
}

// What is durable is told from the store, not by the other server.
Task<GenerationOutcome> RemoteTurns::outcome_of(Remote& remote, PeerEnd end) {
  GenerationOutcome outcome;
  outcome.reply = remote.reply;
  outcome.reply.content = remote.generation->text();
  outcome.error = std::move(end.error);
  outcome.durable = end.durable;
  if (!end.durable) {
    if (!outcome.error) outcome.error = unavailable("The answer could not be saved.");
    co_return outcome;
  }
  auto saved =
      co_await store_.get_message(remote.name.user, remote.name.conversation, remote.name.message);
  if (saved && saved->status != store::MessageStatus::kRunning) {
    outcome.reply = std::move(*saved);
    co_return outcome;
  }
  outcome.durable = false;
  outcome.error = not_found();  // deleted meanwhile
  co_return outcome;
}

Task<std::optional<GenerationOutcome>> RemoteTurns::take_up_again(Remote& remote) {
  while (remote.tries < kTries && !closed_) {
    if (remote.tries++ > 0) {
      co_await pause(remote.wait);
      remote.wait *= 2;
    }
    auto saved = co_await store_.get_message(remote.name.user, remote.name.conversation,
                                             remote.name.message);
    auto said = remote.generation->text();
    GenerationOutcome outcome;
    if (!saved) {
      outcome.reply = remote.reply;
      outcome.durable = false;
      outcome.error = not_found();
      co_return outcome;
    }
    if (saved->status != store::MessageStatus::kRunning) {
      // What was saved of an interrupted answer may be less than what was heard of it.
      bool whole = saved->content.starts_with(said);
      if (whole) remote.generation->append(std::string_view(saved->content).substr(said.size()));
      if (!whole) outcome.error = unavailable("The server that made this answer is gone.");
      outcome.reply = std::move(*saved);
      co_return outcome;
    }
    auto opened = co_await peers_->follow(remote.owner, remote.name);
    if (opened.state == PeerState::kRunning) {
      const auto& so_far = opened.answer->so_far();
      if (so_far.size() > said.size()) remote.generation->append(so_far.substr(said.size()));
      remote.answer = std::move(opened.answer);
      co_return std::nullopt;
    }
    if (opened.state == PeerState::kGone) {
      outcome.reply = std::move(*saved);
      outcome.reply.status = store::MessageStatus::kInterrupted;
      outcome.error = unavailable("The server that made this answer is gone.");
      co_return outcome;
    }
  }
  co_return lost_outcome(remote.reply);
}

Task<> RemoteTurns::pump(std::shared_ptr<Remote> remote) {
  // A `detached` coroutine must not throw: everything ends in `outcome`.
  std::optional<GenerationOutcome> outcome;
  while (!outcome) {
    try {
      auto end = co_await read_answer(*remote);
      if (end) {
        outcome = co_await outcome_of(*remote, std::move(*end));
      } else if (let_go(*remote, false)) {
        break;
      } else {
        outcome = co_await take_up_again(*remote);
      }
    } catch (const std::exception& error) {
      telemetry::log_warning("peer.failed", {{"detail", error.what()}});
      outcome = lost_outcome(remote->reply);
    }
  }
  remote->answer.reset();
  let_go(*remote, true);
  if (outcome) remote->generation->end(std::move(*outcome));
}

void RemoteTurns::close() {
  closed_ = true;
  std::vector<std::shared_ptr<Remote>> all;
  {
    std::scoped_lock lock(mutex_);
    for (const auto& [id, remote] : remotes_) all.push_back(remote);
  }
  for (const auto& remote : all) {
    boost::asio::post(remote->executor, [remote] {
      if (remote->answer) remote->answer->close();
    });
  }
}

}  // namespace colloquy::chat
