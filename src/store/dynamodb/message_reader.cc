#include "store/dynamodb/message_reader.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <utility>

#include "store/parents.h"

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
  auto most = store::recent_rows(range.messages);
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

// Who it is, without what it says.
Message head_of(const MessageItem& item) {
  Message head;
  head.id = item.message.id;
  head.branch = item.message.branch;
  return head;
}

bool is_forward(const MessageRange& range) { return range.after.has_value(); }

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

Task<MessageReader::Page> MessageReader::page(ConversationId conversation, Path path,
                                              MessageRange range) {
  auto rows = page_rows(conversation, path, range);
  co_await extend_page(rows, range);
  co_return take_page(rows, range);
}

PathRows MessageReader::page_rows(ConversationId conversation, const Path& path,
                                  const MessageRange& range) const {
  bool forward = is_forward(range);
  auto edge = forward ? range.after : range.before;
  if (forward && *range.after == MessageId()) edge.reset();
  return {conversation, path,
          forward ? PathRows::Order::kOldestFirst : PathRows::Order::kNewestFirst, edge,
          clock_.now_s()};
}

Task<bool> MessageReader::extend_page(PathRows& rows, MessageRange range) {
  while (!rows.ended() && page_size(rows.seen(), range) == rows.seen().size()) {
    // The edge itself, and one to know whether there are more.
    co_await rows.read(rows_, range.limit + 2);
  }
  co_return true;
}

MessageReader::Page MessageReader::take_page(PathRows& rows, const MessageRange& range) {
  Page page;
  page.items = std::move(rows.seen());
  auto size = page_size(page.items, range);
  page.more = size < page.items.size();
  if (is_forward(range)) {
    page.from_first = *range.after == MessageId();
    page.older = rows.edge_message();
  } else {
    page.from_first = !page.more;
    if (page.more) page.older = head_of(page.items[size]);
  }
  page.items.resize(size);
  if (!is_forward(range)) std::reverse(page.items.begin(), page.items.end());
  return page;
}

Task<> MessageReader::link(const Conversation& conversation, std::vector<Message>& messages,
                           const Page& page) {
  std::size_t before_first = page.older ? 1 : 0;
  if (page.older) messages.insert(messages.begin(), *page.older);
  auto missing = link_parents(conversation.tree, messages);
  if (page.older) messages.erase(messages.begin());
  if (page.from_first) co_return;
  // Many branches begin at the same place.
  std::map<std::pair<std::uint32_t, MessageId>, std::optional<MessageId>> known;
  for (auto& [index, way] : missing) {
    if (index < before_first) continue;
    const auto& last = way.segments().front();
    std::pair place(last.branch.value_or(0), last.last);
    auto found = known.find(place);
    if (found == known.end()) {
      auto newest_before = co_await newest(conversation.id, way);
      found = known.emplace(place, newest_before).first;
    }
    messages[index - before_first].parent = found->second;
  }
}

PathRows MessageReader::recent_rows(ConversationId conversation, const Path& path,
                                    std::optional<MessageId> up_to) const {
  std::optional<MessageId> edge;
  if (up_to) edge = up_to->successor();
  return {conversation, path, PathRows::Order::kNewestFirst, edge, clock_.now_s()};
}

Task<bool> MessageReader::extend(PathRows& rows, RecentRange range) {
  bool by_bytes = range.content_bytes < limits::kContextBytesMax;
  std::size_t page = kFirstPage;
  while (!rows.ended()) {
    auto found = texts_of(rows.seen(), range);
    if (found.enough) break;
    // By a count it is known how many are wanted; what stands between them is seldom without a
    // text.
    std::size_t least = rows.begun() ? kFurtherRows : 1;
    auto limit = std::max(range.messages - found.count, least);
    if (by_bytes) limit = std::min(limit, page);
    page = std::min(2 * page, kLargestPage);
    co_await rows.read(rows_, limit);
  }
  co_return rows.ended();
}

Task<MessageReader::Recent> MessageReader::newest_with_text(PathRows& rows, RecentRange range) {
  Recent recent;
  auto& seen = rows.seen();
  auto found = texts_of(seen, range);
  recent.whole = rows.ended() && found.looked_at == seen.size();
  for (std::size_t i = 0; i < found.looked_at; ++i) {
    if (has_text(seen[i])) recent.items.push_back(std::move(seen[i]));
  }
  std::reverse(recent.items.begin(), recent.items.end());
  co_await read_contents(recent.items);
  co_return recent;
}

Task<std::optional<MessageId>> MessageReader::newest(ConversationId conversation, Path path) {
  PathRows rows(conversation, path, PathRows::Order::kNewestFirst, std::nullopt, clock_.now_s());
  while (!rows.ended() && rows.seen().empty()) {
    co_await rows.read(rows_, rows.begun() ? kFurtherRows : 1);
  }
  if (rows.seen().empty()) co_return std::nullopt;
  co_return rows.seen().front().message.id;
}

Task<std::int64_t> MessageReader::running_lease(ConversationId conversation) {
  constexpr std::size_t kLookedAt = 100;
  MessageRange range;
  range.limit = kLookedAt;
  auto newest = co_await page(conversation, Path::all(), range);
  std::int64_t lease = 0;
  for (const auto& item : newest.items) {
    if (item.message.status != MessageStatus::kRunning || !item.running) continue;
    lease = std::max(lease, item.running->lease_until_s);
  }
  co_return lease;
}

Task<MessageReader::Found> MessageReader::find(ConversationId conversation, MessageId id,
                                               Look look) {
  Rows::MessageQuery query;
  query.conversation = conversation;
  if (look == Look::kAlone && id.predecessor() < id) query.from = id.predecessor();
  query.to = id;
  query.newest_first = true;
  query.limit = 2;
  auto rows = co_await rows_.messages(std::move(query));
  Found found;
  auto& items = rows.items;
  found.is_written = !items.empty() && items.front().message.id == id;
  if (found.is_written) {
    see(items.front(), clock_.now_s());
    found.item = std::move(items.front());
    items.erase(items.begin());
  }
  if (!items.empty()) {
    auto& before = items.front();
    bool owes_it = before.reply && before.reply->id == id;
    bool owes_another = before.reply && !owes_it;
    if (owes_another) found.older.push_back(head_of(answer_to_come(before, clock_.now_s())));
    found.older.push_back(head_of(before));
    if (owes_it) found.prompt = std::move(before);
  }
  if (!found.item && found.prompt) found.item = answer_to_come(*found.prompt, clock_.now_s());
  if (found.item) {
    bool there = co_await rows_.read_parts(*found.item);
    if (!there) found.item.reset();
  }
  co_return found;
}

Task<std::optional<MessageId>> MessageReader::parent(const Conversation& conversation,
                                                     const Found& found) {
  if (found.older.empty()) co_return std::nullopt;
  auto way = before(conversation.tree, found.item->message);
  for (const auto& older : found.older) {
    if (way.contains(older.branch, older.id)) co_return older.id;
  }
  co_return co_await newest(conversation.id, std::move(way));
}

}  // namespace colloquy::store::dynamodb
