#include "store/dynamodb/batch_write.h"

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <utility>

#include "base/error.h"
#include "base/json_writer.h"
#include "store/dynamodb/refusals.h"

namespace colloquy::store::dynamodb {
namespace {

constexpr std::size_t kRowsOfBatch = 25;
// The service takes 16 MiB; less at once keeps what has to be sent again small.
constexpr std::size_t kBytesOfBatch = std::size_t{4} << 20;
constexpr int kTries = 40;
constexpr auto kFirstPause = std::chrono::milliseconds(25);
constexpr auto kLongestPause = std::chrono::milliseconds(2'000);

// The member RequestItems of a batch of the rows from `at` on, which it moves past them.
std::string next_batch(const std::string& table, const std::vector<std::string>& items,
                       std::size_t& at) {
  std::string requests;
  JsonWriter json(requests);
  json.begin_object().key(table).begin_array();
  for (std::size_t rows = 0; at < items.size() && rows < kRowsOfBatch; ++rows, ++at) {
    if (rows > 0 && requests.size() + items[at].size() > kBytesOfBatch) break;
    json.begin_object().key("PutRequest").begin_object().key("Item").raw(items[at]);
    json.end_object().end_object();
  }
  json.end_array().end_object();
  return requests;
}

}  // namespace

Task<> put_rows(Client& client, std::string table, std::vector<std::string> items) {
  for (std::size_t at = 0; at < items.size();) {
    auto requests = next_batch(table, items, at);
    std::chrono::milliseconds pause = kFirstPause;
    for (int tries = 1; !requests.empty(); ++tries) {
      auto body = R"({"ReturnConsumedCapacity":"INDEXES","RequestItems":)" + requests + "}";
      auto answer = co_await checked_call(client, "BatchWriteItem", std::move(body));
      const auto* left = answer.body.if_contains("UnprocessedItems");
      if (left == nullptr || !left->is_object() || left->get_object().empty()) break;
      if (tries == kTries) throw unavailable("The tables are too busy right now.");
      requests = boost::json::serialize(*left);
      boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor, pause);
      co_await timer.async_wait(boost::asio::use_awaitable);
      pause = std::min(2 * pause, kLongestPause);
    }
  }
}

}  // namespace colloquy::store::dynamodb
