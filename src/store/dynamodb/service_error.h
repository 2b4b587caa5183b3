// What the service answered instead of a result, decoded. Pure; any thread.
#pragma once

#include <boost/json/object.hpp>
#include <exception>
#include <string>
#include <string_view>

namespace colloquy::store::dynamodb {

enum class Refusal {
  kConditionFailed,  // the condition of a write did not hold: nothing was written
  kThrottled,        // nothing was done; again later
  kServer,           // 5xx: it may have been done
  kExpiredToken,     // the credentials were refused
  kClockSkew,        // the signature's time is too far from the service's
  kNoSuchTable,
  kInUse,             // a table is being created, changed or deleted
  kUnknownOperation,  // this service has no such call
  kDenied,            // the credentials are good, but not for this
  kInvalid,           // a fault of ours
};

class ServiceError final : public std::exception {
 public:
  ServiceError(Refusal refusal, std::string type, std::string message)
      : refusal_(refusal), type_(std::move(type)), message_(std::move(message)) {
    what_ = type_ + ": " + message_;
  }

  Refusal refusal() const { return refusal_; }
  const std::string& type() const { return type_; }  // such as ValidationException
  const std::string& message() const { return message_; }
  // kConditionFailed: the item that is there, empty when there is none.
  const boost::json::object& item() const { return item_; }
  void set_item(boost::json::object item) { item_ = std::move(item); }
  // An attempt before this one may have been carried out: its answer was lost.
  bool after_lost_answer() const { return after_lost_answer_; }
  void set_after_lost_answer(bool lost) { after_lost_answer_ = lost; }

  const char* what() const noexcept override { return what_.c_str(); }  // for the log

 private:
  Refusal refusal_;
  std::string type_;
  std::string message_;
  std::string what_;
  boost::json::object item_;
  bool after_lost_answer_ = false;
};

// Of a status of 400 or above and its body, whatever that is.
ServiceError parse_service_error(int status, std::string_view body);

}  // namespace colloquy::store::dynamodb
