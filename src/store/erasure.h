// The contract of erasing users: everything that a store holds of one. Beside store.h, since no
// other call has use for it; erase/eraser.h puts the steps together.
//
// An erasure begins with a record, so that whatever crashes, it goes on when a server looks for the
// records again. Until it has ended nobody may write for the user: that is the caller's to see to,
// on each of the servers that are on one store. Each looks for records (unfinished_erasures), and
// acknowledges one when nothing of the user's is being written there; nothing is removed before all
// that look have done so.
// From any event loop. Errors: kUnavailable and kInternal as in store.h; calling again is safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/task.h"

namespace colloquy::store {

// A user who was erased, not by name.
struct ErasedUser {
  std::string user_sha256;  // of the user id, in hexadecimal
  std::int64_t at_ms = 0;   // nothing that is older is left; what is newer is another life
  bool operator==(const ErasedUser&) const = default;
};
// What a user is called in that list.
std::string erased_name(const UserId& user);

// One that has not ended.
struct Erasure {
  UserId user;
  // The same on every server, and that of no other erasure; of letters, digits and '-'.
  std::string name;
  bool operator==(const Erasure&) const = default;
};

class Erasures {
 public:
  virtual ~Erasures() = default;

  // Writes the record. Nothing changes where there is one already.
  virtual Task<> begin_erasure(UserId user) = 0;

  // All whose record is there. The other servers learn that this one looks: for as long as
  // lookout() says, counted from before the call, it may admit writes of whoever is not among them.
  virtual Task<std::vector<Erasure>> unfinished_erasures() = 0;
  // nullopt: there are no other servers, and so no need to look again.
  virtual std::optional<std::chrono::milliseconds> lookout() const { return std::nullopt; }
  // This server will admit nothing more, without another look.
  virtual Task<> stop_looking() { co_return; }

  // On this server nothing is being written for the user, nor will be until it has ended.
  virtual Task<> acknowledge_erasure(Erasure /*erasure*/) { co_return; }
  // This server is at it now, for a while. False where another one is, where one that looks has not
  // acknowledged it, and where it has ended.
  virtual Task<bool> claim_erasure(Erasure erasure) = 0;

  enum class Left : std::uint8_t {
    kMore,     // call again
    kLater,    // something else must happen first: another server is at it, or messages go
    kNothing,  // nothing of the user is left
  };
  // Claims it, and removes a bounded piece, of a user whose record is there: conversations, those
  // that have expired too, their messages, and idempotency records.
  virtual Task<Left> erase_some(Erasure erasure) = 0;

  // After kNothing: the moment of the erasure, the same each time. No commit of what was removed
  // is later, and none of what the user does afterwards is earlier. kUnavailable where it is not
  // this server's any more.
  virtual Task<std::int64_t> seal_erasure(Erasure erasure) = 0;

  // Puts the user on the list and removes the record, both or neither.
  virtual Task<> end_erasure(Erasure erasure, std::int64_t at_ms) = 0;

  // The list, with the last time of each, in an order of the store's own, from behind the name
  // `after`; as many as it likes, none past the last.
  virtual Task<std::vector<ErasedUser>> erased_users(std::string after) = 0;
};

}  // namespace colloquy::store
