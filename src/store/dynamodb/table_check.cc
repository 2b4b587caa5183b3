#include <boost/json/serialize.hpp>
#include <utility>

#include "base/error.h"
#include "base/ids.h"
#include "store/dynamodb/answers.h"
#include "store/dynamodb/attributes.h"
#include "store/dynamodb/refusals.h"
#include "store/dynamodb/request.h"
#include "store/dynamodb/restore_record.h"
#include "store/dynamodb/table_description.h"
#include "store/dynamodb/table_shape.h"
#include "store/dynamodb/tables.h"

namespace colloquy::store::dynamodb {
namespace {

using boost::json::object;

// How many rows are looked at, at most, for ids that are not ours.
constexpr std::size_t kSamplePages = 4;
constexpr std::int64_t kSampleRows = 50;

// Compares one table.
class TableCheck {
 public:
  TableCheck(Client& client, const TableShape& shape, CheckFor purpose,
             std::vector<Finding>& findings)
      : client_(client), shape_(shape), purpose_(purpose), findings_(findings) {}

  Task<> run();

 private:
  // What went wrong, and whether create_tables mends it.
  void error(std::string text, bool create_helps = false) {
    findings_.push_back({Finding::Severity::kError, shape_.name, std::move(text), create_helps});
  }
  void warning(std::string text, bool create_helps = false) {
    findings_.push_back({Finding::Severity::kWarning, shape_.name, std::move(text), create_helps});
  }
  bool serving() const { return purpose_ == CheckFor::kServing; }

  void check_status(const TableDescription& there);
  void check_indexes(const TableDescription& there);
  void check_index(const IndexDescription& there);
  void check_billing_and_encryption(const TableDescription& there);
  Task<> check_time_to_live();
  Task<> check_recovery();
  Task<> check_ids();
  Task<> check_restore(TableDescription there);
  bool has_foreign_id(const object& row);
  Task<> unless_refused(Task<> step, std::string action);

