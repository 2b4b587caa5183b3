// The rows of the two tables: every read and write that the store makes of them, one call of the
// service each unless said otherwise. Reads are consistent. Thread-safe.
//
// Errors: Error(kUnavailable) when the service is out, kInternal for rows that cannot be.
#pragma once

#include <boost/json/object.hpp>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/task.h"
#include "store/dynamodb/client.h"
#include "store/dynamodb/items.h"
#include "store/dynamodb/request.h"
#include "store/erasure.h"

namespace colloquy::store::dynamodb {

struct TableNames {
  std::string conversations = "conversations";
  std::string messages = "messages";
};

// A change of a conversation that any number of servers may make at once.
struct Touch {
  std::string change;             // what it is, for its slot
  std::int64_t count_change = 0;  // of messages
  std::optional<std::int64_t> updated_at_s;
  // As the caller knows it, to move the removal. Where it is another by now, the caller's message
  // has the wrong removal time, and those of all are marked as pending.
  std::optional<std::int64_t> lifetime_seconds;
  std::optional<std::int64_t> release;  // the lease whose hold on the expiry ends
  std::optional<MessageId> deleted;     // a summary that covers it goes
  bool drops_summary = false;           // one does, as a condition has shown
  bool counted = false;                 // a mended count has it already, and says so in the slot
  // What the conversation, as it was found, asks for.
  enum class Removal { kMoved, kLeft, kPending };
  Removal removal = Removal::kMoved;
};

template <class Item>
struct ItemPage {
  std::vector<Item> items;
  bool more = false;
};

class Rows {
 public:
  // `retention_seconds`: of conversations without a time to live of their own.
  Rows(Client& client, TableNames names, std::optional<std::int64_t> retention_seconds = {})
      : client_(client), names_(std::move(names)), retention_seconds_(retention_seconds) {}

  const TableNames& names() const { return names_; }
  const std::optional<std::int64_t>& retention_seconds() const { return retention_seconds_; }

  // --- conversations ---
  Task<std::optional<ConversationItem>> conversation(UserId user, ConversationId id);
  // Newest first; at least one, and as many as `limit` if there are.
  Task<ItemPage<ConversationItem>> conversations(UserId user, std::optional<ConversationId> before,
                                                 std::size_t limit);
  // By UserUpdatedIndex, which may be a moment behind; whole items from the table.
  struct ActivityRows {
    std::vector<ConversationItem> items;
    std::optional<ActivityPosition> next;
  };
  Task<ActivityRows> conversations_by_activity(UserId user, std::optional<ActivityPosition> after,
                                               std::size_t limit);
  // False when there is one with this id already that this call did not write.
  Task<bool> insert_conversation(const ConversationItem& item, std::string change);
  // The conversation after the change, or as it is when the change was made before; nullopt when it
  // is gone.
  Task<std::optional<ConversationItem>> touch(UserId user, ConversationId id, Touch touch);
  // Activity in a conversation with a time to live, which holds its expiry off until the lease is
  // over (store/types.h, hold); nullopt when it is gone.
  Task<std::optional<Conversation>> hold(UserId user, ConversationId id, std::int64_t lease_until_s,
                                         std::int64_t now_s);
  // In place of `before`, by its version and by what holds its expiry off, which has none; false
  // when that is not what is there. `change` tells ours from another's when an answer was lost.
  // Where removal times are pending, put_purge comes first.
  Task<bool> replace_conversation(const ConversationItem& item, const Conversation& before,
                                  std::string change);
  // Sets the count of the conversation to that of `mended` where it is still the version before,
  // and remembers that it has what `changes` would add.
  Task<bool> mend(const Conversation& mended, std::vector<std::string> changes);
  // Sets the branches of the conversation from those of `before` to `tree`, and counts its version.
  // `there`: as it is by now; nullopt when it is gone.
  struct TreeChange {
    bool done = false;  // else the branches are others meanwhile
    std::optional<Conversation> there;
  };
  Task<TreeChange> replace_tree(const Conversation& before, const BranchTable& tree);
  // What an erasure needs of a user's conversations, also of those that cannot be read; at least
  // one, and as many as `limit` if there are.
  struct ConversationKey {
    ConversationId id;
    std::string idempotency;  // as ConversationItem's
  };
  Task<std::vector<ConversationKey>> conversation_keys(UserId user, std::size_t limit);
  // False when it is gone, or not at `if_version`.
  Task<bool> erase_conversation(UserId user, ConversationId id,
                                std::optional<std::uint64_t> if_version);

