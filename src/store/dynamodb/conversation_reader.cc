#include "store/dynamodb/conversation_reader.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/side_by_side.h"
#include "store/sealed_sizes.h"

namespace colloquy::store::dynamodb {
namespace {

// Changes that a mended count may have in it while whoever made them may yet want to count them.
constexpr std::size_t kRememberedMost = 200;

std::vector<Message> messages_of(std::vector<MessageItem> items) {
  std::vector<Message> messages;
  messages.reserve(items.size());
  for (auto& item : items) messages.push_back(std::move(item.message));
  return messages;
}

}  // namespace

Task<std::optional<Conversation>> ConversationReader::conversation(UserId user, ConversationId id) {
  auto found = co_await rows_.conversation(std::move(user), id);
  if (!found || found->conversation.expired(clock_.now_s())) co_return std::nullopt;
  co_return std::move(found->conversation);
}

// The conversation, which may be older than one of the messages that were read beside it.
Task<std::optional<Conversation>> ConversationReader::keep_up(
    std::optional<Conversation> read, const std::vector<MessageItem>& beside) {
  if (!read) co_return read;
  auto known = read->tree.newest();
  bool behind = std::any_of(beside.begin(), beside.end(), [known](const MessageItem& item) {
    return item.message.branch > known;
  });
  if (!behind) co_return read;
  co_return co_await conversation(read->user_id, read->id);
}

// Sets the count to what was seen, where a crash between two writes has left it behind.
Task<> ConversationReader::mend(Conversation& conversation, const Recount& seen) {
  auto count = static_cast<std::uint64_t>(std::max<std::int64_t>(seen.count(), 0));
  if (count == conversation.message_count) co_return;
  // Too much going on to remember it all. The next read will find it quieter.
  if (seen.changes().size() > kRememberedMost) co_return;
  auto mended = conversation;
  mended.message_count = count;
  ++mended.version;
  std::vector<std::string> changes(seen.changes().begin(), seen.changes().end());
  bool done = co_await rows_.mend(mended, std::move(changes));
  if (done) conversation = std::move(mended);
}

Task<MessagePage> ConversationReader::list(UserId user, ConversationId id, MessageRange range) {
  auto rows = reader_.page_rows(id, Path::all(), range);
  auto both =
      co_await side_by_side(conversation(std::move(user), id), reader_.extend_page(rows, range));
  auto found = co_await keep_up(std::move(both.first), rows.seen());
  if (!found) throw not_found();
  bool all = found->tree.plain() || range.all_branches;
  if (!all) {
    rows.follow(Path::active(found->tree));
    co_await reader_.extend_page(rows, range);
  }
  auto read = MessageReader::take_page(rows, range);
  bool from_the_first = !range.before && (!range.after || *range.after == MessageId());
  if (all && from_the_first && !read.more) {
    Recount seen(clock_.now_s());
    seen.add(read.items);
    seen.end();
    co_await mend(*found, seen);
  }
  co_await reader_.read_contents(read.items);
  MessagePage page;
  page.more = read.more;
  page.messages = messages_of(std::move(read.items));
  co_await reader_.link(*found, page.messages, read);
  page.conversation = std::move(*found);
  co_return page;
}

Task<> ConversationReader::recount(UserId user, ConversationId id) {
  // Mended only as it was before its messages were read: what changes it meanwhile stands.
  auto found = co_await conversation(std::move(user), id);
  if (!found) throw not_found();
  Recount seen(clock_.now_s());
  MessageRange range;
  range.limit = limits::kPageMax;
  range.after = MessageId();
  bool more = true;
  while (more) {
    auto page = co_await reader_.page(id, Path::all(), range);
    seen.add(page.items);
    if (!page.items.empty()) range.after = page.items.back().message.id;
    more = page.more;
  }
  seen.end();
  co_await mend(*found, seen);
}

Task<std::optional<Message>> ConversationReader::message(UserId user, ConversationId id,
                                                         MessageId message) {
  auto both = co_await side_by_side(conversation(std::move(user), id),
                                    reader_.find(id, message, MessageReader::Look::kWithOlder));
  auto& [there, found] = both;
  if (!there || !found.item) co_return std::nullopt;
  auto parent = co_await reader_.parent(*there, found);
  found.item->message.parent = parent;
  co_return std::move(found.item->message);
}

RecentRange ConversationReader::range_of(const ContextSettings& settings) const {
  auto range = recent_range(settings);
  return sealed_contents_ ? sealed_range(range) : range;
}

Task<std::optional<RecentMessages>> ConversationReader::recent(UserId user, ConversationId id,
                                                               ContextSettings usual,
                                                               std::optional<TreePlace> up_to) {
  auto usual_range = range_of(usual);
  auto range = hints_.guess(id, usual_range);
  bool nothing = up_to && up_to->after == MessageId();
  auto path = nothing ? Path::to(BranchTable(), *up_to) : Path::all();
  std::optional<MessageId> last;
  if (up_to && !nothing) last = up_to->after;
  auto rows = reader_.recent_rows(id, path, last);
  RecentMessages recent;
  std::optional<Conversation> found;
  if (up_to) {
    auto first = side_by_side(conversation(user, id), reader_.newest(id, Path::all()));
    auto all = co_await side_by_side(std::move(first), reader_.extend(rows, range));
    found = std::move(all.first.first);
    recent.newest = all.first.second;
  } else {
    auto both = co_await side_by_side(conversation(user, id), reader_.extend(rows, range));
    found = std::move(both.first);
    if (!rows.seen().empty()) recent.newest = rows.seen().front().message.id;
  }
  found = co_await keep_up(std::move(found), rows.seen());
  if (!found) co_return std::nullopt;
  if (up_to) {
    rows.follow(Path::to(found->tree, *up_to));
  } else if (!found->tree.plain()) {
    rows.follow(Path::active(found->tree));
  }
  auto own_range = range_of(resolved(found->context, usual));
  hints_.learn(id, own_range, usual_range);
  co_await reader_.extend(rows, own_range);
  if (!rows.seen().empty()) recent.tip = rows.seen().front().message.id;
  auto items = co_await reader_.newest_with_text(rows, own_range);
  recent.conversation = std::move(*found);
  recent.messages = messages_of(std::move(items.items));
  recent.whole = items.whole;
  co_return recent;
}

}  // namespace colloquy::store::dynamodb
