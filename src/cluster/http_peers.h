// The other servers, over HTTP: finds a server by what the store says of it, asks it under the key
// that all of them share, and believes no answer that does not prove the same key. Callable from
// every event loop.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "chat/peers.h"
#include "cluster/owner.h"
#include "cluster/peer_key.h"
#include "net/http_client.h"
#include "telemetry/metrics.h"

namespace colloquy::cluster {

class HttpPeers final : public chat::Peers {
 public:
  // All references outlive it. `own`: this server.
  HttpPeers(net::HttpClient& client, const PeerKey& key, const Clock& clock, Owner own,
            telemetry::Metrics& metrics)
      : client_(client), key_(key), clock_(clock), own_(std::move(own)), metrics_(metrics) {}

  Task<Opened> follow(std::string owner, chat::AnswerName name) override;
  Task<Stopped> cancel(std::string owner, chat::AnswerName name) override;

 private:
  // The answer to a request, where that has proven itself; else null.
  struct Call {
    chat::PeerState state = chat::PeerState::kUnreachable;
    std::unique_ptr<net::ResponseStream> stream;  // with kRunning
  };
  Task<Call> call(const char* method, std::string owner, const chat::AnswerName& name,
                  net::Deadlines deadlines);
  void count(const char* call, chat::PeerState state);

  net::HttpClient& client_;
  const PeerKey& key_;
  const Clock& clock_;
  const Owner own_;
  telemetry::Metrics& metrics_;
};

}  // namespace colloquy::cluster
