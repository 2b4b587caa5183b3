#include "files/usage.h"

#include <exception>
#include <limits>
#include <string>

#include "base/error.h"

namespace colloquy::files {
namespace {

std::uint64_t less(std::uint64_t from, std::uint64_t by) { return from > by ? from - by : 0; }

Use sum(const Use& one, const Use& other) {
  return {one.bytes + other.bytes, one.files + other.files};
}
Use difference(const Use& from, const Use& by) {
  return {less(from.bytes, by.bytes), less(from.files, by.files)};
}

std::uint64_t new_files(const Change& change) {
  return change.folders + (change.replaced_bytes ? 0 : 1);
}

std::uint64_t bound(std::uint64_t quota) {
  return quota == 0 ? std::numeric_limits<std::uint64_t>::max() : quota;
}

}  // namespace

Usage::Usage(Quota quota, const Clock& clock, Measure measure)
    : quota_(quota), clock_(clock), measure_(std::move(measure)) {}

void Usage::forget(const UserId& user) {
  std::scoped_lock lock(mutex_);
  entries_.erase(user.value());
}

std::shared_ptr<Usage::Entry> Usage::entry_of(const UserId& user) {
  const std::scoped_lock lock(mutex_);
  auto& entry = entries_[user.value()];
  if (entry) return entry;
  entry = std::make_shared<Entry>();
  auto made = entry;
  for (auto other = entries_.begin(); entries_.size() > kUsers && other != entries_.end();) {
    // One that nobody else holds.
    other = other->second.use_count() == 1 ? entries_.erase(other) : std::next(other);
  }
  return made;
}

bool Usage::is_fresh(const Entry& entry) const {
  const auto age_ms = clock_.now_ms() - *entry.measured_ms;
  const auto most = entry.is_rough ? std::chrono::milliseconds(kRenewSoon)
                                   : std::chrono::milliseconds(kRenewAfter);
  return age_ms >= 0 && age_ms < most.count();
}

void Usage::renew(const UserId& user, Entry& entry, std::unique_lock<std::mutex>& lock) {
  if (entry.measured_ms && (entry.walking || is_fresh(entry))) return;
  if (entry.walking) {
    entry.walked.wait_for(lock, kWaitMost, [&entry] { return !entry.walking; });
    if (!entry.measured_ms) throw unavailable("Your files are still being counted. Try again.");
    return;
  }
  entry.walking = true;
  ++entry.walks;
  entry.is_rough = false;
  entry.added = entry.unsettled;
  const auto begun_ms = clock_.now_ms();
  std::optional<Use> found;
  std::exception_ptr failure;
  lock.unlock();
  try {
    found = measure_(user);
  } catch (...) {
    failure = std::current_exception();
  }
  lock.lock();
  entry.walking = false;
  entry.walked.notify_all();
  if (failure) std::rethrow_exception(failure);
  entry.use = sum(*found, entry.added);
  if (entry.added.bytes != 0 || entry.added.files != 0) entry.is_rough = true;
  entry.measured_ms = begun_ms;
}

void Usage::require_room(const Use& wanted) const {
  if (wanted.bytes <= bound(quota_.bytes) && wanted.files <= bound(quota_.files)) return;
  std::string share;
  if (quota_.bytes != 0) share = std::to_string(quota_.bytes) + " bytes";
  if (quota_.files != 0) {
    share += (share.empty() ? "" : " and ") + std::to_string(quota_.files) + " files";
  }
  throw Error(ErrorCode::kQuota, "This is past your share of storage, " + share + ".");
}

std::unique_ptr<Usage::Reservation> Usage::reserve(const UserId& user, std::uint64_t bytes,
                                                   const Change& change) {
  // NOLINTNEXTLINE(cppcoreguidelines-owning-memory): the constructor is private
  std::unique_ptr<Reservation> made(
      new Reservation(*this, is_limited() ? entry_of(user) : nullptr));
  if (!made->entry_) return made;
  auto& entry = *made->entry_;
  std::unique_lock lock(entry.mutex);
  renew(user, entry, lock);
  const auto replaced = change.replaced_bytes.value_or(0);
  const Use wanted{bytes, new_files(change)};
  const Use then = sum(sum(entry.use, entry.coming), wanted);
  require_room({less(then.bytes, replaced), then.files});
  entry.coming = sum(entry.coming, wanted);
  made->taken_ = wanted;
  made->replaced_at_begin_ = replaced;
  return made;
}

Usage::Removal Usage::begin_removal(const UserId& user) {
  Removal removal;
  if (!is_limited()) return removal;
  removal.entry_ = entry_of(user);
  const std::scoped_lock lock(removal.entry_->mutex);
  removal.walks_ = removal.entry_->walks;
  removal.walking_ = removal.entry_->walking;
  return removal;
}

void Usage::Removal::done(const Use& freed) {
  if (!entry_) return;
  const std::scoped_lock lock(entry_->mutex);
  if (walking_ || entry_->walks != walks_) {
    entry_->is_rough = true;  // a walk may have known it already
  } else {
    entry_->use = difference(entry_->use, freed);
  }
}

void Usage::Reservation::release() {
  entry_->coming = difference(entry_->coming, taken_);
  taken_ = {};
}

void Usage::Reservation::settle() {
  entry_->unsettled = difference(entry_->unsettled, unsettled_);
  unsettled_ = {};
}

Usage::Reservation::~Reservation() {
  if (!entry_) return;
  const std::scoped_lock lock(entry_->mutex);
  release();
  settle();
}

void Usage::Reservation::grow(std::uint64_t bytes) {
  if (!entry_ || bytes <= taken_.bytes) return;
  const std::scoped_lock lock(entry_->mutex);
  const auto more = bytes - taken_.bytes;
  const Use now = sum(entry_->use, entry_->coming);
  usage_.require_room({less(now.bytes, replaced_at_begin_) + more, now.files});
  entry_->coming.bytes += more;
  taken_.bytes = bytes;
}

void Usage::Reservation::become(std::uint64_t bytes, const Change& change) {
  if (!entry_) return;
  const std::scoped_lock lock(entry_->mutex);
  auto& use = entry_->use;
  const Use wanted{bytes, new_files(change)};
  const Use then{less(use.bytes, change.replaced_bytes.value_or(0)) + bytes,
                 use.files + wanted.files};
  usage_.require_room(sum(then, difference(entry_->coming, taken_)));
  before_ = use;
  after_ = then;
  use = then;
  entry_->unsettled = sum(entry_->unsettled, wanted);
  unsettled_ = sum(unsettled_, wanted);
  if (entry_->walking) entry_->added = sum(entry_->added, wanted);
  release();
}

void Usage::Reservation::undo() {
  if (!entry_) return;
  const std::scoped_lock lock(entry_->mutex);
  entry_->use = difference(sum(entry_->use, before_), after_);
  settle();
}

}  // namespace colloquy::files
