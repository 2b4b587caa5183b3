// What other servers on the same store ask of the answers that this one makes (cluster/). There
// only with a key, and for its holders alone.
#include <chrono>
#include <memory>
#include <utility>

#include "api/request_fields.h"
#include "api/services.h"
#include "base/error.h"
#include "cluster/peer_events.h"
#include "cluster/peer_key.h"
#include "http/header_values.h"
#include "http/sse.h"

namespace colloquy::api {
namespace {

using std::chrono::steady_clock;

constexpr auto kKeepAlive = std::chrono::seconds(15);

// A request of another server, and what answers it.
struct PeerCall {
  cluster::TrustedRequest request;
  chat::AnswerName name;
};

PeerCall trusted(const Services& services, const http::Request& request) {
  auto header = request.header(cluster::kPeerHeader);
  bool once = header && http::count_headers(request.headers, cluster::kPeerHeader) == 1;
  std::optional<cluster::TrustedRequest> trusted;
  if (once) {
    trusted = services.cluster->key.verify(request.method_text, request.target, *header,
                                           services.clock.now_s());
  }
  if (!trusted) throw Error(ErrorCode::kUnauthenticated, "This is for other servers alone.");
  PeerCall call;
  call.name = {trusted->user, conversation_id_of(request), message_id_of(request)};
  call.request = std::move(*trusted);
  return call;
}

http::Response proven(const Services& services, const PeerCall& call, http::Response response) {
  auto proof = services.cluster->key.prove(call.request, response.status);
  response.set_header(cluster::kPeerHeader, std::move(proof));
  response.set_header("Cache-Control", "no-store");
  return response;
}

http::Response bare(int status) {
  http::Response response;
  response.status = status;
  return response;
}

Task<> tell(std::shared_ptr<chat::Generation> generation, std::chrono::milliseconds behind_most,
            http::BodyWriter& body) {
  http::SseWriter events(body);
  co_await events.event("start", "", cluster::start_data(generation->text().size()));
  std::size_t sent = 0;
  auto caught_up_at = steady_clock::now();
  while (true) {
    auto piece = co_await generation->next(sent, kKeepAlive);
    if (piece.ended) break;
    if (piece.text.empty()) {
      co_await events.comment("still here");
    } else {
      sent += piece.text.size();
      co_await events.event("token", "", cluster::token_data(piece.text));
    }
    if (!piece.more) caught_up_at = steady_clock::now();
    if (steady_clock::now() - caught_up_at > behind_most) {
      body.abort();
      co_return;
    }
  }
  auto outcome = co_await generation->outcome();
  co_await events.event("end", "", cluster::end_data(outcome));
}

Task<http::Response> follow(Services& services, http::Request& request) {
  auto call = trusted(services, request);
  if (call.request.instance != services.cluster->instance) {
    co_return proven(services, call, bare(410));
  }
  auto generation = services.turns.running_here(call.name);
  if (!generation) co_return proven(services, call, bare(404));
  http::Response response;
  http::set_event_stream_headers(response);
  auto behind_most = services.follower_behind_most;
  response.stream = [generation, behind_most](http::BodyWriter& body) {
    return tell(generation, behind_most, body);
  };
  co_return proven(services, call, std::move(response));
}

Task<http::Response> cancel(Services& services, http::Request& request) {
  auto call = trusted(services, request);
  if (call.request.instance != services.cluster->instance) {
    co_return proven(services, call, bare(410));
  }
  auto outcome = co_await services.turns.cancel_here(call.name);
  if (!outcome) co_return proven(services, call, bare(404));
  co_return proven(services, call, json_reply(200, cluster::end_data(*outcome)));
}

}  // namespace

void add_cluster_routes(http::Router& router, Services& services) {
  if (!services.cluster) return;
  router.add({http::Method::kGet, cluster::kPeerPath, true,
              [&services](http::Request& request) { return follow(services, request); }});
  router.add({http::Method::kDelete, cluster::kPeerPath, true,
              [&services](http::Request& request) { return cancel(services, request); }});
}

}  // namespace colloquy::api
