#include "keyring/shared_looks.h"

#include <utility>

namespace colloquy::keyring {

// All guarded by the state's mutex.
struct SharedLooks::Look {
  bool over = false;
  std::optional<Key> key;
  std::optional<Error> failure;
  Signal ended;  // which guards itself
};

struct SharedLooks::State {
  std::mutex mutex;
  std::unordered_map<std::string, std::shared_ptr<Look>> under_way;  // guarded by mutex
};

SharedLooks::SharedLooks() : state_(std::make_shared<State>()) {}

void SharedLooks::forget(const std::string& name) {
  std::scoped_lock lock(state_->mutex);
  state_->under_way.erase(name);
}

void SharedLooks::forget_all() {
  std::scoped_lock lock(state_->mutex);
  state_->under_way.clear();
}

SharedLooks::Part::Part(std::shared_ptr<State> state, std::string name)
    : state_(std::move(state)), name_(std::move(name)) {
  std::scoped_lock lock(state_->mutex);
  auto& look = state_->under_way[name_];
  leads_ = look == nullptr;
  if (leads_) look = std::make_shared<Look>();
  look_ = look;
}

SharedLooks::Part::~Part() {
  if (leads_) end(std::nullopt, std::nullopt);
}

void SharedLooks::Part::end(std::optional<Key> key, std::optional<Error> failure) {
  {
    std::scoped_lock lock(state_->mutex);
    if (look_->over) return;
    look_->over = true;
    look_->key = std::move(key);
    look_->failure = std::move(failure);
    auto entry = state_->under_way.find(name_);
    bool is_this = entry != state_->under_way.end() && entry->second == look_;
    if (is_this) state_->under_way.erase(entry);
  }
  look_->ended.notify_all();
}

bool SharedLooks::Part::is_over() const {
  std::scoped_lock lock(state_->mutex);
  return look_->over;
}

Task<std::optional<SharedLooks::Key>> SharedLooks::Part::wait(std::chrono::milliseconds at_most) {
  auto ticket = look_->ended.ticket();
  if (!is_over()) co_await look_->ended.wait(ticket, at_most);
  std::scoped_lock lock(state_->mutex);
  if (!look_->over) throw unavailable("The keys cannot be reached right now.");
  if (look_->failure) throw Error(*look_->failure);
  co_return look_->key;
}

}  // namespace colloquy::keyring
