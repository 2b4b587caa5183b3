#include "base/user_slots.h"

#include "base/error.h"

namespace colloquy {

UserSlots::Slot::Slot(UserSlots& slots, const UserId& user) : slots_(slots), user_(user) {
  std::scoped_lock lock(slots_.mutex_);
  if (slots_.taken_ >= slots_.most_) {
    throw unavailable("Too many " + slots_.of_ + " at once.", "all slots are taken")
        .with_retry_after(1);
  }
  auto& of_user = slots_.of_user_[user_];
  if (of_user >= slots_.most_of_a_user_) {
    throw Error(ErrorCode::kThrottled, "Too many " + slots_.of_ + " of yours at once.")
        .with_retry_after(1);
  }
  ++of_user;
  ++slots_.taken_;
}

UserSlots::Slot::~Slot() {
  std::scoped_lock lock(slots_.mutex_);
  --slots_.taken_;
  auto of_user = slots_.of_user_.find(user_);
  if (--of_user->second == 0) slots_.of_user_.erase(of_user);
}

}  // namespace colloquy
