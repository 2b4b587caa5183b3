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
#include "base/limits.h"
#include "chat/context_builder.h"
#include "chat/conversations.h"
#include "chat/event_hub.h"
#include "chat/turns.h"
#include "cluster/event_outbox.h"
#include "cluster/peer_key.h"
#include "erase/eraser.h"
#include "erase/user_gate.h"
#include "files/user_files.h"
#include "http/router.h"
#include "search/search.h"
#include "store/intake.h"
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
  store::Intake& intake;
  auth::Authenticator& authenticator;
  RateLimiter& requests;
  RateLimiter& tokens;
  Clock& clock;
  IdSource& ids;
  telemetry::Metrics& metrics;
  std::string version;
  // How long a follower of an answer may stay behind what was said before it is let go.
  std::chrono::milliseconds follower_behind_most;
  std::size_t max_content_bytes = limits::kContentBytesDefault;
  std::optional<ClusterMember> cluster;  // where there are others
  search::Search* search = nullptr;      // null: switched off
  files::UserFiles* files = nullptr;     // null where none are kept
  std::size_t max_import_bytes = 1024 * limits::kMiB;
  erase::UserGate* gate = nullptr;  // null: users cannot be erased
  erase::Eraser* eraser = nullptr;  // together with it
};

// One function for each file of resources.
void add_conversation_routes(http::Router& router, Services& services);
void add_message_routes(http::Router& router, Services& services);
void add_generate_routes(http::Router& router, Services& services);
void add_regenerate_routes(http::Router& router, Services& services);
void add_generation_routes(http::Router& router, Services& services);
void add_cluster_routes(http::Router& router, Services& services);  // only with `cluster`
void add_context_routes(http::Router& router, Services& services);
void add_search_routes(http::Router& router, Services& services);
void add_search_admin_routes(http::Router& router, Services& services);
void add_event_routes(http::Router& router, Services& services);
void add_file_routes(http::Router& router, Services& services);
void add_export_routes(http::Router& router, Services& services);
void add_erase_routes(http::Router& router, Services& services);
void add_erase_admin_routes(http::Router& router, Services& services);
void add_import_routes(http::Router& router, Services& services);
void add_health_routes(http::Router& router, Services& services);
void add_metrics_routes(http::Router& router, Services& services);

}  // namespace colloquy::api
