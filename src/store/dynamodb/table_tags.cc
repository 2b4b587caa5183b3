#include "store/dynamodb/table_tags.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "base/json_writer.h"
#include "store/dynamodb/service_error.h"

namespace colloquy::store::dynamodb {
namespace {

constexpr std::string_view kServicesOwn = "aws:";

std::string string_in(const boost::json::object& in, std::string_view name) {
  const auto* value = in.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

void add_tags(const boost::json::object& answer, Tags& tags) {
  const auto* all = answer.if_contains("Tags");
  if (all == nullptr || !all->is_array()) return;
  for (const auto& tag : all->get_array()) {
    if (!tag.is_object()) continue;
    auto key = string_in(tag.get_object(), "Key");
    if (key.empty() || key.starts_with(kServicesOwn)) continue;
    tags.emplace_back(std::move(key), string_in(tag.get_object(), "Value"));
  }
}

}  // namespace

Task<std::optional<Tags>> tags_of(Client& client, std::string arn) {
  Tags tags;
  std::string next;
  do {
    std::string body;
    JsonWriter json(body);
    json.begin_object().key("ResourceArn").string(arn);
    if (!next.empty()) json.key("NextToken").string(next);
    json.end_object();
    try {
      auto answer = co_await client.call("ListTagsOfResource", std::move(body));
      add_tags(answer.body, tags);
      next = string_in(answer.body, "NextToken");
    } catch (const ServiceError& refusal) {
      if (refusal.refusal() != Refusal::kUnknownOperation) throw;
      co_return std::nullopt;
    }
  } while (!next.empty());
  co_return tags;
}

std::string tag_body(const std::string& arn, const Tags& tags) {
  std::string body;
  JsonWriter json(body);
  json.begin_object().key("ResourceArn").string(arn);
  json.key("Tags").begin_array();
  for (const auto& [key, value] : tags) {
    json.begin_object().key("Key").string(key).key("Value").string(value).end_object();
  }
  json.end_array().end_object();
  return body;
}

}  // namespace colloquy::store::dynamodb
