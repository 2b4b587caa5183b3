#include "store/rocksdb/status.h"

#include <string>
#include <utility>

namespace colloquy::store {

namespace {
constexpr int kDiskFullRetryAfterSeconds = 10;
}

Error disk_full(std::string detail) {
  return Error(ErrorCode::kUnavailable, "The disk is full.", std::move(detail))
      .with_retry_after(kDiskFullRetryAfterSeconds);
}

Error to_error(const rocksdb::Status& status, std::string_view doing) {
  auto detail = std::string(doing) + ": " + status.ToString();
  if (status.IsNoSpace()) return disk_full(std::move(detail));
  if (status.IsIOError() || status.IsBusy() || status.IsTimedOut() || status.IsTryAgain() ||
      status.IsShutdownInProgress() || status.IsAborted()) {
    return unavailable("The store cannot be reached right now.", std::move(detail));
  }
  return internal_error(std::move(detail));
}

void check(const rocksdb::Status& status, std::string_view doing) {
  if (!status.ok()) throw to_error(status, doing);
}

}  // namespace colloquy::store