  // --- messages ---
  struct MessageQuery {
    ConversationId conversation;
    std::optional<MessageId> from;  // inclusive
    std::optional<MessageId> to;    // inclusive
    bool newest_first = false;
    std::size_t limit = 0;      // of rows
    boost::json::object start;  // where the page before ended
  };
  struct MessageRows {
    std::vector<MessageItem> items;  // contents that stand in parts are not read yet
    boost::json::object next;        // empty: no more
  };
  Task<MessageRows> messages(MessageQuery query);
  Task<std::optional<MessageItem>> message(ConversationId conversation, MessageId id);
  // An item may have 400 KB with its names and everything else in it.
  static constexpr std::size_t kPartBytes = 300'000;
  // A long content goes into parts first, and out of `item`. False when there is one with this id,
  // which kInPlaceOfRunning allows for a running answer.
  enum class Insert { kNew, kInPlaceOfRunning };
  Task<bool> insert_message(MessageItem& item, Insert how);
  // False when the message was deleted meanwhile.
  Task<bool> read_parts(MessageItem& item);
  // Many at once, in place of what has their ids; contents that one item can hold.
  Task<> put_messages(std::vector<MessageItem> items);
  // The prompt owes no answer any more. False when it did not owe this one.
  Task<bool> forget_reply(ConversationId conversation, MessageId prompt, MessageId reply);
  // With its parts. False when it was not there.
  Task<bool> erase_message(ConversationId conversation, MessageId id, std::size_t parts);

  // Sets when the service removes a message, or (nullopt) that it does not; nothing where it is
  // gone.
  Task<> set_removal(const MessageItem& item, std::optional<std::int64_t> ttl);

  // --- our own records ---
  Task<std::optional<KeyedItem>> keyed(std::string hash_key);
  // nullopt when it is written now; else what was there before and has not expired.
  Task<std::optional<KeyedItem>> claim(const KeyedItem& item, std::int64_t now_s);
  Task<> mark_deleted(std::string hash_key);
  // A renewal of the removal times of a conversation's messages (renewer.h).
  enum class Renewal { kOurs, kAnothers, kGone };
  Task<Renewal> claim_renewal(UserId user, ConversationId id, std::int64_t now_s,
                              std::int64_t until_s);
  // Claims it for longer, or (nullopt) leaves it to others, where the claim is still as given.
  Task<bool> move_renewal(UserId user, ConversationId id, std::int64_t from_s,
                          std::optional<std::int64_t> until_s);
  // `renewed_at_s` with the lifetime that they were renewed for; nullopt: they stay. So does the
  // conversation, or it gets its own removal time, the last one. False where it has another time to
  // live than `item`, its removal times are pending anew, or the claim is another's.
  Task<bool> end_renewal(ConversationItem item, std::int64_t claimed_until_s,
                         std::optional<std::int64_t> renewed_at_s);
  // Erases the conversation, unless there was activity or a change since it was read.
  Task<bool> erase_unchanged(const Conversation& read);
  // What has been done for the retention (retention_pass.h).
  Task<std::optional<RetentionItem>> retention();
  // In place of the one with the stamp `before` (empty: of none). False when that is not there.
  Task<bool> replace_retention(RetentionItem item, std::string before);
  // Of all users, in an order of the service's own; damaged ones are logged and left out.
  // `position`: empty, or as given.
  struct ConversationRows {
    std::vector<ConversationItem> items;
    std::size_t rows = 0;  // that were looked at
    std::string next;      // the position after them; empty: no more
  };
  Task<ConversationRows> all_conversations(std::string position, std::int64_t limit);
  // Before a deletion, and before removal times are marked as pending: whatever crashes, the
  // messages go, or their times are set. With `claimed_for_s` nobody else is at it for so long.
  Task<> put_purge(UserId user, ConversationId id, std::int64_t now_s,
                   std::int64_t claimed_for_s = 0);
  // What stands there instead: a deletion, or a taking whose claim holds; nullopt: this one is
  // written.
  Task<std::optional<PurgeItem>> insert_purge(const PurgeItem& item, std::int64_t now_s);
  // Those that cannot be read are logged and left out.
  Task<ItemPage<PurgeItem>> purges(std::size_t shard, std::optional<ConversationId> after);
  // Where it stands as `before`: false when another server has had it since.
  Task<bool> replace_purge(PurgeItem before, PurgeItem after);
  Task<bool> erase_purge(PurgeItem before);
  // Writes the conversation and erases the record of its taking, both or (false) neither: there is
  // one with this id, or the record is another's.
  Task<bool> finish_taking(const ConversationItem& item, PurgeItem taking);
  // Removes messages of a conversation, some at a time, and (kErased) the records of the requests
  // that made them; returns how many, 0 when none is left.
  enum class Keys { kStay, kErased };
  Task<std::size_t> erase_some_messages(ConversationId id, Keys keys = Keys::kStay);
  Task<> erase_keyed(std::string hash_key);

