// Answers that other servers make and clients of this one follow. Each is fetched once, however
// many follow it here, and kept as one text while anyone does. Callable from every event loop.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "base/task.h"
#include "chat/generation.h"
#include "chat/peers.h"
#include "store/store.h"

namespace colloquy::chat {

class RemoteTurns {
 public:
  // Both outlive it. Without `peers` every other server is unreachable.
  RemoteTurns(store::Store& store, Peers* peers, std::size_t most);
  ~RemoteTurns();

  // `reply`: as the store has it. `generation` is there with kRunning alone. More than `most` at
  // once are unreachable. The other server is told the trace of the first who joins.
  struct Joined {
    PeerState state = PeerState::kUnreachable;
    std::shared_ptr<Generation> generation;
  };
  Task<Joined> join(std::string owner, AnswerName name, store::Message reply);
  Task<Peers::Stopped> cancel(std::string owner, AnswerName name);

  // Lets go of all; none is joined any more.
  void close();

 private:
  struct Remote;
  Task<Joined> open(std::shared_ptr<Remote> remote);
  Task<Joined> await_open(std::shared_ptr<Remote> remote, std::shared_ptr<Generation> generation);
  Task<> pump(std::shared_ptr<Remote> remote);
  // Takes what comes until the end; nullopt when the connection broke, or nobody follows any more.
  Task<std::optional<PeerEnd>> read_answer(Remote& remote);
  Task<GenerationOutcome> outcome_of(Remote& remote, PeerEnd end);
  // After a broken connection: nullopt when it goes on.
  Task<std::optional<GenerationOutcome>> take_up_again(Remote& remote);
  bool let_go(const Remote& remote, bool even_if_followed);

  store::Store& store_;
  Peers* const peers_;
  const std::size_t most_;
  std::atomic<bool> closed_{false};
  std::mutex mutex_;
  std::unordered_map<MessageId, std::shared_ptr<Remote>> remotes_;  // guarded by mutex_
};

// The outcome for followers of an answer that another server makes, when that cannot be reached.
GenerationOutcome lost_outcome(store::Message reply);

}  // namespace colloquy::chat
