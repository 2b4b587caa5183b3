// What the answer of a query holds. Pure; any thread.
#pragma once

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <chrono>
#include <string>
#include <string_view>

namespace colloquy::store::dynamodb {

// Throws kInternal where there are none, or one is no object.
const boost::json::array& items_of(const boost::json::object& body);
// Of a BatchGetItem: what it found in one table, and the keys (as JSON) that it left out, empty
// when it left none.
const boost::json::array& batch_items_of(const boost::json::object& body, std::string_view table);
std::string unprocessed_keys(const boost::json::object& body, std::string_view table);
// What a batch leaves undone is sent again, so often and after so long.
inline constexpr int kBatchTries = 12;
inline std::chrono::milliseconds batch_delay(int tries) {
  return std::chrono::milliseconds(25LL << std::min(tries, 6));
}
// Where the next page begins, taken out of the body; empty when there is none.
boost::json::object take_next(boost::json::object& body);

}  // namespace colloquy::store::dynamodb
