// Rolling summaries of what falls out of the context, made by the model in the background after a
// turn, where the settings of the conversation or of the server ask for them. One at a time for a
// conversation, of its active way. A summary that covers a deleted message does not outlive it: the
// store drops it with the message, and none is stored that was made of one. Callable from every
// event loop.
#pragma once

#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/task.h"
#include "chat/background_model.h"
#include "chat/context_builder.h"
#include "chat/store_observer.h"
#include "store/store.h"

namespace colloquy::chat {

class Summaries final : public StoreObserver {
 public:
  // All outlive it.
  Summaries(store::Store& store, ContextBuilder& contexts, BackgroundModel& model)
      : store_(store), contexts_(contexts), model_(model) {}

  void turn_ended(const boost::asio::any_io_executor& executor,
                  const store::Conversation& conversation, const store::Message& reply) override;

 private:
  // What is to be summarized: what fell out since the last summary and, so that it need not be done
  // after every turn, the older half of what is still given.
  struct Gathered {
    store::Conversation conversation;
    std::optional<store::ContextSummary> before;  // of what is older on the active way
    std::vector<store::Message> messages;         // oldest first; none where nothing fell out
  };
  Task<> make(UserId user, ConversationId id, std::string model);
  Task<> make_one(UserId user, ConversationId id, std::string model);
  Task<Gathered> gather(UserId user, ConversationId id, const std::string& model);
  Task<> save(const Gathered& gathered, std::string text);
  Task<std::optional<store::Message>> newest_if_all_there(const Gathered& gathered);

  store::Store& store_;
  ContextBuilder& contexts_;
  BackgroundModel& model_;
  std::mutex mutex_;
  std::set<ConversationId> busy_;  // guarded by mutex_
};

}  // namespace colloquy::chat
