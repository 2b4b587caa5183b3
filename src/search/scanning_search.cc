#include "search/scanning_search.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/error.h"
#include "search/verify.h"

namespace colloquy::search {
namespace {

constexpr std::size_t kThreads = 2;
constexpr auto kTimeLimit = std::chrono::seconds(10);  // the reads too

const Uuid& id_of(const Hit& hit) {
  return hit.message ? hit.message->id.uuid() : hit.conversation.uuid();
}

std::uint64_t half_of(const Uuid& id, std::size_t first) {
  std::uint64_t half = 0;
  for (std::size_t i = first; i < first + 8; ++i) half = half << 8 | id.bytes[i];
  return half;
}

Uuid uuid_of(std::uint64_t high, std::uint64_t low) {
  Uuid id;
  for (std::size_t i = 0; i < 8; ++i) {
    id.bytes[i] = static_cast<std::uint8_t>(high >> (56 - 8 * i));
    id.bytes[8 + i] = static_cast<std::uint8_t>(low >> (56 - 8 * i));
  }
  return id;
}

// The last hit of the page before, and the time to which newness is measured.
struct Position {
  std::int64_t as_of_ms = 0;
  bool begun = false;
  double score = 0;
  Uuid id;
};

Position position_of(const std::optional<std::string>& cursor, std::int64_t now_ms) {
  Position position;
  position.as_of_ms = now_ms;
  if (!cursor) return position;
  auto numbers = decode_cursor(*cursor, 4);
  position.as_of_ms = static_cast<std::int64_t>(numbers[0]);
  if (position.as_of_ms < 0) throw bad_cursor();
  position.begun = true;
  position.score = std::bit_cast<double>(numbers[1]);
  position.id = uuid_of(numbers[2], numbers[3]);
  return position;
}

std::string cursor_of(const Position& position, const Hit& last) {
  const auto& id = id_of(last);
  return encode_cursor({static_cast<std::uint64_t>(position.as_of_ms),
                        std::bit_cast<std::uint64_t>(last.score), half_of(id, 0), half_of(id, 8)});
}

bool before(double left_score, const Uuid& left_id, double right_score, const Uuid& right_id) {
  if (left_score != right_score) return left_score > right_score;
  return left_id > right_id;
}

// The hits behind the position, in order, with their scores and snippets.
Page page_of(const Query& query, std::vector<Hit> sources, const Position& position,
             std::size_t limit, Deadline deadline) {
  std::vector<Hit> found;
  for (auto& hit : sources) {
    check_deadline(deadline);
    auto matches = find_matches(query, text_of(hit));
    if (!matches.all()) continue;
    hit.score = relevance(matches.counts, matches.tokens) +
                recency(id_of(hit).unix_ms(), position.as_of_ms);
    bool given = position.begun && !before(position.score, position.id, hit.score, id_of(hit));
    if (!given) found.push_back(std::move(hit));
  }
  std::sort(found.begin(), found.end(), [](const Hit& left, const Hit& right) {
    return before(left.score, id_of(left), right.score, id_of(right));
  });
  Page page;
  bool more = found.size() > limit;
  if (more) found.resize(limit);
  if (more) page.next = cursor_of(position, found.back());
  page.hits = verified(query, std::move(found), deadline);
  return page;
}

}  // namespace

ScanningSearch::ScanningSearch(store::Store& store, const Clock& clock, telemetry::Metrics& metrics)
    : store_(store),
      clock_(clock),
      seconds_(metrics.histogram("colloquy_search_seconds", "Time that a search took.",
                                 telemetry::latency_buckets())),
      slots_("searches", kAtOnce, kAtOnceOfAUser),
      pool_(kThreads, kAtOnce) {}

Task<ScanningSearch::Sources> ScanningSearch::read_titles(UserId user, Deadline deadline) {
  Sources sources;
  sources.complete = false;  // messages are not looked at
  std::optional<ConversationId> after;
  do {
    check_deadline(deadline);
    auto page = co_await store_.list_conversations(user, limits::kPageMax, after);
    after = page.next;
    for (auto& conversation : page.conversations) {
      Hit hit;
      hit.conversation = conversation.id;
      hit.title = std::move(conversation.title);
      sources.hits.push_back(std::move(hit));
    }
  } while (after && sources.hits.size() < kConversations);
  co_return sources;
}

Task<ScanningSearch::Sources> ScanningSearch::read_conversation(UserId user, ConversationId id,
                                                                Deadline deadline) {
  Sources sources;
  store::MessageRange range;
  range.limit = limits::kPageMax;
  range.all_branches = true;
  std::size_t bytes = 0;
  std::size_t messages = 0;
  for (bool more = true; more;) {
    check_deadline(deadline);
    auto page = co_await store_.list_messages(user, id, range);
    if (sources.hits.empty()) {
      Hit title;
      title.conversation = id;
      title.title = page.conversation.title;
      sources.hits.push_back(std::move(title));
    }
    more = page.more && !page.messages.empty();
    if (!page.messages.empty()) range.before = page.messages.front().id;
    for (auto& message : page.messages) {
      ++messages;
      bytes += message.content.size();
      if (message.status == store::MessageStatus::kRunning) continue;
      Hit hit;
      hit.conversation = id;
      hit.title = page.conversation.title;
      hit.message = std::move(message);
      sources.hits.push_back(std::move(hit));
    }
    if (more && (messages >= kMessages || bytes >= kBytes)) {
      sources.complete = false;
      more = false;
    }
  }
  co_return sources;
}

Task<Page> ScanningSearch::find(Request request) {
  auto began = std::chrono::steady_clock::now();
  const auto deadline = began + kTimeLimit;
  UserSlots::Slot slot(slots_, request.user);
  auto position = position_of(request.cursor, clock_.now_ms());
  auto query = parse_query(request.text);
  Page page;
  if (query.empty()) {
    // Nothing is read for it, but whether the conversation is there is told all the same.
    if (request.conversation) {
      auto there = co_await store_.get_conversation(request.user, *request.conversation);
      if (!there) throw not_found();
    }
    co_return page;
  }
  Sources sources;
  if (request.conversation) {
    sources = co_await read_conversation(request.user, *request.conversation, deadline);
  } else {
    sources = co_await read_titles(request.user, deadline);
  }
  auto job = [query, hits = std::move(sources.hits), position, limit = request.limit,
              deadline](std::size_t) mutable {
    return page_of(query, std::move(hits), position, limit, deadline);
  };
  page = co_await pool_.run(std::move(job), deadline);
  page.complete = sources.complete;
  std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  seconds_.Observe(took.count());
  co_return page;
}

}  // namespace colloquy::search
