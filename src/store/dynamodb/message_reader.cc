#include "store/dynamodb/message_reader.h"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace colloquy::store::dynamodb {
namespace {

// How many of `items` make a page of the range.
std::size_t page_size(const std::vector<MessageItem>& items, const MessageRange& range) {
  std::size_t bytes = 0;
  std::size_t count = 0;
  while (count < items.size() && count < range.limit) {
    bytes += items[count].content_bytes;
    if (bytes > range.max_bytes && count > 0) break;
    ++count;
  }
  return count;
}

bool has_text(const MessageItem& item) {
  return item.content_bytes > 0 && item.message.status != MessageStatus::kRunning;
}

// With a budget it is not known how many messages it will take: a read unit's worth of small ones,
// then twice as many each time.
constexpr std::size_t kFirstPage = 8;
constexpr std::size_t kLargestPage = 256;
constexpr std::size_t kFurtherRows = 8;

// What of `seen`, newest first, is in the range.
struct Texts {
  std::size_t count = 0;      // that have a text
  std::size_t looked_at = 0;  // of all
  bool enough = false;        // no further one would be in it
};
Texts texts_of(const std::vector<MessageItem>& seen, const RecentRange& range) {
  Texts texts;
  std::size_t bytes = 0;
  auto most = recent_rows(range.messages);
  for (const auto& item : seen) {
    if (texts.count == range.messages || bytes >= range.content_bytes) break;
    if (texts.looked_at == most) break;
    ++texts.looked_at;
    if (!has_text(item)) continue;
    ++texts.count;
    bytes += item.content_bytes;
  }
  texts.enough = !seen.empty() && (texts.count == range.messages || bytes >= range.content_bytes ||
                                   texts.looked_at == most);
  return texts;
}

}  // namespace

Task<> MessageReader::read_contents(std::vector<MessageItem>& items) {
  std::vector<MessageItem> whole;
  whole.reserve(items.size());
  for (auto& item : items) {
    bool there = co_await rows_.read_parts(item);
    if (there) whole.push_back(std::move(item));
  }
  items = std::move(whole);
}

Task<MessageReader::Page> MessageReader::page(ConversationId conversation, MessageRange range) {
  using Order = MessageView::Order;
  bool forward = range.after.has_value();
  MessageView view(forward ? Order::kOldestFirst : Order::kNewestFirst,
                   forward ? range.after : range.before, clock_.now_s());
  Rows::MessageQuery query;
  query.conversation = conversation;
  query.newest_first = !forward;
  if (forward && *range.after != MessageId()) query.from = range.after;
  if (!forward) query.before = range.before;
  query.limit = range.limit + 2;  // the edge itself, and one to know whether there are more
  bool ended = false;
  while (!ended && page_size(view.seen(), range) == view.seen().size()) {
    auto rows = co_await rows_.messages(query);
    for (auto& item : rows.items) view.add(std::move(item));
    ended = rows.next.empty();
    query.start = std::move(rows.next);
  }
  if (ended) view.end();
  Page page;
  page.items = std::move(view.seen());
  auto size = page_size(page.items, range);
  page.more = size < page.items.size();
  page.items.resize(size);
  if (!forward) std::reverse(page.items.begin(), page.items.end());
  co_await read_contents(page.items);
  co_return page;
}

std::optional<MessageId> RecentRows::newest() {
  if (view.seen().empty()) return std::nullopt;
  return view.seen().front().message.id;
}

Task<bool> MessageReader::extend(RecentRows& rows, RecentRange range) {
  bool by_bytes = range.content_bytes != SIZE_MAX;
  std::size_t page = kFirstPage;
  while (!rows.ended) {
    auto found = texts_of(rows.view.seen(), range);
    if (found.enough) break;
    Rows::MessageQuery query;
    query.conversation = rows.conversation;
    query.newest_first = true;
    // By a count it is known how many are wanted; what stands between them is seldom without a
    // text.
    std::size_t least = rows.begun ? kFurtherRows : 1;
    query.limit = std::max(range.messages - found.count, least);
    if (by_bytes) query.limit = std::min(query.limit, page);
    page = std::min(2 * page, kLargestPage);
    query.start = std::move(rows.next);
    auto more = co_await rows_.messages(query);
    for (auto& item : more.items) rows.view.add(std::move(item));
    rows.begun = true;
    rows.ended = more.next.empty();
    rows.next = std::move(more.next);
  }
  co_return rows.ended;
}

Task<MessageReader::Recent> MessageReader::newest_with_text(RecentRows& rows, RecentRange range) {
  Recent recent;
  auto& seen = rows.view.seen();
  auto found = texts_of(seen, range);
  recent.whole = rows.ended && found.looked_at == seen.size();
  for (std::size_t i = 0; i < found.looked_at; ++i) {
    if (has_text(seen[i])) recent.items.push_back(std::move(seen[i]));
  }
  std::reverse(recent.items.begin(), recent.items.end());
  co_await read_contents(recent.items);
  co_return recent;
}

Task<std::optional<MessageId>> MessageReader::newest(ConversationId conversation) {
  Rows::MessageQuery query;
  query.conversation = conversation;
  query.newest_first = true;
  query.limit = 1;
  auto rows = co_await rows_.messages(query);
  if (rows.items.empty()) co_return std::nullopt;
  const auto& item = rows.items.front();
  co_return item.reply ? item.reply->id : item.message.id;
}

Task<std::int64_t> MessageReader::running_lease(ConversationId conversation) {
  constexpr std::size_t kLookedAt = 100;
  MessageRange range;
  range.limit = kLookedAt;
  auto newest = co_await page(conversation, range);
  std::int64_t lease = 0;
  for (const auto& item : newest.items) {
    if (item.message.status != MessageStatus::kRunning || !item.running) continue;
    lease = std::max(lease, item.running->lease_until_s);
  }
  co_return lease;
}

Task<MessageReader::Found> MessageReader::find(ConversationId conversation, MessageId id) {
  if (id.predecessor() >= id) co_return Found{};  // no id that was ever given
  Rows::MessageQuery query;
  query.conversation = conversation;
  query.from = id.predecessor();
  query.to = id;
  query.limit = 2;
  auto rows = co_await rows_.messages(query);
  Found found;
  for (auto& item : rows.items) {
    if (item.message.id == id) {
      see(item, clock_.now_s());
      found.item = std::move(item);
      found.is_written = true;
    } else if (item.reply && item.reply->id == id) {
      found.prompt = std::move(item);
    }
  }
  if (!found.item && found.prompt) found.item = answer_to_come(*found.prompt, clock_.now_s());
  if (found.item) {
    bool there = co_await rows_.read_parts(*found.item);
    if (!there) found.item.reset();
  }
  co_return found;
}

}  // namespace colloquy::store::dynamodb
