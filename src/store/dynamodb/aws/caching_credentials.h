// Keeps the credentials of one provider and has them renewed before they expire. Thread-safe: one
// CachingCredentials serves every event loop.
//
// However many ask, on however many loops, one renewal is under way at a time. It begins when
// somebody asks within `refresh_ahead_ms` of the expiry, or for the first time; while the old ones
// are valid nobody waits for it. After a failure the next attempt is put off, twice as long each
// time; the old ones are used while they are valid.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/task.h"
#include "store/dynamodb/aws/credentials.h"

namespace colloquy::aws {

struct CachingOptions {
  std::int64_t refresh_ahead_ms = 5LL * 60 * 1000;
  std::int64_t retry_first_ms = 1'000;
  std::int64_t retry_most_ms = 60LL * 1000;
  std::int64_t wait_ms = 30LL * 1000;             // how long a caller waits for a renewal at most
  std::int64_t reject_interval_ms = 10LL * 1000;  // how old credentials are before reject() counts
  // Told of each renewal, with an empty text or the failure's detail; any thread. For the log.
  std::function<void(const std::string& failure)> on_refresh;
  // The event loop that renewals run on; without one, that of whoever asked. Reading the files of a
  // provider holds it up for as long as a disk takes.
  std::optional<boost::asio::any_io_executor> executor;
};

class CachingCredentials final : public CredentialProvider {
 public:
  // `clock` must outlive the event loops.
  CachingCredentials(std::shared_ptr<CredentialProvider> provider, const Clock& clock,
                     CachingOptions options = {});

  // Credentials that are valid now, never null. Throws Error kUnavailable with the last failure's
  // detail when there are none.
  Task<std::shared_ptr<const Credentials>> current();
  Task<Credentials> get() override;

  // The service has refused these, as expired or unknown. If they are still the ones held, the next
  // caller has them renewed and waits for it.
  void reject(std::string_view access_key_id);

 private:
  struct State;  // shared with the renewal under way, which may outlast this
  static Task<std::shared_ptr<const Credentials>> resolve(std::shared_ptr<State> state);
  static Task<> renew(std::shared_ptr<State> state, std::uint64_t renewal);

  std::shared_ptr<State> state_;
};

}  // namespace colloquy::aws
