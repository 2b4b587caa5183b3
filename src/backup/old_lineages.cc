#include "backup/old_lineages.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "backup/folder_hold.h"
#include "backup/moment.h"
#include "backup/target.h"
#include "base/error.h"
#include "telemetry/log.h"

namespace colloquy::backup {

void OldLineages::step(const Uuid& own, std::int64_t now_ms, std::chrono::seconds window) {
  const auto now = Steady::now();
  if (now < next_look_) return;
  next_look_ = now + watched_;
  const auto all = lineages(files_, target_);
  std::erase_if(seen_, [&all](const auto& seen) {
    return std::find(all.begin(), all.end(), seen.first) == all.end();
  });
  for (const auto& lineage : all) {
    if (lineage == own) continue;
    LineageFolder folder(files_, target_, lineage);
    const auto last_use_ms = folder.last_use_ms();
    std::uint64_t last_sequence = 0;
    for (const auto& name : folder.segments()) {
      last_sequence = std::max(last_sequence, name.last_sequence);
    }
    const Seen found{last_use_ms, last_sequence, now};
    const auto seen = seen_.try_emplace(lineage, found).first;
    const bool used =
        seen->second.last_use_ms != last_use_ms || seen->second.last_sequence != last_sequence;
    if (used) seen->second = found;
    const auto kept = std::max(window, folder.window().value_or(window));
    const bool old = last_use_ms < now_ms - std::chrono::milliseconds(kept).count();
    if (!old || now - seen->second.since < watched_) continue;
    std::optional<FolderHold> hold;
    try {
      hold.emplace(folder.path(), "A backup into this folder goes on.");
    } catch (const Error&) {
      continue;  // in use, on this machine
    }
    folder.remove_all();
    telemetry::log_info("backup.lineage_removed",
                        {{"lineage", lineage_name(lineage)},
                         {"last_use", to_text_utc(last_use_ms)},
                         {"detail", "nobody has shipped into it for longer than it reaches back"}});
    return;
  }
}

}  // namespace colloquy::backup