  Client& client_;
  const TableShape& shape_;
  const CheckFor purpose_;
  std::vector<Finding>& findings_;
};

// What this service has no call for, or does not let us ask, is not known: no more than that.
Task<> TableCheck::unless_refused(Task<> step, std::string action) {
  try {
    co_await std::move(step);
  } catch (const ServiceError& refusal) {
    if (refusal.refusal() == Refusal::kUnknownOperation) {
      warning("this service has no " + action);
    } else if (refusal.refusal() == Refusal::kDenied) {
      warning("cannot be checked in full: " + action + " is not allowed");
    } else {
      throw;
    }
  }
}

Task<> TableCheck::run() {
  auto there = co_await describe_table(client_, shape_.name);
  if (!there) {
    error("there is no such table", true);
    co_return;
  }
  check_status(*there);
  auto wrong = wrong_keys(shape_, *there);
  bool readable = wrong.empty() && there->status != "CREATING";
  for (auto& text : wrong) error(std::move(text));
  check_indexes(*there);
  check_billing_and_encryption(*there);
  co_await unless_refused(check_time_to_live(), "DescribeTimeToLive");
  if (!serving()) co_await unless_refused(check_recovery(), "DescribeContinuousBackups");
  if (readable) co_await unless_refused(check_ids(), "Scan");
  bool of_messages = shape_.key.hash == "conversation_id";
  if (readable && serving() && of_messages) co_await check_restore(std::move(*there));
}

// Before its end, erased users may be in it.
Task<> TableCheck::check_restore(TableDescription there) {
  auto record = co_await client_.call("GetItem", restore_record_body(shape_.name));
  auto state = restore_state(record.body, shape_.name);
  if (state == RestoreState::kBegun) {
    error("its restore has not ended: run colloquy restore again");
  } else if (state == RestoreState::kNone && there.restored) {
    warning("it was restored, and not by colloquy restore: users who were erased since are in it");
  }
}

void TableCheck::check_status(const TableDescription& there) {
  if (there.status == "ACTIVE") return;
  if (there.status == "UPDATING") {
    warning("it is being changed (UPDATING)");
  } else {
    error("it is not active (" + there.status + ")", there.status == "CREATING");
  }
}

void TableCheck::check_index(const IndexDescription& there) {
  if (there.status != "ACTIVE") {
    error("its index " + there.name + " is not active (" + there.status + ")",
          there.status == "CREATING");
  }
}

void TableCheck::check_indexes(const TableDescription& there) {
  for (const auto& index : shape_.indexes) {
    const auto* found = there.index(index.name);
    if (found == nullptr) {
      error("its index " + index.name + " " + index.key.text() + " is missing", true);
    } else {
      check_index(*found);
    }
  }
  if (serving()) return;
  for (const auto& index : there.indexes) {
    if (index.projection == "KEYS_ONLY") continue;
    warning("its index " + index.name + " holds more than keys (" + index.projection +
            "), and every write of a longer item costs that much more");
  }
}

void TableCheck::check_billing_and_encryption(const TableDescription& there) {
  if (there.units.write > 0) {
    warning("it is billed by provisioned units, and refuses what is above them");
  }
  if (serving()) return;
  const auto& status = there.encryption;
  if (status.empty()) {
    warning("the service does not say that it is encrypted with a key of this account");
  } else if (status != "ENABLED" && status != "ENABLING" && status != "UPDATING") {
    warning("it is not encrypted with a key of this account (" + status + ")");
  }
}

Task<> TableCheck::check_time_to_live() {
  auto state = co_await describe_time_to_live(client_, shape_.name);
  if (state.on() && state.attribute != kTimeToLiveAttribute) {
    error("its time to live is on attribute " + state.attribute + " and must be on ttl");
  } else if (!state.on()) {
    std::string text = "its time to live is off: what has expired is never removed";
    if (serving()) {
      warning(std::move(text), true);
    } else {
      error(std::move(text), true);
    }
  }
}

Task<> TableCheck::check_recovery() {
  bool on = co_await has_recovery(client_, shape_.name);
  if (!on) error("its point-in-time recovery is off", true);
}

bool TableCheck::has_foreign_id(const object& row) {
  AttributeReader from(row);
  const auto& key = shape_.key;
  bool of_messages = key.hash == "conversation_id";
  auto conversation = from.required_string("conversation_id");
  // Records of ours, and the further parts of long messages.
  if (of_messages && conversation.find('#') != std::string::npos) return false;
  if (!ConversationId::parse(conversation)) return true;
  return of_messages && !MessageId::parse(from.required_string("message_id"));
}

// The source system's rows have random ids, in no order of time.
Task<> TableCheck::check_ids() {
  object start;
  for (std::size_t page = 0; page < kSamplePages; ++page) {
    Request request(shape_.name);
    request.set("Limit", kSampleRows);
    request.projection("#" + shape_.key.hash + ", #" + shape_.key.range);
    if (!start.empty()) request.raw("ExclusiveStartKey", boost::json::serialize(start));
    auto answer = co_await client_.call("Scan", request.take());
    for (const auto& row : items_of(answer.body)) {
      if (!has_foreign_id(row.as_object())) continue;
      error(
          "it holds rows whose ids are not of version 7, as the source system's are: "
          "colloquy migrate takes them into tables of Colloquy's own");
      co_return;
    }
    start = take_next(answer.body);
    if (start.empty()) break;
  }
}

}  // namespace

Task<std::vector<Finding>> check_tables(Client& client, TableNames names, TableOptions options,
                                        CheckFor purpose) {
  auto shapes = table_shapes(names, {options.secondary_indexes, options.updated_index});
  std::vector<Finding> findings;
  try {
    for (const auto& shape : shapes) {
      TableCheck check(client, shape, purpose, findings);
      co_await check.run();
    }
  } catch (const ServiceError& refusal) {
    throw error_of("checking the tables", refusal);
  }
  co_return findings;
}

}  // namespace colloquy::store::dynamodb