  // --- erasing users (user_eraser.h) ---
  Task<> begin_erasure(UserId user, std::int64_t now_ms);
  Task<std::vector<ErasingItem>> erasures();
  // A server that looks for erasures, by a name that no other has, until a time. Written also where
  // this server may write nothing else any more (Client::write_until).
  Task<> put_looking(std::string server, std::int64_t until_s,
                     std::optional<std::chrono::milliseconds> timeout);
  Task<> erase_looking(std::string server);
  Task<std::set<std::string>> all_looking(std::int64_t now_s);
  // Nothing where that erasure has ended.
  Task<> acknowledge_erasure(UserId user, std::int64_t begun_at_ms, std::string server);
  // nullopt when another server is at it, or it has ended.
  Task<std::optional<ErasingItem>> claim_erasure(UserId user, std::int64_t begun_at_ms,
                                                 std::string owner, std::int64_t now_s,
                                                 std::int64_t until_s);
  // The moment that it was given first; nullopt as above.
  Task<std::optional<std::int64_t>> seal_erasure(UserId user, std::int64_t begun_at_ms,
                                                 std::string owner, std::int64_t now_ms);
  // The record goes where it is the owner's still, and has that moment; else kUnavailable.
  Task<> end_erasure(UserId user, std::string owner, ErasedUser erased);
  Task<std::vector<ErasedUser>> erased_users(std::string after);
  // Puts the user on that list, unless there is a later erasure of theirs.
  Task<> note_erased(ErasedUser erased);

 private:
  ConversationItem read(const boost::json::object& item) const;
  struct Row {
    std::string hash;
    std::string range;
  };
  Task<std::optional<boost::json::object>> get(std::string body);
  // All that stand under a hash key of the table of messages.
  Task<std::vector<boost::json::object>> records(std::string hash_key);
  Task<std::map<ConversationId, ConversationItem>> conversations_of(
      UserId user, std::vector<ConversationId> ids);
  Task<> erase_all(const std::vector<Row>& rows);
  Task<> write_parts(MessageItem& item);
  Task<> set_removal_of(Row row, std::optional<std::int64_t> ttl);

  Client& client_;
  const TableNames names_;
  const std::optional<std::int64_t> retention_seconds_;
};

}  // namespace colloquy::store::dynamodb
