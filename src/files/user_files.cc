#include "files/user_files.h"

#include <utility>

#include "base/error.h"
#include "files/names.h"
#include "files/pool_upload.h"
#include "files/removal.h"
#include "files/sealed_view.h"
#include "files/shared.h"
#include "files/user_pool.h"
#include "keyring/keyring.h"
#include "telemetry/log.h"

namespace colloquy::files {
namespace {

// What a call on a file comes to that cannot be decrypted, the operator hears of.
template <class Operation>
auto told(const UserId& user, Operation operation) {
  try {
    return operation();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kConflict) {
      telemetry::log_warning("file.unreadable",
                             {{"user_id", user.value()}, {"detail", error.detail()}});
    }
    throw;
  }
}

}  // namespace

struct UserFiles::OpenState {
  std::shared_ptr<FilesShared> shared;
  std::shared_ptr<void> place;
  UserId user;
  ViewedFile file;
  std::unique_ptr<const FileCipher> cipher = {};  // of an encrypted one
};

class UserFiles::PoolReader final : public Reader {
 public:
  PoolReader(std::shared_ptr<UserPool> pool, std::shared_ptr<OpenState> state)
      : pool_(std::move(pool)), state_(std::move(state)) {}
  ~PoolReader() override {
    // The last close of a file that has lost its name frees its blocks.
    if (state_) pool_->post([state = std::move(state_)]() mutable { state.reset(); });
  }

  const FileInfo& info() const override { return state_->file.info; }

  Task<std::string> read(std::uint64_t offset, std::size_t bytes) override {
    auto job = [state = state_, offset, bytes] {
      const auto& volume = state->shared->volume;
      auto piece = told(state->user, [&] {
        return state->cipher ? read_sealed(volume, state->file, *state->cipher, offset, bytes)
                             : volume.read(state->file.file, offset, bytes);
      });
      state->shared->bytes_out.Increment(static_cast<double>(piece.size()));
      return piece;
    };
    co_return co_await pool_->run(state_->user, std::move(job));
  }

  Task<bool> is_unchanged() override {
    auto job = [state = state_] { return state->shared->volume.is_unchanged(state->file.file); };
    co_return co_await pool_->run(state_->user, std::move(job));
  }

 private:
  std::shared_ptr<UserPool> pool_;
  std::shared_ptr<OpenState> state_;
};

UserFiles::UserFiles(UserFilesOptions options, FileSystem& system, const Clock& clock,
                     telemetry::Metrics& metrics)
    : options_(std::move(options)),
      shared_(std::make_shared<FilesShared>(options_, system, clock, metrics)),
      pool_(std::make_shared<UserPool>(UserPoolOptions{.threads = options_.threads})) {
  // What is shown is what was found the last time: looking may take as long as the volume likes.
  metrics.before_render(
      [shared = std::weak_ptr<FilesShared>(shared_), pool = std::weak_ptr<UserPool>(pool_)] {
        const auto found = shared.lock();
        const auto threads = pool.lock();
        if (!found || !threads || found->showing.exchange(true)) return;
        threads->post([found] {
          found->show_free_space();
          found->showing = false;
        });
      });
}

UserFiles::~UserFiles() = default;

Task<std::unique_ptr<Upload>> UserFiles::begin(NewFile file) {
  if (auto refusal = refusal_of_path(file.path)) throw invalid_field("path", std::move(*refusal));
  if (file.bytes.value_or(0) > options_.max_file_bytes) {
    throw Error(ErrorCode::kTooLarge, "The file is too large.");
  }
  const UserId user = file.user;
  std::shared_ptr<const keyring::DataKey> key;
  if (options_.keyring != nullptr) key = co_await options_.keyring->find_or_make(user);
  auto job = [shared = shared_, place = shared_->upload_places.take(user), file = std::move(file),
              key = std::move(key)]() mutable {
    return PoolUpload::begin(shared, std::move(place), std::move(file), std::move(key));
  };
  auto state = co_await pool_->run(user, std::move(job));
  co_return std::make_unique<PoolUpload>(pool_, std::move(state));
}

Task<std::optional<FileInfo>> UserFiles::info(UserId user, std::string path) {
  if (refusal_of_path(path)) co_return std::nullopt;
  auto job = [shared = shared_, user, path = std::move(path)] {
    return shared->counted("head",
                           [&] { return viewed_info(shared->volume, shared->form(), user, path); });
  };
  co_return co_await pool_->run(user, std::move(job));
}

Task<std::unique_ptr<Reader>> UserFiles::open(UserId user, std::string path) {
  if (refusal_of_path(path)) co_return nullptr;
  auto job = [shared = shared_, place = shared_->reader_places.take(user), user,
              path = std::move(path)]() mutable {
    std::shared_ptr<OpenState> state;
    auto file = told(user, [&] {
      return shared->counted(
          "get", [&] { return open_viewed(shared->volume, shared->form(), user, path); });
    });
    if (file) {
      state =
          std::make_shared<OpenState>(OpenState{shared, std::move(place), user, std::move(*file)});
    }
    return state;
  };
  auto state = co_await pool_->run(user, std::move(job));
  if (!state) co_return nullptr;
  if (state->file.header) co_await open_sealed(state);
  co_return std::make_unique<PoolReader>(pool_, std::move(state));
}

Task<> UserFiles::open_sealed(std::shared_ptr<OpenState> state) {
  auto wanted = data_key_of_header(*state->file.header);
  auto key = co_await options_.keyring->find(state->user, std::move(wanted));
  auto job = [state, key = std::move(key)] {
    told(state->user, [&] {
      const auto& sealed = *state->file.header;
      if (!key || key->id() != data_key_of_header(sealed)) {
        throw unreadable_file("the key that it was encrypted with is not in the keyring");
      }
      state->cipher = std::make_unique<const FileCipher>(sealed, state->user, *key);
      check_end(state->shared->volume, state->file, *state->cipher);
    });
  };
  co_await pool_->run(state->user, std::move(job));
}

Task<> UserFiles::remove(UserId user, std::string path, Precondition precondition) {
  if (refusal_of_path(path)) throw not_found();
  auto job = [shared = shared_, user, path = std::move(path),
              precondition = std::move(precondition)] {
    shared->counted("delete", [&] {
      auto removal = shared->usage.begin_removal(user);
      const auto freed = shared->volume.remove(user, path, precondition);
      removal.done(freed);
      telemetry::log_info("file.deleted", {{"user_id", user.value()}, {"bytes", freed.bytes}});
    });
  };
  co_await pool_->run(user, std::move(job));
}

Task<bool> UserFiles::remove_some(UserId user, std::string erasure) {
  auto job = [shared = shared_, user, erasure = std::move(erasure)] {
    return shared->counted("erase", [&] {
      const bool nothing_left = remove_some_of(shared->volume, user, erasure, shared->stuck_rests);
      shared->usage.forget(user);
      return nothing_left;
    });
  };
  co_return co_await pool_->run(user, std::move(job));
}

void UserFiles::forget_usage(const UserId& user) { shared_->usage.forget(user); }

Task<ListPage> UserFiles::list(UserId user, ListRequest request) {
  auto job = [shared = shared_, user, request = std::move(request)] {
    return shared->counted("list", [&] {
      auto page = files::list(shared->volume, user, request);
      for (auto& info : page.files) view(shared->volume, shared->form(), user, info);
      return page;
    });
  };
  co_return co_await pool_->run(user, std::move(job));
}

}  // namespace colloquy::files
