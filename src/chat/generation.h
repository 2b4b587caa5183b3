// One answer while it is made: the text so far, and those who follow it.
//
// A turn writes it on its own event loop; followers read it from any. Nothing is
// kept for a follower: each holds a byte offset into the one text, so a slow
// reader costs no memory and a client that comes back goes on where it was.
// Thread-safe.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/limits.h"
#include "base/signal.h"
#include "base/task.h"
#include "store/types.h"

namespace colloquy::chat {

// How an answer ended, once it is durable (or could not be made so).
struct GenerationOutcome {
  store::Message reply;
  std::optional<Error> error;  // why it is not whole, or not durable
  bool durable = true;         // when not, nobody may take it for saved
  // It is made by another server, which cannot be reached: followers may come back later.
  bool may_go_on = false;
};

class Generation {
 public:
  Generation(UserId user, ConversationId conversation, MessageId reply)
      : user_(std::move(user)), conversation_(conversation), reply_(reply) {}

  const UserId& user() const { return user_; }
  ConversationId conversation() const { return conversation_; }
  MessageId reply() const { return reply_; }

  // The turn's side.
  void append(std::string_view text);
  std::string text() const;
  void end(GenerationOutcome outcome);

  // A follower's side.
  struct Piece {
    std::string text;    // what came after `offset`; empty when the time was up first
    bool ended = false;  // and nothing comes after it
    bool more = false;   // there was more than kPieceBytes
  };
  // At most so much is given at once, so that a slow follower holds no more.
  static constexpr std::size_t kPieceBytes = 16 * limits::kKiB;
  // Waits until there is text past `offset` (in bytes, between two characters) or the answer has
  // ended.
  Task<Piece> next(std::size_t offset, std::chrono::milliseconds at_most);
  // How it ended; nullopt while it is made.
  std::optional<GenerationOutcome> ended() const;
  // Waits for the end, however long it takes: a turn always ends.
  Task<GenerationOutcome> outcome();

 private:
  const UserId user_;
  const ConversationId conversation_;
  const MessageId reply_;
  mutable std::mutex mutex_;
  std::string text_;                          // guarded by mutex_
  std::optional<GenerationOutcome> outcome_;  // guarded by mutex_
  Signal changed_;                            // there is more text, or the end
  Signal ended_;                              // for those who want no part before the whole
};

}  // namespace colloquy::chat
