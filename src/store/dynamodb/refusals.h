// Calls whose refusals become what a store may throw, or an outcome. One place decides what an
// answer of the service means to a client of ours.
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/task.h"
#include "store/dynamodb/client.h"

namespace colloquy::store::dynamodb {

// What a refusal that is none of a condition's means: kUnavailable for an operator's matter (no
// such table, no permission), kInternal for a fault of ours. The detail names the call.
Error error_of(std::string_view operation, const ServiceError& refusal);

// As Client::call, throwing Error only.
Task<Answer> checked_call(Client& client, std::string_view operation, std::string body,
                          CallOptions options);
Task<Answer> checked_call(Client& client, std::string_view operation, std::string body);

struct Conditional {
  bool done = false;               // the condition held
  boost::json::object attributes;  // done: what ReturnValues asked for
  boost::json::object there;       // not done: the item that is there; empty: none
  bool after_lost_answer = false;  // it may have been done by an attempt before
};
// A write with a condition: Request::take_conditional().
Task<Conditional> conditional_call(Client& client, std::string_view operation, std::string body);

}  // namespace colloquy::store::dynamodb
