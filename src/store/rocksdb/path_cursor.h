// Walks over the messages of one way through a conversation's tree (store/branches.h).
//
// Between two segments it seeks, so that what other branches have in between costs nothing. Works
// on an iterator over the conversation's messages that outlives it. Throws Error for what is
// damaged.
#pragma once

#include <rocksdb/iterator.h>

#include <cstddef>
#include <optional>
#include <string_view>

#include "base/ids.h"
#include "store/branches.h"

namespace colloquy::store {

class PathCursor {
 public:
  PathCursor(rocksdb::Iterator& at, const ConversationId& conversation, const Path& path)
      : at_(at), conversation_(conversation), path_(path) {}

  // Stands at the newest message that is older than `before`, if it is given; goes on to older
  // ones.
  void seek_newest(const std::optional<MessageId>& before);
  // Stands at the oldest one that is newer than `after`; goes on to newer ones.
  void seek_oldest(const MessageId& after);

  bool valid() const { return valid_; }
  void next();
  const MessageId& id() const { return id_; }

 private:
  // Seeks the segment that it has come to, and those after it, until one has a message.
  void enter();
  // From where the iterator stands to the next message of this segment; false at its end.
  bool settle();
  void step();

  rocksdb::Iterator& at_;
  const ConversationId conversation_;
  const Path path_;
  bool forward_ = false;
  std::optional<MessageId> edge_;  // what was sought is beyond it
  std::size_t segment_ = 0;        // of those of the path, in the direction of the walk
  bool valid_ = false;
  MessageId id_;
};

}  // namespace colloquy::store
