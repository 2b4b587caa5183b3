// Titles that the model makes, in the background, once the first turn of a conversation has ended:
// where it still has the title made from its prompt, or the default one. A title that somebody has
// set meanwhile stays. Callable from every event loop.
#pragma once

#include <string>
#include <string_view>

#include "base/task.h"
#include "chat/background_model.h"
#include "chat/store_observer.h"
#include "store/store.h"

namespace colloquy::chat {

// What a model has said, as a title: its first line without quotes and marks, at most 60 bytes, cut
// at a word. Empty where nothing is left.
std::string clean_title(std::string_view said);

class Titles final : public StoreObserver {
 public:
  // Both outlive it.
  Titles(store::Store& store, BackgroundModel& model) : store_(store), model_(model) {}

  void turn_ended(const boost::asio::any_io_executor& executor,
                  const store::Conversation& conversation, const store::Message& reply) override;

 private:
  Task<> make(store::Conversation conversation, std::string model);

  store::Store& store_;
  BackgroundModel& model_;
};

}  // namespace colloquy::chat
