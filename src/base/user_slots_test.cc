#include "base/user_slots.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace colloquy {
namespace {

TEST(UserSlots, AreOfAllAndOfEachUser) {
  UserSlots slots("calls", 3, 2);
  const UserId ann("ann");
  const UserId ben("ben");
  auto code_for = [&slots](const UserId& user) {
    try {
      UserSlots::Slot slot(slots, user);
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::kInternal;
  };
  UserSlots::Slot first(slots, ann);
  {
    UserSlots::Slot second(slots, ann);
    EXPECT_EQ(code_for(ann), ErrorCode::kThrottled);
    UserSlots::Slot his(slots, ben);
    EXPECT_EQ(code_for(ben), ErrorCode::kUnavailable);
  }
  UserSlots::Slot again(slots, ann);
  UserSlots::Slot his(slots, ben);
}

}  // namespace
}  // namespace colloquy
