#include "running_backup.h"

#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "telemetry/log.h"

namespace colloquy {
namespace {

std::string target_of(const config::ServeConfig& config) { return backup_folder(config.backup_to); }

// However it is written and reached: by a link, by another mount of the same folder.
bool is_same_folder(const std::string& one, const std::string& other) {
  std::error_code unknown;
  return one == other || std::filesystem::equivalent(one, other, unknown);
}

// What comes and goes with the share or disk that the target is on.
bool may_pass(int error) {
  switch (error) {
    case EDQUOT:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case EIO:
    case ENOSPC:
    case ENOTCONN:
    case ESTALE:
    case ETIMEDOUT:
      return true;
    default:
      return false;
  }
}

// Why nothing can be written there, whatever may be mounted; empty: it can, or it is out just now.
std::string fault_of(const std::filesystem::path& target) {
  std::error_code failed;
  auto there = target;
  while (!std::filesystem::exists(there, failed) && !failed && there != there.parent_path()) {
    there = there.parent_path();
  }
  if (failed) return may_pass(failed.value()) ? std::string() : failed.message();
  if (!std::filesystem::is_directory(there, failed)) return there.string() + " is no folder";
  const bool can_be_made = there == target || there == target.parent_path();
  if (!can_be_made) return {};
  // Tried, since rights alone do not say it.
  const auto tried = there == target ? target / (".try-" + std::to_string(getpid())) : target;
  if (std::filesystem::create_directory(tried, failed)) {
    std::filesystem::remove(tried, failed);
    return {};
  }
  return !failed || may_pass(failed.value()) ? std::string() : failed.message();
}

std::chrono::seconds seconds_of(std::chrono::milliseconds duration) {
  return std::chrono::duration_cast<std::chrono::seconds>(duration);
}

}  // namespace

backup::BackedUp back_up_once(store::BackupSource& source, Clock& clock, IdSource& ids,
                              telemetry::Metrics& metrics, backup::ShipperOptions options,
                              const store::CopyProgress& progress) {
  backup::ShipperMetrics counted(metrics);
  backup::Shipper shipper(source, store::TargetFiles(), clock, ids, counted, std::move(options));
  shipper.round_with_base(progress);
  return {shipper.lineage(), shipper.shipped_ms()};
}

std::string backup_folder(const std::string& path) {
  // A path that ends with a slash has an empty name at its end.
  auto folder = std::filesystem::weakly_canonical(std::filesystem::absolute(path));
  return (folder.has_filename() ? folder : folder.parent_path()).string();
}

bool is_within(const std::string& path, const std::string& folder) {
  const auto outer = backup_folder(folder);
  for (std::filesystem::path at = backup_folder(path);; at = at.parent_path()) {
    if (is_same_folder(at.string(), outer)) return true;
    if (at == at.parent_path()) return false;
  }
}

void require_apart(const std::string& named, const std::string& target, const std::string& data) {
  if (is_within(target, data)) {
    throw config::ConfigError(named + " is within the data folder, and would be lost with it");
  }
  if (is_within(data, target)) {
    throw config::ConfigError(named + " has the data folder " + data +
                              " in it: a backup is a folder apart");
  }
}

void make_backup_target(const config::ServeConfig& config) {
  if (config.backup_to.empty()) return;
  const std::filesystem::path target = target_of(config);
  std::error_code failed;
  if (std::filesystem::exists(target, failed) || failed) return;
  if (!std::filesystem::is_directory(target.parent_path(), failed)) return;
  if (!std::filesystem::create_directory(target, failed)) return;
  telemetry::log_warning("backup.folder_made",
                         {{"target", target.string()},
                          {"detail",
                           "it was not there; if a share should be mounted there or above it, stop "
                           "the server and mount it"}});
}

void check_backup_target(const config::ServeConfig& config) {
  if (config.backup_to.empty()) return;
  const auto named = config.sources.of("backup-to") + " \"" + config.backup_to + "\"";
  require_apart(named, target_of(config), config.data);
  auto fault = fault_of(target_of(config));
  if (!fault.empty()) throw config::ConfigError(named + " cannot be written: " + fault);
}

RunningBackup::RunningBackup(const config::ServeConfig& config, store::RocksDbStore& store,
                             Clock& clock, IdSource& ids, telemetry::Metrics& metrics)
    : config_(config), store_(store), clock_(clock), ids_(ids), metrics_(metrics) {
  make_backup_target(config);
  if (!config.backup_to.empty()) {
    backup::ShipperOptions options;
    options.target = target_of(config);
    options.remembered_in = (std::filesystem::path(config.data) / "backup-folder").string();
    options.keep = seconds_of(config.backup_keep);
    options.owns_log = true;
    options.log_limit_bytes = config.backup_log_limit_bytes;
    options.min_free_disk_bytes = config.min_free_disk_bytes;
    continuous_ = std::make_unique<backup::ContinuousBackup>(
        store.backup_source(), store::TargetFiles(), clock, ids, metrics, std::move(options),
        config.backup_every);
  }
  try {
    control_ = std::make_unique<backup::ControlServer>(
        config.data, [this](const std::string& target, const store::CopyProgress& progress) {
          return run_now(target, progress);
        });
  } catch (const Error& error) {
    // A file system without sockets; the server itself needs none.
    telemetry::log_warning("backup.not_by_hand", {{"detail", error.detail()}});
  }
}

backup::BackedUp RunningBackup::run_now(const std::string& target,
                                        const store::CopyProgress& progress) {
  if (is_within(target, config_.data) || is_within(config_.data, target)) {
    throw Error(ErrorCode::kInvalid, target + " and the data folder are not apart.");
  }
  if (continuous_ && is_same_folder(continuous_->target(), target)) {
    return continuous_->run_now(progress);
  }
  auto source = store_.backup_source();
  struct Asked {
    RunningBackup& backup;
    Asked(RunningBackup& in, store::BackupSource& source) : backup(in) {
      std::scoped_lock lock(backup.asked_mutex_);
      if (backup.stopping_) throw unavailable("The server is stopping.");
      backup.asked_ = &source;
    }
    ~Asked() {
      std::scoped_lock lock(backup.asked_mutex_);
      backup.asked_ = nullptr;
    }
  } asked(*this, *source);
  backup::ShipperOptions options;
  options.target = target;
  options.makes_target = true;
  options.keep = seconds_of(config_.backup_keep);
  return back_up_once(*source, clock_, ids_, metrics_, std::move(options), progress);
}

void RunningBackup::note_erased(const store::ErasedUser& erased) const {
  if (continuous_) continuous_->note_erased(erased);
}

void RunningBackup::note_erasing(const UserId& user) const {
  if (continuous_) continuous_->note_erasing(user);
}

bool RunningBackup::stop(std::chrono::milliseconds patience) {
  const auto give_up = std::chrono::steady_clock::now() + patience;
  {
    std::scoped_lock lock(asked_mutex_);
    stopping_ = true;
    if (asked_ != nullptr) asked_->stop();
  }
  if (continuous_ && !continuous_->stop(patience)) return false;
  if (control_ && !control_->stop(give_up)) return false;
  control_.reset();
  continuous_.reset();
  return true;
}

}  // namespace colloquy
