// An embedded store that is moved from or into (store/transfer.h). It has the folder to itself: no
// server can run on it meanwhile. Every call blocks on the disk. For one thread.
#pragma once

#include <deque>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "store/rocksdb/database.h"
#include "store/rocksdb/write_group.h"
#include "store/transfer.h"

namespace colloquy::store {

class RocksDbTransfer final : public Importer {
 public:
  enum class Open { kExisting, kOrNew };

  // `folder` is the store's own. Throws Error: kInvalid when there is no store in it (kExisting) or
  // another process has it open; else as Database. `clock` and `ids` outlive it.
  RocksDbTransfer(const std::string& folder, Open how, const Clock& clock, IdSource& ids);

  Task<std::uint64_t> estimate() override;
  Task<MovedConversations> conversations(std::string position) override;
  Task<MovedMessages> messages(MovedConversation of, std::string position) override;
  Task<std::optional<MovedConversation>> find(UserId user, ConversationId id) override;
  Task<> put_messages(Conversation of, std::vector<Message> messages) override;
  Task<> put_conversation(Conversation conversation, std::optional<MessageId> newest) override;
  Task<> flush() override;

 private:
  std::optional<MovedConversation> read(const UserId& user, const ConversationId& id) const;
  void begin_group();
  void flush_if_large();
  void commit();

  Database database_;
  const Clock& clock_;
  const Uuid instance_;  // no answer was ever run by it
  WriteGroup group_;
  bool group_begun_ = false;
  std::size_t group_bytes_ = 0;
  std::deque<std::string> encoded_;            // of the group; where it points to
  std::set<std::string> conversations_added_;  // of the group
};

}  // namespace colloquy::store
