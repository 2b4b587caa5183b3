#include "store/rocksdb/path_cursor.h"

#include <algorithm>

#include "base/error.h"
#include "store/rocksdb/keys.h"
#include "store/rocksdb/value_codec.h"

namespace colloquy::store {

void PathCursor::seek_newest(const std::optional<MessageId>& before) {
  forward_ = false;
  edge_ = before;
  segment_ = 0;
  enter();
}

void PathCursor::seek_oldest(const MessageId& after) {
  forward_ = true;
  edge_ = after;
  segment_ = 0;
  enter();
}

void PathCursor::next() {
  step();
  valid_ = settle();
  if (valid_) return;
  ++segment_;
  enter();
}

void PathCursor::step() {
  if (forward_) {
    at_.Next();
  } else {
    at_.Prev();
  }
}

void PathCursor::enter() {
  valid_ = false;
  const auto& segments = path_.segments();
  for (; segment_ < segments.size(); ++segment_) {
    const auto& segment = segments[forward_ ? segments.size() - 1 - segment_ : segment_];
    if (forward_) {
      if (*edge_ >= segment.last) continue;
      at_.Seek(keys::message(conversation_, std::max(segment.first, *edge_)));
    } else {
      if (edge_ && *edge_ <= segment.first) continue;
      at_.SeekForPrev(
          keys::message(conversation_, edge_ ? std::min(segment.last, *edge_) : segment.last));
    }
    valid_ = settle();
    if (valid_) return;
  }
}

bool PathCursor::settle() {
  const auto& segments = path_.segments();
  const auto& segment = segments[forward_ ? segments.size() - 1 - segment_ : segment_];
  for (; at_.Valid(); step()) {
    auto id = keys::parse_message(at_.key().ToStringView());
    if (!id) throw internal_error("a message's key is garbled");
    if (*id < segment.first || *id > segment.last) return false;
    bool sought = !edge_ || (forward_ ? *id > *edge_ : *id < *edge_);
    bool on_way = !segment.branch || branch_of(at_.value().ToStringView()) == *segment.branch;
    if (!sought || !on_way) continue;
    id_ = *id;
    return true;
  }
  return false;
}

}  // namespace colloquy::store
