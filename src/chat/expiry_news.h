// Brings what a store removes in the background because it has expired to an observer, for as long
// as there is one. Thread-safe: once forget() has returned, the observer hears nothing more.
#pragma once

#include <mutex>

#include "chat/store_observer.h"

namespace colloquy::chat {

class ExpiryNews {
 public:
  void tell(StoreObserver& observer) {
    std::scoped_lock lock(mutex_);
    observer_ = &observer;
  }
  void forget() {
    std::scoped_lock lock(mutex_);
    observer_ = nullptr;
  }
  void expired(const UserId& user, ConversationId id) {
    std::scoped_lock lock(mutex_);
    if (observer_ != nullptr) observer_->conversation_deleted(user, id);
  }

 private:
  std::mutex mutex_;
  StoreObserver* observer_ = nullptr;  // guarded by mutex_
};

}  // namespace colloquy::chat
