// This server among the others on the same tables: the key that they share, calls of them for the
// turns that they run, and the events that they tell each other.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "api/services.h"
#include "base/clock.h"
#include "base/task.h"
#include "chat/event_hub.h"
#include "cluster/event_links.h"
#include "cluster/event_outbox.h"
#include "cluster/http_peers.h"
#include "cluster/peer_key.h"
#include "config/config.h"
#include "net/http_client.h"
#include "telemetry/metrics.h"

namespace colloquy {

class OtherServers {
 public:
  // `instance`: this process. Reads the key. What is referred to outlives it; it goes before the
  // event loops that used it. Throws ConfigError that names the setting.
  OtherServers(const config::ServeConfig& config, std::string instance, const Clock& clock,
               telemetry::Metrics& metrics);

  chat::Peers& for_turns() { return *calls_; }
  api::ClusterMember member();

  // Tells the others what `events` publishes, and delivers there what they tell, if there are any.
  // Before the first event.
  void tell_events_of(chat::EventHub& events);
  void start(const boost::asio::any_io_executor& executor);
  // On that executor's event loop: nothing is delivered any more once it returns.
  Task<> stop_following();
  // Servers that are told the events of this one.
  std::size_t followers() const;
  // Ends their streams. `all_told`: nothing happens here any more.
  void stop_telling(bool all_told);

 private:
  const Clock& clock_;
  telemetry::Metrics& metrics_;
  const std::string instance_;
  std::vector<net::Url> urls_;
  std::unique_ptr<cluster::PeerKey> key_;
  net::HttpClient client_;
  std::unique_ptr<cluster::HttpPeers> calls_;
  std::unique_ptr<cluster::EventOutbox> outbox_;  // these two with --peers
  std::unique_ptr<cluster::EventLinks> links_;
};

}  // namespace colloquy
