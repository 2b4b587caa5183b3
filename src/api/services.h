// What the resources need to answer. Everything outlives the API and may be used
// from every event loop.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "api/rate_limiter.h"
#include "auth/authenticator.h"
#include "base/clock.h"
#include "base/ids.h"
#include "chat/context_builder.h"
#include "chat/conversations.h"
#include "chat/event_hub.h"
#include "chat/turns.h"
#include "cluster/event_outbox.h"
#include "cluster/peer_key.h"
#include "http/router.h"
#include "store/store.h"
#include "telemetry/metrics.h"

namespace colloquy::api {

// This server among those on the same store.
struct ClusterMember {
  const cluster::PeerKey& key;
  std::string instance;
  cluster::EventOutbox* events;  // null where they are not told
};

struct Services {
  chat::Conversations& conversations;
  chat::Turns& turns;
  chat::ContextBuilder& contexts;
  chat::EventHub& events;
  store::Store& store;
  auth::Authenticator& authenticator;
  RateLimiter& requests;
  RateLimiter& tokens;
  Clock& clock;
  IdSource& ids;
  telemetry::Metrics& metrics;
  std::string version;
  // How long a follower of an answer may stay behind what was said before it is let go.
  std::chrono::milliseconds follower_behind_most;
  std::optional<ClusterMember> cluster;  // where there are others
};

// One function for each file of resources.
void add_conversation_routes(http::Router& router, Services& services);
void add_message_routes(http::Router& router, Services& services);
void add_generate_routes(http::Router& router, Services& services);
void add_regenerate_routes(http::Router& router, Services& services);
void add_generation_routes(http::Router& router, Services& services);
void add_cluster_routes(http::Router& router, Services& services);  // only with `cluster`
void add_context_routes(http::Router& router, Services& services);
void add_event_routes(http::Router& router, Services& services);
void add_health_routes(http::Router& router, Services& services);
void add_metrics_routes(http::Router& router, Services& services);

}  // namespace colloquy::api
