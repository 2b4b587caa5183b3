// A folder with a RocksDbStore in it, for tests.
#pragma once

#include <rocksdb/write_batch.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "store/rocksdb/database.h"
#include "store/rocksdb/rocksdb_store.h"
#include "store/rocksdb/status.h"
#include "store/testing/conformance.h"
#include "store/testing/temporary_folder.h"
#include "telemetry/metrics.h"

namespace colloquy::store {

enum class Memory { kAmple, kScarce };

class RocksDbHarness final : public StoreHarness {
 public:
  // With scarce memory there are many small tables, and nearly every read goes to the disk.
  explicit RocksDbHarness(Memory memory = Memory::kAmple) : memory_(memory) {
    options_.path = folder_ / "store";
    options_.min_free_disk_bytes = 0;
    options_.sweep_interval = std::chrono::hours(1);  // only when a test asks
    if (memory == Memory::kScarce) {
      options_.block_cache_bytes = 32 * limits::kKiB;
      options_.write_buffer_bytes = 64 * limits::kKiB;
    }
  }

  std::unique_ptr<Store> open() override { return open_rocksdb(); }
  std::unique_ptr<RocksDbStore> open_rocksdb() {
    return RocksDbStore::open(options_, clock_, ids_, metrics_);
  }
  void retain(std::optional<std::int64_t> seconds) override {
    options_.retention_seconds = seconds;
  }
  ManualClock& clock() override { return clock_; }
  void settle(Store& store) override {
    auto& rocksdb_store = dynamic_cast<RocksDbStore&>(store);
    rocksdb_store.sweep_now();
    if (memory_ == Memory::kScarce) rocksdb_store.flush_and_compact();
  }

  // Into a store that is closed, as the disk or another program might leave it: rows of one commit,
  // each of a family ("messages", …).
  struct RawRow {
    std::string family;
    std::string key;
    std::string value;
  };
  void put_raw(const std::vector<RawRow>& rows) {
    Database database(options_);
    rocksdb::WriteBatch commit;
    for (const auto& row : rows) {
      auto* family = row.family == "messages"        ? database.messages()
                     : row.family == "conversations" ? database.conversations()
                                                     : database.derived();
      commit.Put(family, row.key, row.value);
    }
    rocksdb::WriteOptions durable;
    durable.sync = true;
    check(database.db().Write(durable, &commit), "writing raw rows");
  }
  // The number that the next commit's changes get.
  std::uint64_t next_number() { return Database(options_).db().GetLatestSequenceNumber() + 1; }

  RocksDbOptions& options() { return options_; }
  telemetry::Metrics& metrics() { return metrics_; }

 private:
  const Memory memory_;
  TemporaryFolder folder_;
  RocksDbOptions options_;
  ManualClock clock_{1'700'000'000'000};
  RandomIdSource ids_;
  telemetry::Metrics metrics_;
};

}  // namespace colloquy::store
