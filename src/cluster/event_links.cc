#include "cluster/event_links.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <set>
#include <utility>

#include "cluster/owner.h"
#include "net/cancel_state.h"
#include "net/resolve.h"
#include "telemetry/log.h"

namespace colloquy::cluster {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

// The URL of a server and the address to connect to.
using Place = std::pair<std::string, std::string>;

Task<std::vector<std::string>> addresses_of(net::Url url, milliseconds timeout,
                                            std::shared_ptr<net::CancelState> cancel) {
  auto endpoints =
      co_await net::resolve(url.host, url.port, steady_clock::now() + timeout, std::move(cancel));
  std::vector<std::string> addresses;
  addresses.reserve(endpoints.size());
  for (const auto& endpoint : endpoints) addresses.push_back(endpoint.address().to_string());
  co_return addresses;
}

}  // namespace

struct EventLinks::Impl : std::enable_shared_from_this<EventLinks::Impl> {
  struct Peer {
    net::Url url;
    std::set<std::string> addresses;  // of the last lookup that succeeded
    bool failed = false;              // the last one
  };
  struct Slot {
    std::shared_ptr<EventLink> link;
    bool ended = false;
  };

  Impl(std::vector<net::Url> urls, std::shared_ptr<EventLinkShared> shared_in,
       EventLinksOptions options_in)
      : shared(std::move(shared_in)), options(std::move(options_in)) {
    for (auto& url : urls) peers.push_back({std::move(url), {}, false});
  }

  // Each runs with a hold on what it uses, until it is stopped.
  static Task<> keep_looking(std::shared_ptr<Impl> self) {
    while (!self->stopped) {
      for (auto& peer : self->peers) {
        co_await self->look_up(peer);
        if (self->stopped) break;
        self->connect();
      }
      if (self->stopped) break;
      auto ticket = self->changed.ticket();
      co_await self->changed.wait(ticket, self->options.lookup_interval);
    }
    self->ended_one();
  }

  static Task<> follow(std::shared_ptr<Impl> self, std::shared_ptr<Slot> slot) {
    co_await slot->link->run();
    slot->ended = true;
    self->ended_one();
  }

  void ended_one() {
    --running;
    changed.notify_all();
  }

  Task<> look_up(Peer& peer) {
    std::string failure;
    try {
      std::vector<std::string> found;
      if (options.look_up) {
        found = co_await options.look_up(peer.url);
      } else {
        found = co_await addresses_of(peer.url, options.lookup_timeout, cancel);
      }
      peer.addresses = {found.begin(), found.end()};
    } catch (const net::NetError& error) {
      failure = error.what();
    }
    // The addresses that were known stay.
    bool failed = !failure.empty();
    if (failed && !stopped && !std::exchange(peer.failed, true)) {
      telemetry::log_warning("peer.not_found",
                             {{"peer", peer.url.host_and_port()}, {"detail", failure}});
    }
    peer.failed = failed;
  }

  void connect() {
    std::erase_if(slots, [](const auto& entry) { return entry.second->ended; });
    for (auto& [place, slot] : slots) slot->link->set_listed(false);
    bool left_out = false;
    for (const auto& peer : peers) {
      for (const auto& address : peer.addresses) {
        auto& slot = slots[{url_text(peer.url, ""), address}];
        if (slot) {
          slot->link->set_listed(true);
        } else if (slots.size() > options.links_most) {
          slots.erase({url_text(peer.url, ""), address});
          left_out = true;
        } else {
          slot = begin_link(peer.url, address);
        }
      }
    }
    if (left_out && !std::exchange(too_many, true)) {
      telemetry::log_warning("peer.too_many", {{"followed", options.links_most}});
    }
    too_many = left_out;
  }

  std::shared_ptr<Slot> begin_link(const net::Url& url, const std::string& address) {
    auto slot = std::make_shared<Slot>();
    slot->link = std::make_shared<EventLink>(shared, url, address);
    ++running;
    asio::co_spawn(executor, follow(shared_from_this(), slot), asio::detached);
    return slot;
  }

  const std::shared_ptr<EventLinkShared> shared;
  const EventLinksOptions options;
  std::vector<Peer> peers;
  std::map<Place, std::shared_ptr<Slot>> slots;
  const std::shared_ptr<net::CancelState> cancel = std::make_shared<net::CancelState>();
  asio::any_io_executor executor;
  bool stopped = false;
  bool too_many = false;
  std::size_t running = 0;  // coroutines
  Signal changed;           // `stopped` or `running`
};

EventLinks::EventLinks(std::vector<net::Url> peers, std::shared_ptr<EventLinkShared> shared,
                       EventLinksOptions options)
    : impl_(std::make_shared<Impl>(std::move(peers), std::move(shared), std::move(options))) {}

EventLinks::~EventLinks() = default;

void EventLinks::start(const asio::any_io_executor& executor) {
  impl_->executor = executor;
  ++impl_->running;
  asio::co_spawn(executor, Impl::keep_looking(impl_), asio::detached);
}

Task<> EventLinks::stop() {
  impl_->stopped = true;
  impl_->cancel->request();
  for (auto& [place, slot] : impl_->slots) slot->link->stop();
  impl_->changed.notify_all();
  while (impl_->running > 0) {
    auto ticket = impl_->changed.ticket();
    if (impl_->running > 0) co_await impl_->changed.wait(ticket, milliseconds(100));
  }
}

}  // namespace colloquy::cluster
