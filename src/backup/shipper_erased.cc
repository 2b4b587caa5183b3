// The list of the erased in the target, which a server that is erasing a user counts on: what was
// written into a folder that only stands in the target's place would be lost.
#include "backup/erased_list.h"
#include "backup/shipper.h"
#include "base/error.h"

namespace colloquy::backup {

void Shipper::note_erased(const std::vector<store::ErasedUser>& erased) {
  require_place();
  for (const auto& one : erased) backup::note_erased(files_, options_.target, one);
  // It may have gone before the first was written, and have come back since.
  require_place();
  for (const auto& one : erased) {
    if (!is_noted(files_, options_.target, one)) {
      throw unavailable("The backup's list of the erased was lost while it was written.");
    }
  }
}

void Shipper::require_place() {
  std::optional<Place> place;
  {
    std::scoped_lock lock(place_mutex_);
    place = place_;
  }
  // Whoever has taken the backup over since ships into the same target.
  if (place) {
    const LineageFolder folder(files_, options_.target, place->lineage);
    if (folder.owner() >= place->owner) return;
  }
  throw unavailable("The backup's folder is not there: " + options_.target +
                    " does not hold this database's backup.");
}

void Shipper::note_erased_users() {
  if (erased_noted_) return;
  ErasedList there;
  there.read_target(files_, options_.target);
  auto missing = source_.erased_users();
  std::erase_if(missing, [&there](const auto& erased) { return there.has(erased); });
  if (!missing.empty()) note_erased(missing);
  erased_noted_ = true;
}

void Shipper::note_erasing_users() {
  // First, so that it is no later than the end of anybody's who is found to be erased still.
  const auto at_ms = source_.newest_commit_ms();
  std::vector<store::ErasedUser> erasing;
  for (const auto& user : source_.erasing_users()) {
    erasing.push_back({store::erased_name(user), at_ms});
  }
  if (!erasing.empty()) note_erased(erasing);
}

}  // namespace colloquy::backup
