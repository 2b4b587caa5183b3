// The one error type of the program.
//
// A code names what the caller can do next; `message` may be shown to a client;
// `detail` is for the log only. Vendor errors (RocksDB, OpenSSL, an HTTP peer)
// become an Error in one function per client library, and an Error becomes a
// reply in one function (api/error_reply.h). Anything else that is thrown is a
// bug: it is logged and hidden behind `internal`.
#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace colloquy {

enum class ErrorCode {
  kMalformed,           // cannot be parsed: 400
  kUnauthenticated,     // no token, or not a good one: 401
  kNotFound,            // not there, or not the caller's: 404
  kTooSlow,             // the client did not send its request in time: 408
  kConflict,            // the state does not allow it now: 409
  kPreconditionFailed,  // the version the caller named is not the current one: 412
  kTooLarge,            // 413
  kUnsupportedMedia,    // 415
  kInvalid,             // well-formed, but a field is wrong: 422
  kThrottled,           // too many; try again after a while: 429
  kUnavailable,         // a back end is out or the disk is full; try again: 503
  kQuota,               // over the user's share of storage: 507
  kInternal,            // ours: 500, logged with its detail
};

// A stable, lower-case name of the code, for logs and metrics ("not_found").
std::string_view error_code_name(ErrorCode code);

// One bad field of a request: a JSON pointer or the name of a query parameter.
struct FieldError {
  std::string field;
  std::string message;
};

class Error : public std::exception {
 public:
  Error(ErrorCode code, std::string message, std::string detail = {})
      : code_(code), message_(std::move(message)), detail_(std::move(detail)) {}

  ErrorCode code() const { return code_; }
  const std::string& message() const { return message_; }  // a client may see it
  const std::string& detail() const { return detail_; }    // only the log may
  const std::vector<FieldError>& fields() const { return fields_; }
  int retry_after_s() const { return retry_after_s_; }  // 0: not given

  void add_field(std::string field, std::string message);
  Error&& with_field(std::string field, std::string message) &&;
  Error&& with_retry_after(int seconds) &&;

  const char* what() const noexcept override { return message_.c_str(); }

 private:
  ErrorCode code_;
  std::string message_;
  std::string detail_;
  std::vector<FieldError> fields_;
  int retry_after_s_ = 0;
};

// Shorthands for the errors that many places raise.
Error not_found();
Error invalid_field(std::string field, std::string message);
Error malformed(std::string message);
Error unavailable(std::string message, std::string detail = {});
Error internal_error(std::string detail);

}  // namespace colloquy
