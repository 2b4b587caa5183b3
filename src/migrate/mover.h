// Moves everything from one store into another, and then compares the two.
//
// Copying: page by page of conversations, several conversations at once; of each first the
// messages, then itself, so that one that is in the target is there whole, and is not copied again.
// After each page the target is flushed and the position saved: whatever ends the process, another
// run goes on from there, and what it does a second time makes no difference. Comparing: each
// conversation of the source is read again and compared with the target's, in the same pages.
//
// Conversations that had expired when the move began, or have since, are neither copied nor
// compared. For one event loop.
#pragma once

#include "base/clock.h"
#include "migrate/progress_file.h"
#include "migrate/progress_report.h"
#include "migrate/totals.h"
#include "store/transfer.h"

namespace colloquy::migrate {

struct Moved {
  Totals from;
  Totals to;
};

class Mover {
 public:
  // All outlive it.
  Mover(store::Exporter& from, store::Importer& to, ProgressFile& file, ProgressReport& report,
        const Clock& clock, std::size_t at_once = 8);

  // Throws kConflict that names what differs first; then comparing begins anew at the next run.
  // Anything else that is thrown ends the run, and the next one goes on.
  Task<Moved> run();

 private:
  class CopyPage;
  class ComparePage;
  Task<> copy();
  Task<> compare_all();
  void end_comparing();

  store::Exporter& from_;
  store::Importer& to_;
  ProgressFile& file_;
  ProgressReport& report_;
  const Clock& clock_;
  const std::size_t at_once_;
  Progress progress_;
};

}  // namespace colloquy::migrate
