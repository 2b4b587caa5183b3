// The Upload of a UserFiles: its calls run on the pool's threads.
#pragma once

#include <memory>
#include <string>

#include "files/shared.h"
#include "files/user_files.h"
#include "files/user_pool.h"

namespace colloquy::files {

class PoolUpload final : public Upload {
 public:
  struct State;
  // Blocks. `place`: of shared.upload_places. `key`: the user's, where files may be encrypted.
  static std::shared_ptr<State> begin(std::shared_ptr<FilesShared> shared,
                                      std::shared_ptr<void> place, NewFile file,
                                      std::shared_ptr<const keyring::DataKey> key);

  PoolUpload(std::shared_ptr<UserPool> pool, std::shared_ptr<State> state);
  ~PoolUpload() override;

  Task<> write(std::string bytes) override;
  Task<Stored> finish() override;
  Task<> give_up() override;

 private:
  std::shared_ptr<UserPool> pool_;
  std::shared_ptr<State> state_;
};

}  // namespace colloquy::files
