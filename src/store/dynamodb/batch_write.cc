#include "store/dynamodb/batch_write.h"

#include <boost/json/serialize.hpp>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/json_writer.h"
#include "base/pause.h"
#include "store/dynamodb/answers.h"
#include "store/dynamodb/refusals.h"

namespace colloquy::store::dynamodb {
namespace {

constexpr std::size_t kRowsOfBatch = 25;
// The service takes 16 MiB; less at once keeps what has to be sent again small.
constexpr std::size_t kBytesOfBatch = std::size_t{4} << 20;
constexpr int kPatientTries = 40;

// What is done to a row, as the service calls it, and what of the row it is told.
struct Write {
  std::string_view request;
  std::string_view member;
  int tries;
};
constexpr Write kPut{"PutRequest", "Item", kPatientTries};
constexpr Write kErase{"DeleteRequest", "Key", kBatchTries};

// The member RequestItems of a batch of the rows from `at` on, which it moves past them.
std::string next_batch(const std::string& table, const Write& write,
                       const std::vector<std::string>& rows, std::size_t& at) {
  std::string requests;
  JsonWriter json(requests);
  json.begin_object().key(table).begin_array();
  for (std::size_t taken = 0; at < rows.size() && taken < kRowsOfBatch; ++taken, ++at) {
    if (taken > 0 && requests.size() + rows[at].size() > kBytesOfBatch) break;
    json.begin_object().key(write.request).begin_object().key(write.member).raw(rows[at]);
    json.end_object().end_object();
  }
  json.end_array().end_object();
  return requests;
}

Task<> write_rows(Client& client, std::string table, Write write, std::vector<std::string> rows) {
  for (std::size_t at = 0; at < rows.size();) {
    auto requests = next_batch(table, write, rows, at);
    for (int tries = 1; !requests.empty(); ++tries) {
      auto body = R"({"ReturnConsumedCapacity":"INDEXES","RequestItems":)" + requests + "}";
      auto answer = co_await checked_call(client, "BatchWriteItem", std::move(body));
      const auto* left = answer.body.if_contains("UnprocessedItems");
      if (left == nullptr || !left->is_object() || left->get_object().empty()) break;
      if (tries == write.tries) throw unavailable("The tables are too busy right now.");
      requests = boost::json::serialize(*left);
      co_await pause(batch_delay(tries));
    }
  }
}

}  // namespace

Task<> put_rows(Client& client, std::string table, std::vector<std::string> items) {
  return write_rows(client, std::move(table), kPut, std::move(items));
}

Task<> erase_rows(Client& client, std::string table, std::vector<std::string> keys) {
  return write_rows(client, std::move(table), kErase, std::move(keys));
}

}  // namespace colloquy::store::dynamodb
