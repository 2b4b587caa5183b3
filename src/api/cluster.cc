// What other servers on the same store ask of the answers that this one makes, and the events of
// its users that they follow (cluster/). There only with a key, and for its holders alone.
#include <chrono>
#include <memory>
#include <utility>

#include "api/request_fields.h"
#include "api/services.h"
#include "base/error.h"
#include "base/pause.h"
#include "cluster/event_messages.h"
#include "cluster/event_outbox.h"
#include "cluster/peer_events.h"
#include "cluster/peer_key.h"
#include "cluster/sealed.h"
#include "http/header_values.h"
#include "http/sse.h"

namespace colloquy::api {
namespace {

using std::chrono::steady_clock;

constexpr auto kKeepAlive = std::chrono::seconds(15);
// Servers are noticed sooner when they cannot be heard any more.
constexpr auto kEventsKeepAlive = std::chrono::seconds(5);
// What happens within so long goes out in one piece.
constexpr auto kEventsApart = std::chrono::milliseconds(10);

// A request of another server, and what answers it.
struct PeerCall {
  cluster::TrustedRequest request;
  chat::AnswerName name;
};

// `of_user`: whether it must be of one, or of none.
cluster::TrustedRequest trusted(const Services& services, const http::Request& request,
                                bool of_user) {
  auto header = request.header(cluster::kPeerHeader);
  bool once = header && http::count_headers(request.headers, cluster::kPeerHeader) == 1;
  std::optional<cluster::TrustedRequest> trusted;
  if (once) {
    trusted = services.cluster->key.verify(request.method_text, request.target, *header,
                                           services.clock.now_s());
  }
  if (!trusted || trusted->user.value().empty() == of_user) {
    throw Error(ErrorCode::kUnauthenticated, "This is for other servers alone.");
  }
  return std::move(*trusted);
}

PeerCall trusted_call(const Services& services, const http::Request& request) {
  PeerCall call;
  call.request = trusted(services, request, true);
  call.name = {call.request.user, conversation_id_of(request), message_id_of(request)};
  return call;
}

http::Response proven(const Services& services, const cluster::TrustedRequest& request,
                      http::Response response) {
  auto proof = services.cluster->key.prove(request, response.status);
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
  auto call = trusted_call(services, request);
  if (call.request.instance != services.cluster->instance) {
    co_return proven(services, call.request, bare(410));
  }
  auto generation = services.turns.running_here(call.name);
  if (!generation) co_return proven(services, call.request, bare(404));
  http::Response response;
  http::set_event_stream_headers(response);
  auto behind_most = services.follower_behind_most;
  response.stream = [generation, behind_most](http::BodyWriter& body) {
    return tell(generation, behind_most, body);
  };
  co_return proven(services, call.request, std::move(response));
}

Task<http::Response> cancel(Services& services, http::Request& request) {
  auto call = trusted_call(services, request);
  if (call.request.instance != services.cluster->instance) {
    co_return proven(services, call.request, bare(410));
  }
  auto outcome = co_await services.turns.cancel_here(call.name);
  if (!outcome) co_return proven(services, call.request, bare(404));
  co_return proven(services, call.request, json_reply(200, cluster::end_data(*outcome)));
}

using SharedSubscriber = std::shared_ptr<cluster::EventOutbox::Subscriber>;

Task<> tell_events(SharedSubscriber subscriber, std::string salt, std::string key,
                   http::BodyWriter& body) {
  http::SseWriter events(body);
  cluster::Sealer sealer(std::move(key));
  co_await events.event(cluster::kSaltEvent, "", salt);
  co_await events.event(cluster::kSealedEvent, "",
                        sealer.seal(cluster::begin_json(subscriber->begin())));
  while (true) {
    auto step = co_await subscriber->next(kEventsKeepAlive);
    if (step.too_slow) {
      body.abort();
      co_return;
    }
    auto message = cluster::events_json(step.events, step.last);
    co_await events.event(cluster::kSealedEvent, "", sealer.seal(message));
    if (step.all_told) {
      co_await events.event(cluster::kSealedEvent, "", sealer.seal(cluster::end_json()));
    }
    if (step.ended) co_return;
    if (!step.events.empty()) co_await pause(kEventsApart);
  }
}

Task<http::Response> follow_events(Services& services, http::Request& request) {
  auto asked = trusted(services, request, false);
  auto* outbox = services.cluster->events;
  bool for_any = asked.instance == cluster::kAnyInstance;
  if (outbox == nullptr || !for_any) co_return proven(services, asked, bare(404));
  const auto* after = request.query_parameter("after");
  auto place = after == nullptr ? std::nullopt : cluster::parse_place(*after);
  SharedSubscriber subscriber;
  try {
    subscriber = outbox->subscribe(place);
  } catch (const Error&) {
  }
  if (!subscriber) co_return proven(services, asked, bare(503));
  auto salt = cluster::PeerKey::make_salt();
  auto key = services.cluster->key.sealing_key(asked, salt);
  http::Response response;
  http::set_event_stream_headers(response);
  response.stream = [subscriber, salt, key](http::BodyWriter& body) {
    return tell_events(subscriber, salt, key, body);
  };
  co_return proven(services, asked, std::move(response));
}

}  // namespace

void add_cluster_routes(http::Router& router, Services& services) {
  if (!services.cluster) return;
  router.add({http::Method::kGet, cluster::kPeerPath, true,
              [&services](http::Request& request) { return follow(services, request); }});
  router.add({http::Method::kDelete, cluster::kPeerPath, true,
              [&services](http::Request& request) { return cancel(services, request); }});
  router.add({http::Method::kGet, cluster::kEventsPath, true,
              [&services](http::Request& request) { return follow_events(services, request); }});
}

}  // namespace colloquy::api
