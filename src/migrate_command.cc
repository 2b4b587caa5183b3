#include "migrate_command.h"

#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>

#include "backup/restore.h"
#include "base/error.h"
#include "migrate/mover.h"
#include "migrate/source_tables.h"
#include "run_to_end.h"
#include "store/dynamodb/dynamodb_transfer.h"
#include "store/rocksdb/rocksdb_transfer.h"
#include "tables_access.h"

namespace colloquy {
namespace {

using config::ConfigError;
using config::MigrateConfig;
using config::MigratePlace;

std::string name_of(const MigratePlace& place) {
  if (place.kind == MigratePlace::Kind::kRocksDb) {
    return "rocksdb:" + std::filesystem::weakly_canonical(place.folder).string();
  }
  std::string kind = place.kind == MigratePlace::Kind::kSource ? "source:" : "dynamodb:";
  return kind + place.conversations_table + "," + place.messages_table;
}

// With the service that the tables are at, which makes them others.
std::string name_of(const MigratePlace& place, const MigrateConfig& config) {
  auto name = name_of(place);
  if (place.kind == MigratePlace::Kind::kRocksDb) return name;
  if (!config.dynamodb.endpoint.empty()) name += " at " + config.dynamodb.endpoint;
  if (!config.dynamodb.region.empty()) name += " in " + config.dynamodb.region;
  return name;
}

class Migration {
 public:
  explicit Migration(const MigrateConfig& config)
      : config_(config),
        file_(config.progress, name_of(*config.from, config), name_of(*config.to, config),
              clock_.now_s()) {
    if (name_of(*config.from) == name_of(*config.to)) {
      throw ConfigError("--from and --to are the same store");
    }
    from_ = open_from(*config.from);
    to_ = open_store(*config.to, store::RocksDbTransfer::Open::kOrNew);
  }

  migrate::Moved run() {
    bool terminal = isatty(STDERR_FILENO) == 1;
    migrate::ProgressReport report(std::cerr, terminal);
    migrate::Mover mover(*from_, *to_, file_, report, clock_);
    try {
      return run_to_end(loop_, mover.run());
    } catch (...) {
      if (terminal) std::cerr << '\n';  // the bar's line is not over
      throw;
    }
  }

 private:
  TablesAccess& tables() {
    if (!tables_) {
      tables_ =
          std::make_unique<TablesAccess>(config_.dynamodb, clock_, metrics_, loop_.get_executor());
    }
    return *tables_;
  }

  std::unique_ptr<store::Exporter> open_from(const MigratePlace& place) {
    if (place.kind == MigratePlace::Kind::kSource) {
      return std::make_unique<migrate::SourceTables>(
          tables().client(),
          store::dynamodb::TableNames{place.conversations_table, place.messages_table},
          file_.progress().begun_at_s);
    }
    return open_store(place, store::RocksDbTransfer::Open::kExisting);
  }

  std::unique_ptr<store::Importer> open_store(const MigratePlace& place,
                                              store::RocksDbTransfer::Open how) {
    if (place.kind == MigratePlace::Kind::kDynamoDb) {
      return std::make_unique<store::DynamoDbTransfer>(
          tables().client(),
          store::dynamodb::TableNames{place.conversations_table, place.messages_table}, clock_);
    }
    bool make = how == store::RocksDbTransfer::Open::kOrNew;
    if (make) std::filesystem::create_directories(place.folder);
    backup::require_restored(place.folder);
    auto folder = (std::filesystem::path(place.folder) / "store").string();
    return std::make_unique<store::RocksDbTransfer>(folder, how, clock_, ids_);
  }

  const MigrateConfig& config_;
  SystemClock clock_;
  RandomIdSource ids_;
  telemetry::Metrics metrics_;
  migrate::ProgressFile file_;
  // The loop ends after all that runs on it.
  boost::asio::io_context loop_{1};
  std::unique_ptr<TablesAccess> tables_;
  std::unique_ptr<store::Exporter> from_;
  std::unique_ptr<store::Importer> to_;
};

}  // namespace

int migrate_stores(const MigrateConfig& config, std::ostream& out) {
  Migration migration(config);
  auto moved = migration.run();
  out << "from: " << migrate::to_text(moved.from) << "\n";
  out << "to:   " << migrate::to_text(moved.to) << "\n";
  return EXIT_SUCCESS;
}

}  // namespace colloquy
