#include "files/shared.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "keyring/keyring.h"
#include "telemetry/log.h"

namespace colloquy::files {
namespace {

// Of the numbers that a file system has for files, those that stay free for others.
constexpr std::uint64_t kFilesLeft = 10'000;
constexpr std::uint64_t kFilesLeftPart = 50;

constexpr std::int64_t kSweepEveryMs = std::chrono::milliseconds(kLeftAfter).count();

std::optional<SealedForm> form_of(const UserFilesOptions& options) {
  if (options.keyring == nullptr) return std::nullopt;
  return SealedForm(options.keyring->id());
}

Error no_free_space(std::string detail) {
  return {ErrorCode::kQuota, "There is no room left for files.", std::move(detail)};
}

}  // namespace

std::shared_ptr<void> Places::take(const UserId& user) {
  const std::scoped_lock lock(mutex_);
  auto& taken = taken_[user.value()];
  if (taken >= allowance_.each) {
    throw Error(ErrorCode::kThrottled, "You have too many " + what_ + " under way.")
        .with_retry_after(1);
  }
  if (all_ >= allowance_.all) {
    if (taken == 0) taken_.erase(user.value());
    throw unavailable("There are too many " + what_ + " under way.");
  }
  // What it points to does not matter, but it must not be null.
  std::shared_ptr<void> place(this, [this, id = user.value()](void*) { give_back(id); });
  ++taken;
  ++all_;
  return place;
}

void Places::give_back(const std::string& user) {
  const std::scoped_lock lock(mutex_);
  --all_;
  const auto found = taken_.find(user);
  if (--found->second == 0) taken_.erase(found);
}

FilesShared::FilesShared(const UserFilesOptions& options, FileSystem& system,
                         const Clock& the_clock, telemetry::Metrics& registry)
    : volume(system, options.folder, options.unique),
      sealed_form(form_of(options)),
      encrypt(options.encrypt),
      usage(options.quota, the_clock, [this](const UserId& user) { return volume.measure(user); }),
      upload_places(options.uploads, "uploads"),
      reader_places(options.readers, "downloads"),
      min_free_bytes(options.min_free_bytes),
      max_file_bytes(options.max_file_bytes),
      clock(the_clock),
      metrics(registry),
      bytes_in(metrics.counter("colloquy_files_received_bytes_total",
                               "Bytes of files that were received.")),
      bytes_out(metrics.counter("colloquy_files_sent_bytes_total",
                                "Bytes of files that were read to be sent.")),
      uploads(metrics.gauge("colloquy_files_uploads", "Uploads under way.")),
      free(metrics.gauge("colloquy_files_free_bytes", "Free space where the files are.")) {
  sweep_at_times();
  show_free_space();
}

void FilesShared::Promise::add(std::uint64_t bytes) {
  // Promised before it is looked at, so that of two at once not both see it free.
  bytes_ += bytes;
  shared_.coming += bytes;
  try {
    shared_.require_free_space();
  } catch (...) {
    keep(bytes);
    throw;
  }
}

void FilesShared::Promise::keep(std::uint64_t bytes) {
  const auto kept = std::min(bytes, bytes_);
  bytes_ -= kept;
  shared_.coming -= kept;
}

void FilesShared::require_free_space() {
  const auto promised = coming.load();
  const auto found = volume.free_space();
  free.Set(static_cast<double>(found.bytes));
  if (found.bytes < min_free_bytes || found.bytes - min_free_bytes < promised) {
    throw no_free_space("less than --files-min-free would be left free on the volume");
  }
  const auto left = std::min(kFilesLeft, found.files_in_all / kFilesLeftPart);
  if (found.files_in_all != 0 && found.files < left) {
    throw no_free_space("the file system has hardly any numbers left for new files");
  }
}

void FilesShared::show_free_space() {
  try {
    free.Set(static_cast<double>(volume.free_space().bytes));
  } catch (const Error&) {
    free.Set(0);
  }
}

void FilesShared::sweep_at_times() {
  const auto now_ms = clock.now_ms();
  auto next_ms = next_sweep_ms.load();
  if (now_ms < next_ms) return;
  if (!next_sweep_ms.compare_exchange_strong(next_ms, now_ms + kSweepEveryMs)) return;
  const auto swept = volume.sweep();
  if (swept > 0) telemetry::log_info("files.swept", {{"uploads", swept}});
}

void FilesShared::count(const char* name, const std::string& outcome) {
  metrics
      .counter("colloquy_files_operations_total", "Operations on files by what they came to.",
               {{"operation", name}, {"outcome", outcome}})
      .Increment();
}

}  // namespace colloquy::files
