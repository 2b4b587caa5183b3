// Who is told of what was written to the store. Called on the event loop of the write, once it is
// durable; must not block and must not throw.
#pragma once

#include <boost/asio/any_io_executor.hpp>

#include "store/types.h"

namespace colloquy::chat {

class StoreObserver {
 public:
  virtual ~StoreObserver() = default;

  virtual void conversation_created(const store::Conversation& /*conversation*/) {}
  virtual void conversation_changed(const store::Conversation& /*conversation*/) {}
  virtual void conversation_deleted(const UserId& /*user*/, ConversationId /*id*/) {}
  virtual void message_added(const UserId& /*user*/, ConversationId /*id*/,
                             const store::Message& /*message*/) {}
  virtual void message_deleted(const UserId& /*user*/, ConversationId /*id*/,
                               MessageId /*message*/) {}
  // An answer was saved as it is now; the conversation is as it is after that. The executor is that
  // of the turn.
  virtual void turn_ended(const boost::asio::any_io_executor& /*executor*/,
                          const store::Conversation& /*conversation*/,
                          const store::Message& /*reply*/) {}
};

}  // namespace colloquy::chat
