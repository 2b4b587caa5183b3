// Brings the events of all other servers to this one's followers: finds the servers behind the URLs
// that it was given, again and again, and keeps one link to each. A host name that resolves to
// several addresses is a server at each of them; one at which this very process answers is left
// out.
//
// start() and stop() on one event loop, on which all of it runs.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/signal.h"
#include "base/task.h"
#include "cluster/event_link.h"
#include "net/url.h"

namespace colloquy::cluster {

struct EventLinksOptions {
  std::size_t links_most = 64;
  std::chrono::milliseconds lookup_interval{10'000};
  std::chrono::milliseconds lookup_timeout{5'000};
  EventLinkOptions link;
  // The addresses of a host; throws NetError. Default: the system's resolver.
  std::function<Task<std::vector<std::string>>(net::Url)> look_up;
};

class EventLinks {
 public:
  // `peers`: scheme, host and port. All that `shared` names outlives it.
  EventLinks(std::vector<net::Url> peers, std::shared_ptr<EventLinkShared> shared,
             EventLinksOptions options = {});
  ~EventLinks();
  EventLinks(const EventLinks&) = delete;
  EventLinks& operator=(const EventLinks&) = delete;

  void start(const boost::asio::any_io_executor& executor);
  // Returns once nothing of it runs any more, which is soon.
  Task<> stop();

 private:
  struct Impl;
  const std::shared_ptr<Impl> impl_;
};

}  // namespace colloquy::cluster
