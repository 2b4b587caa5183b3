#include "store/dynamodb/tables.h"

#include <boost/json/serialize.hpp>
#include <charconv>
#include <iterator>
#include <optional>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/pause.h"
#include "store/dynamodb/refusals.h"
#include "store/dynamodb/table_description.h"
#include "store/dynamodb/table_shape.h"

namespace colloquy::store::dynamodb {
namespace {

using std::chrono::steady_clock;

// A person who waits hears that often that it goes on.
constexpr std::chrono::seconds kReassurance{15};

Error conflict(const std::string& table, const std::string& why) {
  return {ErrorCode::kConflict, table + ": " + why + "."};
}

// Makes one table what it must be.
class TableMaker {
 public:
  TableMaker(Client& client, const TableShape& shape, const TableOptions& options,
             const Progress& progress)
      : client_(client), shape_(shape), options_(options), progress_(progress) {}

  // Returns before the service has made it.
  Task<> begin();
  // Waits for that, and does the rest.
  Task<> finish();

 private:
  Task<TableDescription> until_active();
  Task<> add_indexes();
  Task<> turn_on_time_to_live();
  Task<> turn_on_recovery();
  Task<> if_known(Task<> step, std::string what);
  // True once done; false when the table is being changed and it must be asked for again.
  Task<bool> ask(std::string_view operation, std::string body);
  Task<> wait_to_ask();
  void say(const std::string& text) const {
    if (progress_) progress_(shape_.name + ": " + text);
  }
  void refuse_wrong_keys(const TableDescription& there) const;
  const IndexShape* missing_index(const TableDescription& there) const;

  Client& client_;
  const TableShape& shape_;
  const TableOptions& options_;
  const Progress& progress_;
  steady_clock::time_point give_up_;
};

void TableMaker::refuse_wrong_keys(const TableDescription& there) const {
  for (const auto& wrong : wrong_keys(shape_, there)) {
    throw conflict(shape_.name, wrong + ", which cannot be changed in place");
  }
}

const IndexShape* TableMaker::missing_index(const TableDescription& there) const {
  for (const auto& index : shape_.indexes) {
    if (there.index(index.name) == nullptr) return &index;
  }
  return nullptr;
}

Task<> TableMaker::wait_to_ask() {
  if (steady_clock::now() >= give_up_) {
    throw unavailable(shape_.name +
                      ": the service is not done yet; run it again to go on waiting.");
  }
  co_await pause(options_.poll_interval);
}

Task<bool> TableMaker::ask(std::string_view operation, std::string body) {
  try {
    co_await client_.call(operation, std::move(body));
    co_return true;
  } catch (const ServiceError& refusal) {
    if (refusal.refusal() != Refusal::kInUse) throw;
  }
  co_return false;
}

Task<> TableMaker::begin() {
  auto there = co_await describe_table(client_, shape_.name);
  if (there) {
    refuse_wrong_keys(*there);
    say("is there");
    co_return;
  }
  say("is being made");
  // In use: another has just made it.
  co_await ask("CreateTable", create_table_body(shape_));
}

Task<> TableMaker::finish() {
  give_up_ = steady_clock::now() + options_.patience;
  co_await add_indexes();
  co_await if_known(turn_on_time_to_live(), "time to live");
  co_await if_known(turn_on_recovery(), "point-in-time recovery");
}

// The service may say for some seconds that a new table is not there.
Task<TableDescription> TableMaker::until_active() {
  auto reassure_at = steady_clock::now() + kReassurance;
  for (;;) {
    auto there = co_await describe_table(client_, shape_.name);
    bool active = there && there->status == "ACTIVE";
    std::string waits_for = "the table";
    if (there) {
      for (const auto& index : there->indexes) {
        if (index.status == "ACTIVE") continue;
        active = false;
        waits_for = "the index " + index.name;
      }
    }
    if (active) co_return std::move(*there);
    if (steady_clock::now() >= reassure_at) {
      say("waiting for " + waits_for);
      reassure_at = steady_clock::now() + kReassurance;
    }
    co_await wait_to_ask();
  }
}

// The service makes one at a time.
Task<> TableMaker::add_indexes() {
  std::set<std::string> asked;
  for (;;) {
    auto there = co_await until_active();
    refuse_wrong_keys(there);
    const auto* missing = missing_index(there);
    if (missing == nullptr) break;
    if (!asked.contains(missing->name)) {
      say("the index " + missing->name + " is being made");
      bool done = co_await ask("UpdateTable", add_index_body(shape_, *missing, there.units));
      if (done) asked.insert(missing->name);
    }
    co_await wait_to_ask();
  }
  say("active");
}

Task<> TableMaker::turn_on_time_to_live() {
  constexpr std::string_view kUpdate = "UpdateTimeToLive";
  std::string body = R"({"TableName":")" + shape_.name +
                     R"(","TimeToLiveSpecification":{"Enabled":true,"AttributeName":")" +
                     kTimeToLiveAttribute + R"("}})";
  std::optional<ServiceError> refused;
  for (;;) {
    auto state = co_await describe_time_to_live(client_, shape_.name);
    if (state.on() && state.attribute == kTimeToLiveAttribute) break;
    if (state.on()) {
      throw conflict(shape_.name, "its time to live is on attribute " + state.attribute +
                                      " and must be on ttl; turn it off first");
    }
    if (refused) throw error_of(kUpdate, *refused);
    if (state.status != "DISABLING") {
      try {
        bool done = co_await ask(kUpdate, body);
        if (done) break;
      } catch (const ServiceError& refusal) {
        if (refusal.refusal() != Refusal::kInvalid) throw;
        refused.emplace(refusal);  // or another was quicker: look again
        continue;
      }
    }
    co_await wait_to_ask();
  }
  say("what has expired is removed (time to live on ttl)");
}

