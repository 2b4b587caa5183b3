#include "store/store.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace colloquy::store {
namespace {

std::tuple<std::int64_t, ConversationId> place_of(const Conversation& conversation) {
  return {conversation.updated_at_s, conversation.id};
}

}  // namespace

Task<bool> Store::close() { co_return true; }

Task<> Store::recount(UserId /*user*/, ConversationId /*id*/) { co_return; }

Task<std::optional<std::string>> Store::find_owner(UserId /*user*/, ConversationId /*id*/,
                                                   MessageId /*reply*/) {
  co_return std::nullopt;
}

Task<ActivityPage> Store::list_by_activity(UserId user, std::size_t limit,
                                           std::optional<ActivityPosition> after) {
  std::vector<Conversation> newest;
  std::optional<ConversationId> next;
  do {
    auto left = limits::kActivityScanned - newest.size();
    auto page = co_await list_conversations(user, std::min(left, limits::kPageMax), next);
    std::move(page.conversations.begin(), page.conversations.end(), std::back_inserter(newest));
    next = page.next;
  } while (next && newest.size() < limits::kActivityScanned);
  if (after) {
    std::erase_if(newest, [&after](const Conversation& conversation) {
      return place_of(conversation) >= std::tuple(after->updated_at_s, after->id);
    });
  }
  std::sort(newest.begin(), newest.end(),
            [](const Conversation& a, const Conversation& b) { return place_of(a) > place_of(b); });
  ActivityPage page;
  if (newest.size() > limit) {
    newest.resize(limit);
    if (limit > 0) page.next = ActivityPosition{newest.back().updated_at_s, newest.back().id};
  }
  page.conversations = std::move(newest);
  co_return page;
}

}  // namespace colloquy::store
