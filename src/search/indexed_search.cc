#include "search/indexed_search.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include "base/error.h"
#include "telemetry/log.h"

namespace colloquy::search {
namespace {

// Each may hold kVerifiedBytes.
constexpr std::size_t kAtOnce = 16;
constexpr std::size_t kAtOnceOfAUser = 2;
// Of an index that is far from what the store has, so many pieces are looked at for one page.
constexpr int kLooks = 8;

std::string cursor_of(const IndexPosition& position) {
  return encode_cursor(
      {static_cast<std::uint64_t>(position.as_of_ms), static_cast<std::uint64_t>(position.newest),
       static_cast<std::uint64_t>(position.oldest), std::bit_cast<std::uint64_t>(position.score),
       static_cast<std::uint64_t>(position.id)});
}

IndexPosition position_of(const std::optional<std::string>& cursor, std::int64_t now_ms) {
  IndexPosition position;
  if (!cursor) {
    position.as_of_ms = now_ms;
    position.newest = std::numeric_limits<std::int64_t>::max();
    return position;
  }
  auto numbers = decode_cursor(*cursor, 5);
  position.as_of_ms = static_cast<std::int64_t>(numbers[0]);
  position.newest = static_cast<std::int64_t>(numbers[1]);
  position.oldest = static_cast<std::int64_t>(numbers[2]);
  position.score = std::bit_cast<double>(numbers[3]);
  position.id = static_cast<std::int64_t>(numbers[4]);
  bool possible =
      position.as_of_ms >= 0 && position.newest >= 0 && position.oldest >= 0 && position.id >= 0;
  if (!possible) throw bad_cursor();
  return position;
}

// What the store says of candidates, each conversation asked for once.
class Conversations {
 public:
  Conversations(store::Store& store, UserId user) : store_(store), user_(std::move(user)) {}

  // nullopt: it is not there, or not this user's, or cannot be read, which must not hide the rest.
  Task<std::optional<Hit>> find(Candidate candidate) {
    try {
      co_return co_await find_readable(candidate);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kInternal) throw;
      telemetry::log_error(
          "search.record_unreadable",
          {{"detail", candidate.conversation.to_string() + ": " + error.detail()}});
    }
    unreadable_ = true;
    co_return std::nullopt;
  }
  // Was there one?
  bool unreadable() const { return unreadable_; }

 private:
  Task<std::optional<Hit>> find_readable(Candidate candidate) {
    auto known = known_.find(candidate.conversation);
    if (known == known_.end()) {
      auto read = co_await store_.get_conversation(user_, candidate.conversation);
      std::optional<std::string> title;
      if (read) title = std::move(read->title);
      known = known_.emplace(candidate.conversation, std::move(title)).first;
    }
    if (!known->second) co_return std::nullopt;
    Hit hit;
    hit.conversation = candidate.conversation;
    hit.title = *known->second;
    hit.score = candidate.score;
    if (candidate.message != MessageId()) {
      hit.message = co_await store_.get_message(user_, candidate.conversation, candidate.message);
      if (!hit.message) co_return std::nullopt;
    }
    co_return hit;
  }

  store::Store& store_;
  const UserId user_;
  std::map<ConversationId, std::optional<std::string>> known_;  // their titles
  bool unreadable_ = false;
};

}  // namespace

IndexedSearch::IndexedSearch(IndexOptions options, store::Store& store,
                             std::unique_ptr<store::ChangeFeed> feed, const Clock& clock,
                             telemetry::Metrics& metrics)
    : store_(store),
      clock_(clock),
      time_limit_(options.time_limit),
      seconds_(metrics.histogram("colloquy_search_seconds", "Time that a search took.",
                                 telemetry::latency_buckets())),
      slots_("searches", kAtOnce, kAtOnceOfAUser),
      feeder_(std::move(options), std::move(feed), metrics, [this] { close_replaced(); }),
      pool_(kThreads, kAtOnce) {}

bool IndexedSearch::rebuild() {
  feeder_.rebuild();
  return true;
}

