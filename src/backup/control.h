// How `colloquy backup` asks the server that has a data folder open: a Unix socket
// in that folder, which only its owner may open. One line asks, lines answer:
//
//   backup <target in hexadecimal>
//   progress <done> <expected>          any number of these
//   done <lineage> <time of the last commit in ms>
//   failed <why in hexadecimal>         instead
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "backup/continuous.h"
#include "base/file_descriptor.h"

namespace colloquy::backup {

// Answers on a thread of its own, one caller at a time.
class ControlServer {
 public:
  // Makes the backup into `target`. Blocks; throws Error.
  using Backup = std::function<BackedUp(const std::string& target, const store::CopyProgress&)>;

  // Throws kUnavailable when the socket cannot be made.
  ControlServer(const std::string& data, Backup backup);
  // Waits for a backup that goes on.
  ~ControlServer();
  // Takes no more. False where one goes on at `give_up`: then this must stay.
  bool stop(std::chrono::steady_clock::time_point give_up);
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

 private:
  void run();
  void serve(int connection);

  const Backup backup_;
  const FileDescriptor folder_;
  const FileDescriptor listener_;
  const FileDescriptor stop_;  // an eventfd
  std::mutex mutex_;
  std::condition_variable ended_;
  bool has_ended_ = false;  // guarded by mutex_
  std::thread thread_;
};

// Throws kUnavailable where no server answers in `data`, and what the server says is wrong as
// kInternal.
BackedUp ask_server(const std::string& data, const std::string& target,
                    const store::CopyProgress& progress);

}  // namespace colloquy::backup
