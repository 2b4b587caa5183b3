#include "store/dynamodb/answers.h"

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <utility>

#include "base/error.h"

namespace colloquy::store::dynamodb {

const boost::json::array& items_of(const boost::json::object& body) {
  const auto* items = body.if_contains("Items");
  if (items == nullptr || !items->is_array()) throw internal_error("a query answered no items");
  for (const auto& item : items->get_array()) {
    if (!item.is_object()) throw internal_error("an item is garbled");
  }
  return items->get_array();
}

const boost::json::array& batch_items_of(const boost::json::object& body, std::string_view table) {
  const auto* tables = body.if_contains("Responses");
  const auto* items =
      tables != nullptr && tables->is_object() ? tables->get_object().if_contains(table) : nullptr;
  if (items == nullptr || !items->is_array()) throw internal_error("a batch answered no items");
  for (const auto& item : items->get_array()) {
    if (!item.is_object()) throw internal_error("an item is garbled");
  }
  return items->get_array();
}

std::string unprocessed_keys(const boost::json::object& body, std::string_view table) {
  const auto* tables = body.if_contains("UnprocessedKeys");
  if (tables == nullptr || !tables->is_object()) return {};
  const auto* left = tables->get_object().if_contains(table);
  if (left == nullptr || !left->is_object()) return {};
  const auto* keys = left->get_object().if_contains("Keys");
  return keys == nullptr ? std::string() : boost::json::serialize(*keys);
}

boost::json::object take_next(boost::json::object& body) {
  auto* next = body.if_contains("LastEvaluatedKey");
  if (next == nullptr || !next->is_object()) return {};
  return std::move(next->get_object());
}

}  // namespace colloquy::store::dynamodb
