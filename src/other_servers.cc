#include "other_servers.h"

#include <utility>

#include "cluster/owner.h"
#include "parts.h"
#include "telemetry/log.h"

namespace colloquy {
namespace {

net::Url base_url(const config::ServeConfig& config, const char* setting, const std::string& text) {
  auto url = cluster::parse_base_url(text);
  if (url) return std::move(*url);
  throw config::ConfigError(config.sources.of(setting) + " \"" + text +
                            "\" is not the URL of a server");
}

}  // namespace

OtherServers::OtherServers(const config::ServeConfig& config, std::string instance,
                           const Clock& clock, telemetry::Metrics& metrics)
    : clock_(clock),
      metrics_(metrics),
      instance_(std::move(instance)),
      client_(net::HttpClient::Options()) {  // not by a proxy: they are neighbours
  for_setting(config.sources.of("cluster-key-file"), [&] {
    key_ = std::make_unique<cluster::PeerKey>(cluster::PeerKey::load(config.cluster_key_file));
  });
  cluster::Owner own{instance_, base_url(config, "advertise", config.advertise)};
  bool plain = !own.url->tls;
  for (const auto& peer : config.peers) {
    urls_.push_back(base_url(config, "peers", peer));
    plain = plain || !urls_.back().tls;
  }
  if (plain) {
    telemetry::log_warning("peers.plain",
                           {{"detail", "the other servers are spoken to without TLS"}});
  }
  calls_ = std::make_unique<cluster::HttpPeers>(client_, *key_, clock_, std::move(own), metrics_);
  if (!urls_.empty()) outbox_ = std::make_unique<cluster::EventOutbox>(instance_);
}

api::ClusterMember OtherServers::member() { return {*key_, instance_, outbox_.get()}; }

void OtherServers::tell_events_of(chat::EventHub& events) {
  if (!outbox_) return;
  events.on_publish(
      [this](const UserId& user, const chat::Event& event) { outbox_->publish(user, event); });
  auto shared = std::make_shared<cluster::EventLinkShared>(
      instance_, events, client_, *key_, clock_, metrics_, cluster::EventLinkOptions());
  links_ = std::make_unique<cluster::EventLinks>(urls_, std::move(shared));
}

void OtherServers::start(const boost::asio::any_io_executor& executor) {
  if (links_) links_->start(executor);
}

Task<> OtherServers::stop_following() {
  if (links_) co_await links_->stop();
}

std::size_t OtherServers::followers() const { return outbox_ ? outbox_->subscribers() : 0; }

void OtherServers::stop_telling(bool all_told) {
  if (outbox_) outbox_->close(all_told);
}

}  // namespace colloquy
