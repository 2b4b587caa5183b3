#include "search/index_fill.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "telemetry/log.h"

namespace colloquy::search {
namespace {

using Steady = std::chrono::steady_clock;

constexpr std::size_t kPieceConversations = 200;
constexpr std::size_t kPieceMessageBytes = 2 * limits::kMiB;
constexpr std::size_t kCommitBytes = 4 * limits::kMiB;
constexpr std::size_t kRowBytes = 256;
constexpr auto kLogInterval = std::chrono::seconds(10);

}  // namespace

IndexFill::IndexFill(store::ChangeFeed& feed, const std::atomic<bool>& stopping,
                     telemetry::Metrics& metrics)
    : feed_(feed),
      stopping_(stopping),
      unreadable_(metrics.counter("colloquy_search_unreadable_total",
                                  "Records that the index passed over, since the store could not "
                                  "read them.")) {}

void IndexFill::look_for_stop() const {
  if (stopping_.load(std::memory_order_relaxed)) throw Stopped();
}

void IndexFill::note_unreadable(std::size_t count, const std::string& detail) {
  if (count == 0) return;
  unreadable_.Increment(static_cast<double>(count));
  if (logged_at_ != Steady::time_point() && Steady::now() < logged_at_ + kLogInterval) return;
  logged_at_ = Steady::now();
  telemetry::log_error("search.record_unreadable", {{"detail", detail}});
}

void IndexFill::apply(IndexWriter& index, const store::ChangeSet& set) {
  for (const auto& change : set.changes) {
    look_for_stop();
    apply(index, change);
    if (index.uncommitted_bytes() >= kCommitBytes) index.commit();
  }
  index.state().fed = set.number;
}

void IndexFill::apply(IndexWriter& index, const store::Change& change) {
  try {
    apply_readable(index, change);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInternal) throw;
    note_unreadable(1, change.conversation.to_string() + ": " + error.detail());
  }
}

void IndexFill::apply_readable(IndexWriter& index, const store::Change& change) {
  auto conversation = feed_.conversation(change.user, change.conversation);
  if (!conversation) {
    // What is left of it is removed when the change is read again.
    while (index.remove_some(change.conversation)) {
      index.commit();
      look_for_stop();
    }
    return;
  }
  if (change.message == MessageId()) {
    index.put({change.user, change.conversation, {}}, conversation->title);
    return;
  }
  auto message = feed_.message(change.conversation, change.message);
  if (message) {
    put(index, change.user, change.conversation, *message);
  } else {
    index.remove(change.conversation, change.message);
  }
}

void IndexFill::put(IndexWriter& index, const UserId& user, ConversationId conversation,
                    const store::Message& message) {
  DocumentKey key{user, conversation, message.id};
  if (message.status == store::MessageStatus::kRunning) {
    index.put_pending(key);
  } else {
    index.put(key, message.content);
  }
}

void IndexFill::read_piece(IndexWriter& index) {
  if (to_read_.empty()) {
    auto batch = feed_.conversations(index.state().position, kPieceConversations);
    note_unreadable(batch.unreadable, "conversations with a garbled key");
    to_read_ = std::move(batch.conversations);
    std::reverse(to_read_.begin(), to_read_.end());
    after_batch_ = std::move(batch.next);
    last_read_ = MessageId();
  }
  std::size_t bytes = 0;
  while (!to_read_.empty() && bytes < kPieceMessageBytes) {
    look_for_stop();
    const auto& name = to_read_.back();
    bytes += kRowBytes;
    bool more = false;
    try {
      more = read_some(index, name, bytes);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kInternal) throw;
      note_unreadable(1, name.id.to_string() + ": " + error.detail());
    }
    if (more) continue;
    to_read_.pop_back();
    last_read_ = MessageId();
  }
  if (to_read_.empty()) {
    index.state().position = after_batch_;
    index.state().whole = after_batch_.empty();
  }
  index.commit();
}

bool IndexFill::read_some(IndexWriter& index, const store::ConversationName& name,
                          std::size_t& bytes) {
  auto conversation = feed_.conversation(name.user, name.id);
  if (!conversation) {
    bool more = index.remove_some(name.id);
    if (more) index.commit();
    return more;
  }
  index.put({name.user, name.id, {}}, conversation->title);
  auto batch = feed_.messages(name.id, last_read_,
                              kPieceMessageBytes - std::min(bytes, kPieceMessageBytes - 1));
  note_unreadable(batch.unreadable, name.id.to_string() + ": messages that are garbled");
  for (const auto& message : batch.messages) {
    put(index, name.user, name.id, message);
    bytes += message.content.size() + kRowBytes;
  }
  last_read_ = batch.last;
  return batch.more;
}

}  // namespace colloquy::search