Task<> TableMaker::turn_on_recovery() {
  std::string body = R"({"TableName":")" + shape_.name +
                     R"(","PointInTimeRecoverySpecification":{"PointInTimeRecoveryEnabled":true}})";
  for (;;) {
    bool on = co_await has_recovery(client_, shape_.name);
    if (!on) on = co_await ask("UpdateContinuousBackups", body);
    if (on) break;
    co_await wait_to_ask();
  }
  say("point-in-time recovery is on");
}

// A step that this service has no call for is said and left out.
Task<> TableMaker::if_known(Task<> step, std::string what) {
  try {
    co_await std::move(step);
  } catch (const ServiceError& refusal) {
    if (refusal.refusal() != Refusal::kUnknownOperation) throw;
    say("this service has no " + what);
  }
}

Error refused_to_person(const ServiceError& refusal) {
  return unavailable("The service refuses that.", refusal.what());
}

// What the service answered, or why it does not: for a person to read.
Task<boost::json::value> or_why_not(Task<boost::json::object> call) {
  try {
    co_return co_await std::move(call);
  } catch (const ServiceError& refusal) {
    co_return boost::json::string(refusal.what());
  }
}

void append_number(std::string& out, double number) {
  char text[32];
  auto end = std::to_chars(std::begin(text), std::end(text), number).ptr;
  out.append(std::begin(text), end);
}

// Two spaces for each level, a member on each line.
void append_indented(std::string& out, const boost::json::value& value, std::size_t level) {
  const std::string line = "\n" + std::string(2 * level + 2, ' ');
  const std::string last = "\n" + std::string(2 * level, ' ');
  if (value.is_object() && !value.get_object().empty()) {
    std::string separator = "{";
    for (const auto& [name, member] : value.get_object()) {
      out += separator + line + boost::json::serialize(name) + ": ";
      append_indented(out, member, level + 1);
      separator = ",";
    }
    out += last + "}";
  } else if (value.is_array() && !value.get_array().empty()) {
    std::string separator = "[";
    for (const auto& element : value.get_array()) {
      out += separator + line;
      append_indented(out, element, level + 1);
      separator = ",";
    }
    out += last + "]";
  } else if (value.is_double()) {
    append_number(out, value.get_double());  // a time; not 1.79E9
  } else {
    out += boost::json::serialize(value);
  }
}

}  // namespace

Task<> create_tables(Client& client, TableNames names, TableOptions options, Progress progress) {
  auto shapes = table_shapes(names, {options.secondary_indexes, options.updated_index});
  std::vector<TableMaker> makers;
  makers.reserve(shapes.size());
  for (const auto& shape : shapes) makers.emplace_back(client, shape, options, progress);
  try {
    for (auto& maker : makers) co_await maker.begin();
    for (auto& maker : makers) co_await maker.finish();
  } catch (const ServiceError& refusal) {
    throw refused_to_person(refusal);
  }
}

Task<std::string> describe_tables(Client& client, TableNames names) {
  boost::json::object all;
  for (const auto& table : {names.conversations, names.messages}) {
    std::optional<boost::json::object> there;
    try {
      there = co_await describe_table_raw(client, table);
    } catch (const ServiceError& refusal) {
      throw refused_to_person(refusal);
    }
    if (!there) {
      all[table] = nullptr;
      continue;
    }
    boost::json::object said;
    said["Table"] = std::move(*there);
    said["TimeToLive"] = co_await or_why_not(time_to_live_raw(client, table));
    said["ContinuousBackups"] = co_await or_why_not(continuous_backups_raw(client, table));
    all[table] = std::move(said);
  }
  std::string out;
  append_indented(out, all, 0);
  co_return out + "\n";
}

}  // namespace colloquy::store::dynamodb
