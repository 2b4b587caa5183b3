// The rows of the two tables: every read and write that the store makes of them, one call of the
// service each unless said otherwise. Reads are consistent. Thread-safe.
//
// Errors: Error(kUnavailable) when the service is out, kInternal for rows that cannot be.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/task.h"
#include "store/dynamodb/client.h"
#include "store/dynamodb/items.h"
#include "store/dynamodb/request.h"

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
  std::optional<std::int64_t> ttl_seconds;  // as the caller knows it, to move the removal
  std::optional<std::int64_t> release;      // the lease whose hold on the expiry ends
  std::optional<MessageId> deleted;         // a summary that covers it goes
  bool drops_summary = false;               // one does, as a condition has shown
  bool counted = false;  // a mended count has it already, and says so in the slot
};

template <class Item>
struct ItemPage {
  std::vector<Item> items;
  bool more = false;
};

class Rows {
 public:
  Rows(Client& client, TableNames names) : client_(client), names_(std::move(names)) {}

  const TableNames& names() const { return names_; }

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
  Task<bool> claim_renewal(UserId user, ConversationId id, std::int64_t now_s,
                           std::int64_t until_s);
  Task<> end_renewal(UserId user, ConversationId id, std::optional<std::int64_t> renewed_at_s);
  Task<> put_purge(const PurgeItem& item);
  Task<ItemPage<PurgeItem>> purges(std::size_t shard, std::optional<ConversationId> after);
  // False when another server is at it.
  Task<bool> claim_purge(const PurgeItem& item, std::int64_t now_s, std::int64_t until_s);
  Task<> postpone_purge(ConversationId id, std::int64_t until_s);
  Task<> erase_purge(ConversationId id);
  // Removes messages of a conversation, some at a time; returns how many, 0 when none is left.
  Task<std::size_t> erase_some_messages(ConversationId id);

 private:
  struct Row {
    std::string hash;
    std::string range;
  };
  Task<std::optional<boost::json::object>> get(std::string body);
  Task<std::map<ConversationId, ConversationItem>> conversations_of(
      UserId user, std::vector<ConversationId> ids);
  Task<> erase_all(const std::vector<Row>& rows);
  Task<> write_parts(MessageItem& item);
  Task<> set_removal_of(Row row, std::optional<std::int64_t> ttl);

  Client& client_;
  const TableNames names_;
};

}  // namespace colloquy::store::dynamodb