void IndexedSearch::read_from(Worker& worker, const std::string& path) {
  if (worker.path == path) return;
  worker.path.clear();
  worker.reader.reset();
  if (path.empty()) return;
  worker.reader = std::make_unique<IndexReader>(path);
  worker.path = path;
}

void IndexedSearch::close_replaced() {
  auto path = feeder_.view().path;
  for (auto& worker : workers_) {
    std::scoped_lock lock(worker.mutex);
    if (worker.path != path) read_from(worker, {});
  }
}

IndexedSearch::Found IndexedSearch::look_up_on(Worker& worker, const Look& look,
                                               Deadline deadline) {
  std::scoped_lock lock(worker.mutex);
  Found found;
  auto view = feeder_.view();
  found.complete = view.complete;
  if (view.path.empty()) return found;
  try {
    read_from(worker, view.path);
    found.candidates = worker.reader->find(look.user, look.query, look.conversation, look.position,
                                           look.limit, deadline);
  } catch (const IndexDamaged& damage) {
    read_from(worker, {});
    found.complete = false;
    // It may have been replaced between the two looks.
    if (feeder_.view().path == view.path) feeder_.report_damage(view.path, damage.what());
  }
  return found;
}

Task<IndexedSearch::Found> IndexedSearch::look_up(Look look, Deadline deadline) {
  auto job = [this, look = std::move(look), deadline](std::size_t worker) {
    return look_up_on(workers_.at(worker), look, deadline);
  };
  co_return co_await pool_.run(std::move(job), deadline);
}

Task<Page> IndexedSearch::find(Request request) {
  auto began = std::chrono::steady_clock::now();
  const auto deadline = began + time_limit_;
  const auto enough = began + time_limit_ * 2 / 5;  // a page ends here with what it has
  UserSlots::Slot slot(slots_, request.user);
  auto position = position_of(request.cursor, clock_.now_ms());
  auto query = parse_query(request.text);
  Page page;
  if (request.conversation) {
    auto there = co_await store_.get_conversation(request.user, *request.conversation);
    if (!there) throw not_found();
  }
  if (query.empty()) co_return page;
  Conversations conversations(store_, request.user);
  bool more = true;
  for (int look = 0; more && look < kLooks && page.hits.size() < request.limit; ++look) {
    if (look > 0 && std::chrono::steady_clock::now() > enough) break;
    Look wanted{request.user, query, request.conversation, position,
                request.limit - page.hits.size()};
    auto found = co_await look_up(std::move(wanted), deadline);
    page.complete = page.complete && found.complete;
    const auto& candidates = found.candidates;
    // Held from here on: what is written later does not move the window.
    if (candidates.newest != 0 && position.oldest == 0) position.newest = candidates.newest;
    position.oldest = candidates.oldest;
    std::vector<Hit> hits;
    std::size_t bytes = 0;
    std::size_t taken = 0;
    for (const auto& candidate : candidates.found) {
      if (bytes > kVerifiedBytes) break;
      check_deadline(deadline);
      ++taken;
      position.score = candidate.score;
      position.id = candidate.id;
      auto hit = co_await conversations.find(candidate);
      if (!hit) continue;
      bytes += text_of(*hit).size();
      hits.push_back(std::move(*hit));
    }
    auto job = [query, hits = std::move(hits), deadline](std::size_t) mutable {
      return verified(query, std::move(hits), deadline);
    };
    auto good = co_await pool_.run(std::move(job), deadline);
    for (auto& hit : good) page.hits.push_back(std::move(hit));
    bool in_window = taken < candidates.found.size() || candidates.more_in_window;
    more = in_window || candidates.more_windows;
    if (in_window || !more) continue;
    position.newest = candidates.oldest - 1;
    position.oldest = 0;
    position.score = 0;
    position.id = 0;
  }
  page.complete = page.complete && !conversations.unreadable();
  if (more) page.next = cursor_of(position);
  std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  seconds_.Observe(took.count());
  co_return page;
}

}  // namespace colloquy::search
