// Puts into an index what the store has: what each change has left, and all conversations where an
// index is made. It commits whenever some megabytes have come together; how far it is (`fed`,
// `position`) moves only with the end of a commit of the store, or of a batch.
//
// A record that cannot be read is counted, logged and passed over, since the rest of the store can
// be searched all the same.
//
// For the feeder's thread. Throws kUnavailable, IndexDamaged, and Stopped once the server is
// stopping: then what was not committed is done again.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "base/error.h"
#include "search/index_writer.h"
#include "store/change_feed.h"
#include "telemetry/metrics.h"

namespace colloquy::search {

struct Stopped {};

class IndexFill {
 public:
  // All outlive it.
  IndexFill(store::ChangeFeed& feed, const std::atomic<bool>& stopping,
            telemetry::Metrics& metrics);

  // After it, the index is fed up to this set's number; to be committed.
  void apply(IndexWriter& index, const store::ChangeSet& set);
  void apply(IndexWriter& index, const store::Change& change);
  // Reads in some more, and commits it. The state says when it was all.
  // Throws kInternal where the store's conversations cannot be listed.
  void read_piece(IndexWriter& index);
  // The next read_piece goes on from what was committed, or is of another index.
  void restart() { to_read_.clear(); }

 private:
  void apply_readable(IndexWriter& index, const store::Change& change);
  // False when all of the conversation has been read.
  bool read_some(IndexWriter& index, const store::ConversationName& name, std::size_t& bytes);
  void put(IndexWriter& index, const UserId& user, ConversationId conversation,
           const store::Message& message);
  void look_for_stop() const;
  void note_unreadable(std::size_t count, const std::string& detail);

  store::ChangeFeed& feed_;
  const std::atomic<bool>& stopping_;
  telemetry::Counter& unreadable_;
  std::chrono::steady_clock::time_point logged_at_{};
  // Where the reading stands inside a batch, the next one last. Names only: what they have is
  // looked at when it is put.
  std::vector<store::ConversationName> to_read_;
  MessageId last_read_;
  std::string after_batch_;
};

}  // namespace colloquy::search
