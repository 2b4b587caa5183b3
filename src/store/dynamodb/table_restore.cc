#include "store/dynamodb/table_restore.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/json_writer.h"
#include "base/pause.h"
#include "store/dynamodb/table_description.h"
#include "store/dynamodb/table_tags.h"

namespace colloquy::store::dynamodb {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kFirstPoll{250};
// The service may say for some seconds that a new table is not there.
constexpr std::chrono::seconds kUntilSeen{60};
constexpr std::int64_t kUsualRecoveryDays = 35;

std::string utc_text(std::int64_t unix_s) {
  const auto time = static_cast<std::time_t>(unix_s);
  std::tm parts{};
  gmtime_r(&time, &parts);
  std::array<char, 32> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

Error refused_to_person(const ServiceError& refusal) {
  return unavailable("The service refuses that.", refusal.what());
}

struct Pair {
  std::string from;
  std::string to;
};

class Restorer {
 public:
  Restorer(Client& client, const TableRestore& restore, const RestoreTold& told)
      : client_(client),
        restore_(restore),
        told_(told),
        pairs_{{restore.from.conversations, restore.to.conversations},
               {restore.from.messages, restore.to.messages}} {}

  Task<> restore();
  Task<> set_up();

 private:
  Task<TableDescription> source(const Pair& pair);
  // Whether it is there already, of this restore.
  Task<bool> has_begun(const Pair& pair);
  Task<Recovery> recovery_of(const std::string& table);
  Task<> require_window(const std::vector<Pair>& pairs);
  Task<> begin(const Pair& pair);
  Task<> until_restored(const Pair& pair);
  Task<std::optional<TableDescription>> look(const std::string& table, bool& answered);
  Task<> set_up(const Pair& pair);
  Task<> set_recovery_period(const Pair& pair);
  // Once the table is not being changed.
  Task<> ask(std::string_view operation, std::string body, std::string for_what);
  Task<> wait(milliseconds& poll, const std::string& for_what);
  void say(const std::string& table, const std::string& text) const {
    if (told_.say) told_.say(table + ": " + text);
  }

  Client& client_;
  const TableRestore& restore_;
  const RestoreTold& told_;
  const std::vector<Pair> pairs_;
};

// Whether it stands there as what this restore has made, or is making.
bool is_of_restore(const TableDescription& there, const std::string& from_arn, std::int64_t at_s) {
  return there.restored && there.restored->from_arn == from_arn && there.restored->at_s == at_s;
}

Task<TableDescription> Restorer::source(const Pair& pair) {
  auto there = co_await describe_table(client_, pair.from);
  if (!there) {
    throw Error(ErrorCode::kInvalid, "There is no table " + pair.from + " to restore from.");
  }
  co_return std::move(*there);
}

Task<bool> Restorer::has_begun(const Pair& pair) {
  auto from = co_await source(pair);
  auto there = co_await describe_table(client_, pair.to);
  if (!there) co_return false;
  if (is_of_restore(*there, from.arn, restore_.at_s)) co_return true;
  std::string what = "was not made by a restore";
  if (there->restored)
    what = "is " + there->restored->from_arn + " as of " + utc_text(there->restored->at_s);
  throw Error(ErrorCode::kConflict, "The table " + pair.to + " is there already, and " + what +
                                        ": name others (--suffix), or delete it first.");
}

Task<Recovery> Restorer::recovery_of(const std::string& table) {
  try {
    co_return co_await describe_recovery(client_, table);
  } catch (const ServiceError& refusal) {
    if (refusal.refusal() != Refusal::kUnknownOperation) throw;
  }
  throw Error(ErrorCode::kInvalid,
              "This service has no point-in-time recovery, as DynamoDB Local has none: there is "
              "nothing to restore from. colloquy migrate copies tables as they are.");
}

Task<> Restorer::require_window(const std::vector<Pair>& pairs) {
  std::int64_t earliest_s = 0;
  std::optional<std::int64_t> latest_s;
  for (const auto& pair : pairs) {
    auto recovery = co_await recovery_of(pair.from);
    if (!recovery.on) {
      throw Error(ErrorCode::kInvalid, "Point-in-time recovery of the table " + pair.from +
                                           " is off: there is nothing to restore from.");
    }
    earliest_s = std::max(earliest_s, recovery.earliest_s);
    latest_s = std::min(latest_s.value_or(recovery.latest_s), recovery.latest_s);
  }
  if (!latest_s || (restore_.at_s >= earliest_s && restore_.at_s <= *latest_s)) co_return;
  throw Error(ErrorCode::kInvalid,
              utc_text(restore_.at_s) + " cannot be restored: the service has " +
                  utc_text(earliest_s) + " to " + utc_text(*latest_s) +
                  " (never the last five minutes; nothing from before the recovery was on).");
}

Task<> Restorer::wait(milliseconds& poll, const std::string& for_what) {
  if (steady_clock::now() >= restore_.give_up) {
    throw unavailable(for_what +
                      " is not done in the time given (--wait). The service goes on with what was "
                      "begun: run the same command again to go on waiting.");
  }
  if (told_.waiting) told_.waiting(for_what);
  co_await pause(poll);
  poll = std::min(2 * poll, restore_.poll_interval);
}

Task<> Restorer::ask(std::string_view operation, std::string body, std::string for_what) {
  auto poll = kFirstPoll;
  for (;;) {
    try {
      co_await client_.call(operation, body);
      co_return;
    } catch (const ServiceError& refusal) {
      if (refusal.refusal() != Refusal::kInUse) throw;
    }
    co_await wait(poll, for_what);
  }
}

Task<> Restorer::begin(const Pair& pair) {
  std::string body;
  JsonWriter json(body);
  json.begin_object().key("SourceTableName").string(pair.from);
  json.key("TargetTableName").string(pair.to);
  json.key("RestoreDateTime").integer(restore_.at_s).end_object();
  bool there = false;
  auto poll = kFirstPoll;
  while (!there) {
    try {
      co_await client_.call("RestoreTableToPointInTime", body);
      break;
    } catch (const ServiceError& refusal) {
      // There by a call whose answer was lost; or too many restores go on in this account.
      there = refusal.type() == "TableAlreadyExistsException" ||
              refusal.type() == "TableInUseException";
      if (!there && refusal.refusal() != Refusal::kInUse) throw;
    }
    if (!there) there = co_await has_begun(pair);
    if (!there) co_await wait(poll, pair.to + ": its restore");
  }
  if (there) {
    // Another's may have come in between.
    there = co_await has_begun(pair);
  }
  say(pair.to, "is being made from " + pair.from + " as of " + utc_text(restore_.at_s));
}

// What is out for a while is asked again: a restore takes hours, and the service goes on with it.
Task<std::optional<TableDescription>> Restorer::look(const std::string& table, bool& answered) {
  answered = true;
  try {
    co_return co_await describe_table(client_, table);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kUnavailable) throw;
    answered = false;
  }
  co_return std::nullopt;
}

Task<> Restorer::until_restored(const Pair& pair) {
  const auto begun = steady_clock::now();
  bool seen = false;
  auto poll = kFirstPoll;
  for (;;) {
    bool answered = false;
    auto there = co_await look(pair.to, answered);
    std::string status = answered ? "not to be seen yet" : "the service does not answer";
    if (there) {
      seen = true;
      status = there->status;
      bool waits = status == "CREATING" || status == "UPDATING";
      bool active = status == "ACTIVE" && !(there->restored && there->restored->goes_on);
      for (const auto& index : there->indexes) active = active && index.status == "ACTIVE";
      if (active) break;
      if (!waits && status != "ACTIVE") {
        throw unavailable("The restore of " + pair.to + " has failed: the table is " + status +
                          ". Delete it, and begin anew.");
      }
    } else if (answered && (seen || steady_clock::now() >= begun + kUntilSeen)) {
      throw unavailable("The service has given up the restore of " + pair.to +
                        ": there is no such table. Run the same command again to begin it anew.");
    }
    auto minutes = std::chrono::duration_cast<std::chrono::minutes>(steady_clock::now() - begun);
    co_await wait(poll, pair.to + ": its restore (" + status + ", " +
                            std::to_string(minutes.count()) + " min)");
  }
  say(pair.to, "is restored");
}

Task<> Restorer::restore() {
  std::vector<Pair> missing;
  for (const auto& pair : pairs_) {
    bool begun = co_await has_begun(pair);
    if (begun) say(pair.to, "is there from this restore");
    if (!begun) missing.push_back(pair);
  }
  co_await require_window(missing);
  for (const auto& pair : missing) co_await begin(pair);
  for (const auto& pair : pairs_) co_await until_restored(pair);
}

Task<> Restorer::set_up(const Pair& pair) {
  auto from = co_await source(pair);
  auto to = co_await describe_table(client_, pair.to);
  if (!to) throw unavailable("The table " + pair.to + " has gone meanwhile.");
  auto set = [&pair](const char* member, const std::string& value) {
    return "{\"TableName\":\"" + pair.to + "\",\"" + member + "\":" + value + "}";
  };
  auto tags = co_await tags_of(client_, from.arn);
  if (!tags) say(pair.to, "this service has no tags");
  if (tags && !tags->empty()) {
    co_await ask("TagResource", tag_body(to->arn, *tags), pair.to + ": its tags");
    say(pair.to, "has its tags");
  }
  if (from.table_class != to->table_class && !from.table_class.empty()) {
    co_await ask("UpdateTable", set("TableClass", "\"" + from.table_class + "\""),
                 pair.to + ": its class");
    say(pair.to, "is of the class " + from.table_class);
  }
  if (from.deletion_protection && !to->deletion_protection) {
    co_await ask("UpdateTable", set("DeletionProtectionEnabled", "true"),
                 pair.to + ": its deletion protection");
    say(pair.to, "is protected from deletion");
  }
  if (from.streams && !to->streams) {
    say(pair.to, pair.from + " has a stream, and this has none: it is none of Colloquy's");
  }
}

Task<> Restorer::set_recovery_period(const Pair& pair) {
  auto from = co_await describe_recovery(client_, pair.from);
  if (from.days == 0 || from.days == kUsualRecoveryDays) co_return;
  auto to = co_await describe_recovery(client_, pair.to);
  if (to.days == from.days) co_return;
  co_await ask("UpdateContinuousBackups",
               "{\"TableName\":\"" + pair.to +
                   "\",\"PointInTimeRecoverySpecification\":{\"PointInTimeRecoveryEnabled\":true,"
                   "\"RecoveryPeriodInDays\":" +
                   std::to_string(from.days) + "}}",
               pair.to + ": its recovery");
  say(pair.to, "its recovery reaches back " + std::to_string(from.days) + " days");
}

Task<> Restorer::set_up() {
  for (const auto& pair : pairs_) co_await set_up(pair);
  TableOptions options;
  options.secondary_indexes = false;  // those that there were came along
  const auto left =
      std::max(restore_.give_up - steady_clock::now(), steady_clock::duration::zero());
  options.patience = std::chrono::duration_cast<milliseconds>(left);
  co_await create_tables(client_, restore_.to, options, told_.say);
  for (const auto& pair : pairs_) co_await set_recovery_period(pair);
}

}  // namespace

Task<> restore_tables(Client& client, TableRestore restore, RestoreTold told) {
  Restorer restorer(client, restore, told);
  try {
    co_await restorer.restore();
  } catch (const ServiceError& refusal) {
    throw refused_to_person(refusal);
  }
}

Task<> set_up_restored_tables(Client& client, TableRestore restore, RestoreTold told) {
  Restorer restorer(client, restore, told);
  try {
    co_await restorer.set_up();
  } catch (const ServiceError& refusal) {
    throw refused_to_person(refusal);
  }
}

}  // namespace colloquy::store::dynamodb
