// Whether an exchange was cancelled, and how to end the wait it is in. Belongs to one event loop.
#pragma once

#include <functional>

#include "net/http_client.h"

namespace colloquy::net {

class CancelState {
 public:
  // Ends the present wait, if there is one; whoever waits then sees check() throw.
  void request() {
    if (requested_) return;
    requested_ = true;
    if (end_wait_) end_wait_();
  }
  // What request() runs from now on.
  void on_request(std::function<void()> end_wait) { end_wait_ = std::move(end_wait); }
  // Throws NetError(kCancelled) once cancelled. Called after every wait.
  void check() const {
    if (requested_) throw NetError(NetFailure::kCancelled, "cancelled by the caller");
  }

 private:
  bool requested_ = false;
  std::function<void()> end_wait_;
};

}  // namespace colloquy::net
