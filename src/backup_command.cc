#include "backup_command.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <string>

#include "backup/choose_lineage.h"
#include "backup/control.h"
#include "backup/moment.h"
#include "backup/restore.h"
#include "backup/shipper.h"
#include "backup/verify.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/progress_line.h"
#include "running_backup.h"
#include "store/encrypted/store_mark.h"
#include "store/rocksdb/backup_source.h"
#include "telemetry/metrics.h"

namespace colloquy {
namespace {

using config::ConfigError;

constexpr int kDamaged = 2;

// A bar for each phase.
class Progress {
 public:
  void show(const std::string& phase, std::uint64_t done, std::uint64_t expected) {
    if (phase != phase_) end();
    phase_ = phase;
    text_ = phase + ": ";
    text_ += expected > 0 ? share_text(done, expected, line_.terminal()) : std::string("100 %");
    if (line_.due()) line_.show(text_);
  }
  void end() {
    if (!text_.empty()) line_.end(text_);
    text_.clear();
    line_.begin();
  }

 private:
  ProgressLine line_{std::cerr, isatty(STDERR_FILENO) == 1};
  std::string phase_;
  std::string text_;
};

std::optional<Uuid> lineage_of(const std::string& name, const config::Sources& sources) {
  if (name.empty()) return std::nullopt;
  auto lineage = backup::parse_lineage(name);
  if (!lineage) throw ConfigError(sources.of("lineage") + " \"" + name + "\" is no lineage");
  return lineage;
}

backup::BackedUp back_up_here(store::BackupSource& source, const config::BackupConfig& config,
                              const std::string& target, const store::CopyProgress& progress) {
  SystemClock clock;
  RandomIdSource ids;
  telemetry::Metrics metrics;
  backup::ShipperOptions options;
  options.target = target;
  options.makes_target = true;
  options.keep = std::chrono::duration_cast<std::chrono::seconds>(config.keep);
  return back_up_once(source, clock, ids, metrics, std::move(options), progress);
}

// Null where a server has it open.
std::unique_ptr<store::BackupSource> open_offline(const std::string& data) {
  auto folder = (std::filesystem::path(data) / "store").string();
  try {
    return store::BackupSource::open(folder);
  } catch (const Error& error) {
    bool open_elsewhere = error.code() == ErrorCode::kInvalid &&
                          std::filesystem::exists(std::filesystem::path(folder) / "CURRENT");
    if (!open_elsewhere) throw;
    return nullptr;
  }
}

bool reaches(const std::string& target, std::int64_t at_ms) {
  auto spans = backup::spans(store::TargetFiles(), target);
  return !spans.empty() && spans.back().last_ms >= at_ms;
}

// A restore empties what a killed one has left, and a server there would write into the backup.
void require_apart_from_backup(const config::RestoreConfig& config) {
  const auto named = config.sources.of("data") + " \"" + config.data + "\"";
  if (is_within(config.data, config.from)) {
    throw ConfigError(named + " is within the backup, " + config.from +
                      ": restore into a folder apart");
  }
  if (is_within(config.from, config.data)) {
    throw ConfigError(named + " has the backup in it, " + config.from +
                      ": restore into a folder apart");
  }
}

std::string scratch_folder(const config::VerifyConfig& config, const Uuid& lineage) {
  return (std::filesystem::path(config.scratch) /
          ("colloquy-verify-" + backup::lineage_name(lineage)))
      .string();
}

// What is restored there goes again, and so must have nothing else in it; and a data folder is the
// server's alone.
void require_scratch_apart(const config::VerifyConfig& config) {
  const auto named = config.sources.of("scratch") + " \"" + config.scratch + "\"";
  if (is_within(config.scratch, config.from)) {
    throw ConfigError(named + " is within the backup, " + config.from + ": name a folder apart");
  }
  for (const auto& lineage : backup::lineages(store::TargetFiles(), config.from)) {
    if (!is_within(config.from, scratch_folder(config, lineage))) continue;
    throw ConfigError(named +
                      " has the backup in the folder that would be removed: name a folder "
                      "apart");
  }
  for (std::filesystem::path at = backup_folder(config.scratch);; at = at.parent_path()) {
    std::error_code unknown;
    if (std::filesystem::exists(at / "store" / "CURRENT", unknown)) {
      throw ConfigError(named + " is within a data folder, " + at.string() +
                        ": name a folder apart");
    }
    if (at == at.parent_path()) return;
  }
}

void print_problems(const std::vector<std::string>& problems, std::ostream& out) {
  for (const auto& problem : problems) out << "damaged: " << problem << "\n";
}

void print_gaps(const std::vector<std::string>& gaps, std::ostream& out) {
  for (const auto& gap : gaps) {
    out << "gap: " << gap << ": nobody has shipped them, and no moment of theirs can be restored\n";
  }
}

// What the server needs beside the restored store.
void print_what_is_elsewhere(const std::vector<std::string>& titles, const std::string& data,
                             std::ostream& out) {
  out << "Not in a backup: token.key, which belongs into " << data << ", and users' files.\n";
  for (const auto& title : titles) {
    auto keyring = store::keyring_of_title(title);
    if (!keyring) continue;
    out << "The store is encrypted: start it with --encryption as before, the keyring " << *keyring
        << " and its master key, which are not in a backup either.\n";
    return;
  }
}

// Restores the last moment into a folder that goes again. False where that is not all there was.
bool try_to_restore(const store::TargetFiles& files, const config::VerifyConfig& config,
                    const backup::Verified& verified, std::ostream& out) {
  SystemClock clock;
  RandomIdSource ids;
  backup::RestoreRequest request;
  request.target = config.from;
  request.data = scratch_folder(config, verified.lineage);
  request.lineage = verified.lineage;
  struct Scratch {
    const std::string& folder;
    explicit Scratch(const std::string& path) : folder(path) { remove(); }
    ~Scratch() { remove(); }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    void remove() const {
      std::error_code ignored;
      std::filesystem::remove_all(folder, ignored);
    }
  } const scratch(request.data);
  auto restored = backup::restore(request, files, clock, ids);
  print_problems(restored.problems, out);
  out << "restored: " << restored.conversations << " conversations, " << restored.messages
      << " messages, as of " << backup::to_text_utc(restored.last_commit_ms) << "\n";
  return restored.complete && restored.problems.empty();
}

}  // namespace

int back_up(const config::BackupConfig& config, std::ostream& out) {
  backup::require_restored(config.data);
  auto target = backup_folder(config.to);
  require_apart(config.sources.of("to") + " \"" + config.to + "\"", target, config.data);
  Progress progress;
  auto show = [&progress](std::uint64_t done, std::uint64_t expected) {
    progress.show("backing up", done, expected);
  };
  auto source = open_offline(config.data);
  auto result = source ? back_up_here(*source, config, target, show)
                       : backup::ask_server(config.data, target, show);
  progress.end();
  out << "lineage:     " << backup::lineage_name(result.lineage) << "\n";
  out << "last commit: " << backup::to_text_utc(result.shipped_ms) << "\n";
  return EXIT_SUCCESS;
}

int restore_backup(const config::RestoreConfig& config, std::ostream& out) {
  require_apart_from_backup(config);
  SystemClock clock;
  RandomIdSource ids;
  backup::RestoreRequest request;
  request.target = config.from;
  request.data = config.data;
  request.keep_expired = config.keep_expired;
  if (config.retention) request.retention_seconds = config.retention->count() / 1000;
  request.lineage = lineage_of(config.lineage, config.sources);
  if (!config.at.empty()) {
    request.at_ms = backup::parse_moment(config.at);
    if (!request.at_ms) {
      throw ConfigError(config.sources.of("at") + " \"" + config.at + "\" is no moment such as " +
                        std::string(backup::kMomentForm));
    }
    // A clock that was ahead has dated commits that are still to come.
    if (*request.at_ms > clock.now_ms() && !reaches(config.from, *request.at_ms)) {
      throw ConfigError(config.sources.of("at") + " \"" + config.at + "\" is still to come");
    }
  }
  request.titles_of = store::owner_of_marks();
  request.erased.read_target(store::TargetFiles(), config.from);
  if (!config.erased.empty()) request.erased.read_file(config.erased);
  Progress progress;
  request.progress = [&progress](const std::string& phase, std::uint64_t done,
                                 std::uint64_t expected) { progress.show(phase, done, expected); };
  auto restored = backup::restore(request, store::TargetFiles(), clock, ids);
  progress.end();
  print_problems(restored.problems, out);
  print_gaps(restored.gaps, out);
  out << "lineage:       " << backup::lineage_name(restored.lineage) << "\n";
  out << "conversations: " << restored.conversations << "\n";
  out << "messages:      " << restored.messages << "\n";
  const bool any = restored.last_commit_ms > 0;
  out << "last commit:   " << (any ? backup::to_text_utc(restored.last_commit_ms) : "none") << "\n";
  const bool whole_so_far = restored.complete || restored.never_shipped;
  if (whole_so_far && restored.caught_up_ms > restored.last_commit_ms) {
    out << "complete to:   " << backup::to_text_utc(restored.caught_up_ms) << "\n";
  }
  if (!restored.complete) {
    if (restored.never_shipped) {
      out << "The backup is complete up to " << backup::to_text_utc(restored.caught_up_ms)
          << " only.\n";
    }
    out << "What was committed later, up to the moment that was asked for, is not to be had.\n";
  }
  print_what_is_elsewhere(restored.titles, config.data, out);
  return restored.complete || config.allow_partial ? EXIT_SUCCESS : kDamaged;
}

int verify_backup(const config::VerifyConfig& config, std::ostream& out) {
  if (!config.scratch.empty()) require_scratch_apart(config);
  Progress progress;
  auto show = [&progress](const std::string& phase, std::uint64_t done, std::uint64_t expected) {
    progress.show(phase, done, expected);
  };
  const store::TargetFiles files;
  auto all = backup::verify(files, config.from, lineage_of(config.lineage, config.sources), show);
  progress.end();
  bool whole = true;
  for (const auto& verified : all) {
    out << "lineage " << backup::lineage_name(verified.lineage) << ": " << verified.bases
        << " bases, " << verified.commits << " commits\n";
    for (const auto& window : verified.windows) {
      out << "can be restored: from " << backup::to_text_utc(window.from_ms) << " to "
          << backup::to_text_utc(window.to_ms) << "\n";
    }
    if (verified.windows.empty()) out << "nothing can be restored\n";
    print_gaps(verified.gaps, out);
    print_problems(verified.problems, out);
    whole = whole && verified.problems.empty() && !verified.windows.empty();
    if (!config.scratch.empty() && !verified.windows.empty()) {
      whole = try_to_restore(files, config, verified, out) && whole;
    }
  }
  return whole ? EXIT_SUCCESS : kDamaged;
}

}  // namespace colloquy
