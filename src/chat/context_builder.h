// What the model is given for a prompt in a conversation: the one way from the store to it, for
// turns and for whoever wants to see it. Callable from every event loop.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/task.h"
#include "chat/context_window.h"
#include "chat/options.h"
#include "chat/places.h"
#include "chat/token_count.h"
#include "llm/provider.h"
#include "store/store.h"

namespace colloquy::chat {

// kInvalid, naming "model", unless it is empty or one that the provider has.
void check_model(const llm::Provider& provider, const std::string& model);

struct PreparedContext {
  store::Conversation conversation;
  std::optional<MessageId> newest;  // of all its messages, when it was read
  store::ContextSettings settings;  // that hold in it
  bool whole = true;                // nothing older was left unread
  store::Path way;                  // of whose messages it is made
  // The conversation's, where it says something of this way; given or not.
  std::optional<store::ContextSummary> summary;
  Context context;
  bool estimated = false;  // of its counts of tokens, if it has any, some are estimates
};

// Why a message of the conversation is not given to the model.
enum class LeftOutReason : std::uint8_t {
  kNoText,    // an answer that is running, or failed before its first word
  kMessages,  // older than the newest so many
  kTokens,    // beyond the budget
};
struct LeftOutMessage {
  MessageId id;
  store::Role role = store::Role::kUser;
  LeftOutReason reason = LeftOutReason::kNoText;
  bool summarized = false;  // the summary covers it, and is given
};

struct ExplainedContext {
  PreparedContext prepared;
  std::string model;
  std::vector<LeftOutMessage> left_out;  // the newest of them, oldest first
  bool more_left_out = false;            // there are older ones
};

class ContextBuilder {
 public:
  // Both outlive it.
  ContextBuilder(store::Store& store, llm::Provider& provider, const ChatOptions& options);

  // For a prompt at a place of a conversation, or the next one: nullopt where the conversation is
  // not there. kTooLarge: the prompt does not fit.
  Task<std::optional<PreparedContext>> prepare(UserId user, ConversationId id, std::string model,
                                               std::string prompt,
                                               std::optional<store::TreePlace> place);
  // For the first prompt of a conversation that is about to be made.
  Context first(const std::string& model, std::string prompt) const;

  // The same with every token counted, and what was left out: kNotFound, kTooLarge, kInvalid.
  Task<ExplainedContext> explain(UserId user, ConversationId id, std::string model,
                                 std::string prompt, PlaceRequest asked);

  // What holds in a conversation.
  store::ContextSettings settings_of(const store::Conversation& conversation) const {
    return store::resolved(conversation.context, usual_);
  }
  const store::ContextSettings& usual() const { return usual_; }

 private:
  enum class Counting : std::uint8_t { kWhereNeeded, kAlways };
  Task<std::optional<PreparedContext>> prepare(UserId user, ConversationId id, std::string model,
                                               std::string prompt,
                                               std::optional<store::TreePlace> place,
                                               Counting counting);
  Task<> explain_left_out(ExplainedContext& explained, std::optional<store::TreePlace> place);
  // Of one context; none where nothing is to be counted.
  std::optional<TokenCounter> counter(const std::string& model,
                                      const store::ContextSettings& settings,
                                      Counting counting) const;

  store::Store& store_;
  llm::Provider& provider_;
  const store::ContextSettings usual_;
  const std::size_t max_content_bytes_;
};

}  // namespace colloquy::chat
