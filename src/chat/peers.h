// The other servers on the same store, as turns see them: one of them may make the answer that a
// client of this one asks for. Implemented in cluster/. Callable from every event loop.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/ids.h"
#include "base/task.h"
#include "base/trace_context.h"

namespace colloquy::chat {

// An answer, whose it is, and the trace that asks for it goes on with.
struct AnswerName {
  UserId user;
  ConversationId conversation;
  MessageId message;
  TraceContext trace{};
};

enum class PeerState : std::uint8_t {
  kRunning,      // it makes the answer
  kNotRunning,   // it is there, and does not make it any more (or not yet)
  kGone,         // another process has taken its place: nobody makes the answer
  kUnreachable,  // or has no address, or does not prove that it is one of us
};

// How an answer ended where it was made.
struct PeerEnd {
  bool durable = true;         // what was said is in the store
  std::optional<Error> error;  // why it is not whole, or not durable
};

// An answer as it comes from the server that makes it. For one event loop.
class PeerAnswer {
 public:
  virtual ~PeerAnswer() = default;
  // What was said when it was opened.
  virtual const std::string& so_far() const = 0;
  // What was said since; empty as a sign of life; nullopt at the end. Throws Error(kUnavailable)
  // when the connection breaks.
  virtual Task<std::optional<std::string>> next() = 0;
  // Once next() has returned nullopt.
  virtual const PeerEnd& end() const = 0;
  // Ends a wait in next().
  virtual void close() = 0;
};

class Peers {
 public:
  virtual ~Peers() = default;

  // `owner`: what the store says of who makes the answer. Neither call throws for what the other
  // server is or does; both have deadlines.
  struct Opened {
    PeerState state = PeerState::kUnreachable;
    std::shared_ptr<PeerAnswer> answer;  // with kRunning alone
  };
  virtual Task<Opened> follow(std::string owner, AnswerName name) = 0;

  // Stops the model there, and returns once what was said is saved.
  struct Stopped {
    PeerState state = PeerState::kUnreachable;  // kRunning: it was, until now
    PeerEnd end;
  };
  virtual Task<Stopped> cancel(std::string owner, AnswerName name) = 0;
};

}  // namespace colloquy::chat
