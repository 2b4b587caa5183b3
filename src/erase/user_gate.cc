#include "erase/user_gate.h"

#include "base/error.h"

namespace colloquy::erase {
namespace {

constexpr int kAgainSeconds = 2;

Error being_erased() {
  return Error(ErrorCode::kConflict,
               "Everything of this user is being erased. Wait until that is done.")
      .with_retry_after(kAgainSeconds);
}

Error unknown() {
  return unavailable("The store cannot be reached right now.",
                     "it was not known for too long which users are being erased");
}

}  // namespace

UserGate::Pass::~Pass() {
  if (gate_ == nullptr) return;
  std::scoped_lock lock(gate_->mutex_);
  auto entry = gate_->entered_.find(user_.value());
  if (--entry->second.count == 0) gate_->entered_.erase(entry);
}

void UserGate::Pass::check() const {
  const auto state = state_->load();
  if (state == State::kClosed) throw being_erased();
  if (state == State::kUnknown) throw unknown();
  gate_->require_known();
}

void UserGate::require_known() const {
  if (BootClock::now().time_since_epoch().count() > admit_until_) throw unknown();
}

UserGate::Pass UserGate::enter(const UserId& user) {
  std::scoped_lock lock(mutex_);
  if (closed_.contains(user)) throw being_erased();
  require_known();
  auto& entered = entered_[user.value()];
  if (!entered.state) entered.state = std::make_shared<std::atomic<State>>(State::kValid);
  ++entered.count;
  return {*this, user, entered.state};
}

bool UserGate::is_closed(const UserId& user) const {
  std::scoped_lock lock(mutex_);
  return closed_.contains(user);
}

void UserGate::close(const UserId& user) {
  std::scoped_lock lock(mutex_);
  if (!closed_.insert(user).second) return;
  auto entered = entered_.find(user.value());
  if (entered == entered_.end()) return;
  void_passes(entered->second, State::kClosed);
}

void UserGate::void_all() {
  std::scoped_lock lock(mutex_);
  for (auto& [user, entered] : entered_) void_passes(entered, State::kUnknown);
}

void UserGate::void_passes(Entered& entered, State state) {
  if (entered.state) *entered.state = state;
  entered.state = nullptr;
}

void UserGate::open(const UserId& user) {
  std::scoped_lock lock(mutex_);
  closed_.erase(user);
}

bool UserGate::is_idle(const UserId& user) const {
  std::scoped_lock lock(mutex_);
  return !entered_.contains(user.value());
}

}  // namespace colloquy::erase
