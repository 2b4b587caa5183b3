#include "files/pool_upload.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "files/sealed_file.h"
#include "telemetry/log.h"

namespace colloquy::files {
namespace {

// The free space is looked at again each time so much was written, and as much is promised at a
// time to an upload that has not said how long it is.
constexpr std::uint64_t kFreeSpaceStep = 8ULL << 20U;

}  // namespace

// On the threads of the pool.
struct PoolUpload::State {
  State(std::shared_ptr<FilesShared> all, std::shared_ptr<void> its_place, NewFile what,
        std::shared_ptr<const keyring::DataKey> the_key)
      : shared(std::move(all)),
        place(std::move(its_place)),
        file(std::move(what)),
        key(std::move(the_key)),
        is_decided(!key),
        digester(file.checksums) {
    shared->sweep_at_times();
    const auto found = shared->volume.info(file.user, file.path);
    if (!file.precondition.holds_for(found)) {
      throw Error(ErrorCode::kPreconditionFailed,
                  "The file is not, or no longer, as you expect it.");
    }
    Change change;
    if (found) change.replaced_bytes = found->bytes;
    if (!found) change.folders = shared->volume.check_way(file.user, file.path);
    if (key && shared->encrypt) seal();
    const auto bytes = stored_bytes(file.bytes.value_or(0));
    reservation = shared->usage.reserve(file.user, bytes, change);
    promise.emplace(*shared);
    promise->add(bytes);
    draft = shared->volume.begin();
    shared->uploads.Increment();
  }
  ~State() { end(); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  // Gives back what it has taken; what was written goes, unless it was moved.
  void end() {
    if (!draft) return;
    shared->uploads.Decrement();
    draft.reset();
    promise.reset();
    reservation.reset();
    place.reset();
  }

  void seal() {
    sealer.emplace(shared->form()->make_header(key->id()), file.user, *key);
    is_decided = true;
  }

  // What the file takes of the volume, and of the user's share of it.
  std::uint64_t stored_bytes(std::uint64_t bytes) const {
    return sealer ? sealed_file_bytes(bytes) : bytes;
  }

  void write(std::string_view bytes) {
    if (!draft) throw internal_error("an upload goes on after its end");
    const auto total = taken + bytes.size();
    if (file.bytes && total > *file.bytes) {
      throw Error(ErrorCode::kInvalid, "The file is longer than was declared.");
    }
    if (total > shared->max_file_bytes) {
      throw Error(ErrorCode::kTooLarge, "The file is too large.");
    }
    taken = total;
    if (is_decided) {
      put(bytes);
    } else {
      beginning += bytes;
      if (beginning.size() >= kSealedHeaderBytes) decide();
    }
    digester.add(bytes);
    shared->bytes_in.Increment(static_cast<double>(bytes.size()));
  }

  // What begins as an encrypted file does is encrypted, so that it is not taken for a damaged one.
  void decide() {
    if (shared->form()->begins_as_sealed(beginning)) seal();
    is_decided = true;
    put(beginning);
    beginning.clear();
  }

  void put(std::string_view bytes) { store(sealer ? sealer->add(bytes) : std::string(bytes)); }

  void store(const std::string& bytes) {
    reservation->grow(stored_bytes(taken));
    const auto total = draft->bytes() + bytes.size();
    if (bytes.size() > promise->bytes()) {
      have_promised(bytes.size());
    } else if (total >= looked_at + kFreeSpaceStep) {
      shared->require_free_space();
      looked_at = total;
    }
    draft->append(bytes);
    promise->keep(bytes.size());
  }

  // At least so many bytes, and more where there is room.
  void have_promised(std::uint64_t bytes) {
    const auto missing = bytes - promise->bytes();
    try {
      promise->add(std::max(missing, kFreeSpaceStep));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kQuota) throw;
      promise->add(missing);
    }
  }

  Stored finish() {
    if (!draft) throw internal_error("an upload goes on after its end");
    if (file.bytes && taken != *file.bytes) {
      throw Error(ErrorCode::kInvalid, "The file is shorter than was declared.");
    }
    if (!is_decided) decide();
    if (sealer) store(sealer->end());
    if (!digester.matches()) {
      throw invalid_field("Content-Digest", "is not the digest of what was sent");
    }
    bool admitted = false;
    const auto admit = [&](const Change& change) {
      if (admitted) reservation->undo();
      admitted = false;
      reservation->become(draft->bytes(), change);
      admitted = true;
    };
    try {
      auto stored = shared->volume.put(file.user, file.path, *draft, file.precondition, admit);
      stored.info.bytes = taken;
      telemetry::log_info("file.written", {{"user_id", file.user.value()},
                                           {"bytes", stored.info.bytes},
                                           {"is_new", stored.is_new}});
      return stored;
    } catch (...) {
      if (admitted && !draft->moved()) reservation->undo();
      throw;
    }
  }

  std::shared_ptr<FilesShared> shared;
  std::shared_ptr<void> place;
  NewFile file;
  const std::shared_ptr<const keyring::DataKey> key;
  std::optional<FileSealer> sealer;
  bool is_decided;          // whether it is encrypted
  std::string beginning;    // until then
  std::uint64_t taken = 0;  // of the file as its user has it
  Digester digester;
  std::unique_ptr<Usage::Reservation> reservation;
  std::optional<FilesShared::Promise> promise;
  std::unique_ptr<Draft> draft;
  std::uint64_t looked_at = 0;
};

std::shared_ptr<PoolUpload::State> PoolUpload::begin(std::shared_ptr<FilesShared> shared,
                                                     std::shared_ptr<void> place, NewFile file,
                                                     std::shared_ptr<const keyring::DataKey> key) {
  try {
    return std::make_shared<State>(shared, std::move(place), std::move(file), std::move(key));
  } catch (const Error& error) {
    shared->count("put", FilesShared::outcome_of(error));
    throw;
  }
}

PoolUpload::PoolUpload(std::shared_ptr<UserPool> pool, std::shared_ptr<State> state)
    : pool_(std::move(pool)), state_(std::move(state)) {}

PoolUpload::~PoolUpload() {
  // Removing what was written blocks too.
  if (state_) pool_->post([state = std::move(state_)]() mutable { state.reset(); });
}

Task<> PoolUpload::write(std::string bytes) {
  auto job = [state = state_, bytes = std::move(bytes)] {
    try {
      state->write(bytes);
    } catch (const Error& error) {
      state->shared->count("put", FilesShared::outcome_of(error));
      state->end();
      throw;
    }
  };
  co_await pool_->run(state_->file.user, std::move(job));
}

Task<Stored> PoolUpload::finish() {
  auto job = [state = state_] {
    // Before anybody hears of it.
    struct End {
      State& state;
      ~End() { state.end(); }
    } at_end{*state};
    return state->shared->counted("put", [&state] { return state->finish(); });
  };
  co_return co_await pool_->run(state_->file.user, std::move(job));
}

Task<> PoolUpload::give_up() {
  auto job = [state = state_] { state->end(); };
  co_await pool_->run(state_->file.user, std::move(job));
}

}  // namespace colloquy::files
