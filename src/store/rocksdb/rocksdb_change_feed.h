// The change feed of the embedded store: reads the rows of change_log.h, and what stands in the
// store now. Waits for the disk, and while the database is opened again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "store/change_feed.h"
#include "store/rocksdb/database.h"
#include "store/rocksdb/reader.h"
#include "store/rocksdb/writer.h"

namespace colloquy::store {

class RocksDbChangeFeed final : public ChangeFeed {
 public:
  // All outlive it. `instance` is that of the running answers of this opening.
  RocksDbChangeFeed(Database& database, Writer& writer, const Clock& clock, Uuid instance,
                    Uuid sequence)
      : database_(database),
        writer_(writer),
        clock_(clock),
        instance_(instance),
        sequence_(sequence) {}

  Uuid sequence() const override { return sequence_; }
  std::uint64_t forgotten() override;
  std::uint64_t newest() override;
  std::vector<ChangeSet> changes(std::uint64_t after, std::size_t most) override;
  bool forget_some(std::uint64_t up_to) override;
  std::optional<Conversation> conversation(const UserId& user, ConversationId id) override;
  std::optional<Message> message(ConversationId conversation, MessageId id) override;
  ConversationBatch conversations(const std::string& position, std::size_t most) override;
  MessageBatch messages(ConversationId conversation, MessageId after, std::size_t bytes) override;

 private:
  Message seen(const MessageId& id, std::string_view value) const;

  Database& database_;
  Writer& writer_;
  const Clock& clock_;
  const Uuid instance_;
  const Uuid sequence_;
  std::uint64_t forgotten_ = 0;  // so that a scan does not walk over what was removed
};

}  // namespace colloquy::store
