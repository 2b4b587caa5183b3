// The contract of a store: where conversations and messages are kept.
//
// Every call carries the user. A conversation of another user answers exactly
// as one that does not exist (kNotFound, or nullopt), and so does one that has
// expired by the store's clock. Calls may come from any event loop at once; each
// resumes on the event loop that awaited it, and none blocks it.
//
// Durability: when a write returns, it survives the loss of power. A write that
// throws kUnavailable may or may not have happened; one that throws anything
// else has not. With an IdempotencyKey a write can be sent again safely: the
// repeat returns what the first one made (`replayed`), as it is by now. The same
// key with another fingerprint throws kInvalid, naming the key's field (key_reused);
// a repeat whose result was deleted or has expired in the meantime throws kConflict
// (result_deleted). Where the conversation that a call names is itself not there,
// it is kNotFound with a key as without. What was saved is returned also while new
// writes are refused, as long as the back end can be read.
//
// Expiry: a conversation with a time to live, its own or else that of the server (retention, an
// option of every store, which may be another one with each opening), expires that long after its
// last activity, but not while an answer is being made in it: start_turn holds it until
// finish_turn, and until the lease is over where that does not come. So no answer is
// lost to expiry. The conversation's own record and the retention alone decide (`held_until_s`):
// what is removed in the background was expired by the retention of the server that removed it.
//
// Branches (branches.h): a place in the tree that a call names is one that was read before. Should
// its message be deleted meanwhile, it is still a place.
//
// Order: within a conversation every message has an id greater than all before
// it, given by the store. Readers of any server see the same order.
//
// Errors of every call: kUnavailable (the back end is out, the disk is full, or
// the queue is), kInternal (damaged data; the detail names the file).
#pragma once

#include <optional>

#include "base/ids.h"
#include "base/task.h"
#include "store/types.h"

namespace colloquy::store {

class Store {
 public:
  virtual ~Store() = default;

  virtual Task<CreatedConversation> create_conversation(UserId user, NewConversation conversation,
                                                        std::optional<IdempotencyKey> key) = 0;

  // nullopt: not there, not this user's, or expired.
  virtual Task<std::optional<Conversation>> get_conversation(UserId user, ConversationId id) = 0;

  // Newest first (by creation), starting after `after`, which need not exist any more.
  virtual Task<ConversationPage> list_conversations(UserId user, std::size_t limit,
                                                    std::optional<ConversationId> after) = 0;

  // The last active first (then the newest). A store without an index for it looks at the newest
  // limits::kActivityScanned conversations only. What becomes active between two pages may be
  // listed twice or not at all.
  virtual Task<ActivityPage> list_by_activity(UserId user, std::size_t limit,
                                              std::optional<ActivityPosition> after);

  // kNotFound; kPreconditionFailed when `if_version` is given and is not the current one.
  // updated_at changes only with the title, and where what has become temporary would else be gone.
  // Returns the conversation after the change.
  virtual Task<Conversation> update_conversation(UserId user, ConversationId id,
                                                 ConversationPatch patch,
                                                 std::optional<std::uint64_t> if_version) = 0;

  // Gone at once for every reader; its messages are removed in the background, crash or not.
  // kNotFound; kPreconditionFailed as above.
  virtual Task<> delete_conversation(UserId user, ConversationId id,
                                     std::optional<std::uint64_t> if_version) = 0;

  // kNotFound when the conversation is not there; kConflict when it would need a branch more than
  // it can have.
  virtual Task<AppendedMessage> append_message(UserId user, ConversationId id, NewMessage message,
                                               std::optional<IdempotencyKey> key) = 0;

  // What an earlier append_message with this key made, as it is by now; nullopt when the key is
  // unknown. Only reads. kInvalid, kConflict and kNotFound as the repeat of that append_message.
  virtual Task<std::optional<AppendedMessage>> find_appended(UserId user, ConversationId id,
                                                             IdempotencyKey key) = 0;

  // kNotFound when the conversation is not there.
  virtual Task<MessagePage> list_messages(UserId user, ConversationId id, MessageRange range) = 0;
  // Counts the messages again and mends message_count, for a caller who has read them all and found
  // another number. Nothing to do where no crash can leave a count behind. kNotFound.
  virtual Task<> recount(UserId user, ConversationId id);
  virtual Task<std::optional<Message>> get_message(UserId user, ConversationId id,
                                                   MessageId message) = 0;
  // kNotFound; kConflict while the message is a running answer.
  virtual Task<> delete_message(UserId user, ConversationId id, MessageId message) = 0;

  // The conversation and the newest messages with a text, running answers left out, that the
  // context may need (recent_range) by its own settings and, where it has none, the `usual` ones:
  // of the active way or, with `up_to`, of the way that ends with that message, which has been
  // read. They are sought among the newest recent_rows(range.messages) messages of the way; nullopt
  // as get_conversation. The cost is that of the usual settings unless the conversation's own ask
  // for more.
  virtual Task<std::optional<RecentMessages>> read_recent(UserId user, ConversationId id,
                                                          ContextSettings usual,
                                                          std::optional<TreePlace> up_to) = 0;

  // Writes the prompt and the place of its answer (and the conversation, where it is new) in one
  // commit. The answer's id is the next after the prompt's, where a prompt is written. Until
  // finish_turn, readers see the answer as kRunning, and as kInterrupted once the server that ran
  // it is gone. kNotFound when the conversation is not there; kConflict as append_message.
  virtual Task<StartedTurn> start_turn(UserId user, NewTurn turn,
                                       std::optional<IdempotencyKey> key) = 0;

  // What an earlier start_turn with this key made, as it is by now (`replayed`); nullopt when the
  // key is unknown. `id` is the conversation that the turn named, nullopt where it made its own.
  // Only reads, so it answers also while writes are refused. kInvalid, kConflict and kNotFound as
  // the repeat of that start_turn.
  virtual Task<std::optional<StartedTurn>> find_turn(UserId user, std::optional<ConversationId> id,
                                                     IdempotencyKey key) = 0;

  // Saves the answer under the id that start_turn gave; `timestamp_s` is set by the store.
  // Safe to send twice: what was saved first stays, and is returned. Branch and parent are as
  // start_turn gave them.
  // kNotFound when the conversation or the answer was deleted meanwhile, or the conversation has
  // expired after the lease was over: nothing is written.
  virtual Task<FinishedTurn> finish_turn(UserId user, ConversationId id, Message reply) = 0;

  // Keeps what was said so far in the place of the answer that start_turn gave, which goes on
  // running: should the server die, readers see it kInterrupted with this text. `reply`: as
  // start_turn gave it, with the content so far; nothing else of the conversation changes. False,
  // and nothing is written, where readers do not see the answer running any more, or this server
  // does not make it. A store may leave the earlier text where a long one would be too dear.
  virtual Task<bool> save_partial(UserId user, ConversationId id, Message reply) = 0;

  // Who makes an answer that is running, where that is another server; nullopt where it is this
  // one, or where the answer is not running (any more).
  virtual Task<std::optional<std::string>> find_owner(UserId user, ConversationId id,
                                                      MessageId reply);

  // Approximate; cheap enough to ask every few seconds. Never throws.
  virtual StoreStats stats() = 0;

  // Can it take writes now? Empty when it can, else why not, in words for an operator.
  virtual std::string not_ready_reason() = 0;

  // Ends what it does beside its calls, which are over. False when that takes too long: then what
  // it refers to must stay.
  virtual Task<bool> close();
};

}  // namespace colloquy::store
