#include "store/dynamodb/path_rows.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace colloquy::store::dynamodb {

PathRows::PathRows(ConversationId conversation, const Path& path, Order order,
                   std::optional<MessageId> edge, std::int64_t now_s)
    : conversation_(conversation), order_(order), begin_(edge), edge_(edge), now_s_(now_s) {
  go_on(path);
}

// On `path`, from the edge on.
void PathRows::go_on(const Path& path) {
  segments_.clear();
  for (auto segment : path.segments()) {
    if (edge_ && order_ == Order::kNewestFirst) {
      auto last = edge_->predecessor();
      if (last >= *edge_) continue;  // there is no smaller id
      segment.last = std::min(segment.last, last);
    }
    // The edge itself may be a prompt whose answer is to come.
    if (edge_ && order_ == Order::kOldestFirst) {
      if (segment.last <= *edge_) continue;
      segment.first = std::max(segment.first, *edge_);
    }
    if (segment.first <= segment.last) segments_.push_back(segment);
  }
  if (order_ == Order::kNewestFirst) std::reverse(segments_.begin(), segments_.end());
  begin_segment();
}

void PathRows::begin_segment() {
  start_.clear();
  view_.reset();
  if (segments_.empty()) return;
  MessageView::Bounds bounds;
  bounds.last = segments_.back().last;
  if (order_ == Order::kOldestFirst) bounds.after = edge_;
  view_.emplace(order_, bounds, now_s_);
}

void PathRows::end_segment() {
  view_->end();
  auto& rest = view_->seen();
  std::move(rest.begin(), rest.end(), std::back_inserter(seen_));
  segments_.pop_back();
  begin_segment();
}

void PathRows::take(MessageItem item) {
  reached_ = item.message.id;
  if (segments_.back().branch && *segments_.back().branch != item.message.branch) return;
  if (begin_ == item.message.id) {
    edge_message_.emplace();
    edge_message_->id = item.message.id;
    edge_message_->branch = item.message.branch;
  }
  view_->add(std::move(item));
}

Task<> PathRows::read(Rows& rows, std::size_t limit) {
  begun_ = true;
  if (ended()) co_return;
  const auto& segment = segments_.back();
  Rows::MessageQuery query;
  query.conversation = conversation_;
  if (segment.first != MessageId()) query.from = segment.first;
  if (segment.last != last_message_id()) query.to = segment.last;
  query.newest_first = order_ == Order::kNewestFirst;
  query.limit = limit;
  query.start = std::move(start_);
  auto found = co_await rows.messages(std::move(query));
  for (auto& item : found.items) take(std::move(item));
  start_ = std::move(found.next);
  if (start_.empty()) {
    end_segment();
    co_return;
  }
  auto& seen = view_->seen();
  std::move(seen.begin(), seen.end(), std::back_inserter(seen_));
  seen.clear();
}

void PathRows::follow(const Path& path) {
  std::erase_if(seen_, [&path](const MessageItem& item) {
    return !path.contains(item.message.branch, item.message.id);
  });
  if (ended()) return;
  if (reached_) edge_ = reached_;
  begun_ = false;
  go_on(path);
}

}  // namespace colloquy::store::dynamodb
