#include "cluster/event_links.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>
#include <mutex>
#include <thread>

#include "base/testing/run_task.h"
#include "cluster/owner.h"
#include "net/testing/scripted_server.h"

namespace colloquy::cluster {
namespace {

namespace asio = boost::asio;
namespace nt = net::testing;
using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

const UserId kAlice("alice");
const UserId kBob("bob");
const std::string kOwn = "01932f3e-5c00-7a4b-9c1d-2e3f405162a3";
const std::string kOther = "01932f3e-5c00-7a4b-9c1d-2e3f405162a4";
const std::string kThird = "01932f3e-5c00-7a4b-9c1d-2e3f405162a5";
const std::string kSecret(32, 's');

chat::Event event(std::uint64_t number) {
  chat::Event event;
  event.kind = chat::EventKind::kConversationDeleted;
  event.conversation_id = ConversationId(Uuid::make_v7(1, 1, number));
  return event;
}

std::string told(const UserId& user, std::uint64_t number) {
  return events_json({forwarded_json(user, event(number))}, number);
}

// A host's addresses, as a test changes them.
struct Host {
  std::atomic<bool> listed{true};
  std::atomic<bool> fails{false};
  std::atomic<int> looked_up{0};
};

Task<std::vector<std::string>> addresses_of(std::shared_ptr<Host> host) {
  ++host->looked_up;
  if (host->fails) throw net::NetError(net::NetFailure::kResolve, "no such host");
  std::vector<std::string> found;
  if (host->listed) found.emplace_back("127.0.0.1");
  co_return found;
}

// One stream of a server: its beginning, its messages, and what it does then.
struct Stream {
  EventsBegin begin;
  std::vector<std::string> messages;
  bool stays = false;  // open, until the other side closes it
  std::string secret = kSecret;
  std::string sealing_secret = kSecret;
};

class EventLinksTest : public ::testing::Test {
 protected:
  EventLinksTest() {
    options.lookup_interval = milliseconds(20);
    options.link.retry_first = milliseconds(1);
    options.link.retry_most = milliseconds(20);
    options.link.left_out_for = milliseconds(20);
    options.link.lost_after = milliseconds(60'000);
  }
  ~EventLinksTest() override {
    stop();
    guard.reset();
    thread.join();
  }

  void start(const std::vector<std::string>& urls) {
    std::vector<net::Url> peers;
    for (const auto& url : urls) peers.push_back(parse_base_url(url).value());
    auto shared =
        std::make_shared<EventLinkShared>(kOwn, hub, client, key, clock, metrics, options.link);
    links = std::make_unique<EventLinks>(std::move(peers), std::move(shared), options);
    asio::post(loop, [this] { links->start(loop.get_executor()); });
  }
  void stop() {
    if (links) asio::co_spawn(loop, links->stop(), asio::use_future).get();
    links.reset();
  }

  // As a holder of the key answers; each request's target is kept.
  nt::Script speaks(Stream stream) {
    return [this, stream = std::move(stream)](nt::Peer& peer) {
      auto request = peer.read_request();
      if (!request) return;
      auto target = request->line().substr(4);
      target = target.substr(0, target.find(' '));
      PeerKey own({stream.secret});
      auto trusted = PeerKey({kSecret}).verify(
          "GET", target, request->header(kPeerHeader).value_or(""), clock.now_s());
      if (!trusted) return;
      {
        std::scoped_lock lock(mutex);
        targets.push_back(target);
      }
      peer.send(
          "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n" +
          std::string(kPeerHeader) + ": " + own.prove(*trusted, 200) + "\r\n\r\n");
      auto salt = PeerKey::make_salt();
      peer.send(nt::chunk("event: salt\ndata: " + salt + "\n\n"));
      Sealer sealer(PeerKey({stream.sealing_secret}).sealing_key(*trusted, salt));
      auto say = [&](const std::string& message) {
        peer.send(nt::chunk("event: sealed\ndata: " + sealer.seal(message) + "\n\n"));
      };
      say(begin_json(stream.begin));
      for (const auto& message : stream.messages) say(message);
      if (stream.stays) peer.wait_until_closed();
    };
  }
  static nt::Script hangs_up() {
    return [](nt::Peer& peer) { peer.read_request(); };
  }

  static chat::EventHub::Follower::Step next(chat::EventHub::Follower& follower,
                                             milliseconds wait = milliseconds(20'000)) {
    asio::io_context own;
    return run_task(own, follower.next(wait));
  }
  // "reset", or the numbers of the events, one for each.
  static std::vector<std::string> heard(chat::EventHub::Follower& follower, std::size_t count) {
    std::vector<std::string> all;
    while (all.size() < count) {
      auto step = next(follower);
      if (step.reset) all.emplace_back("reset");
      for (const auto& item : step.items) {
        for (std::uint64_t i = 0; i < 100; ++i) {
          if (event(i).conversation_id == item.event.conversation_id) {
            all.push_back(std::to_string(i));
          }
        }
      }
      if (!step.reset && step.items.empty()) break;
    }
    return all;
  }
  // After what came before it, which the reset makes needless: a slow follower does not get it.
  static bool hears_reset(chat::EventHub::Follower& follower) {
    auto step = next(follower);
    while (!step.reset && !step.items.empty()) step = next(follower);
    return step.reset.has_value();
  }
  static bool is_quiet(chat::EventHub::Follower& follower) {
    auto step = next(follower, milliseconds(0));
    return !step.reset && step.items.empty();
  }
  void until(const std::function<bool()>& holds) {
    auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!holds()) {
      ASSERT_LT(std::chrono::steady_clock::now(), give_up);
      std::this_thread::sleep_for(milliseconds(2));
    }
  }
  std::shared_ptr<Host> a_host() {
    auto host = std::make_shared<Host>();
    options.look_up = [host](const net::Url&) { return addresses_of(host); };
    return host;
  }
  bool counted(const std::string& line) {
    return metrics.render().find(line + "\n") != std::string::npos;
  }

  ManualClock clock{1'700'000'000'000};
  PeerKey key{{kSecret}};
  telemetry::Metrics metrics;
  chat::EventHub hub{"hub", metrics};
  std::shared_ptr<chat::EventHub::Follower> alice = hub.follow(kAlice, "");
  std::shared_ptr<chat::EventHub::Follower> bob = hub.follow(kBob, "");
  asio::io_context loop;
  net::HttpClient client{net::HttpClient::Options()};
  EventLinksOptions options;
  std::unique_ptr<EventLinks> links;
  asio::executor_work_guard<asio::io_context::executor_type> guard = asio::make_work_guard(loop);
  std::thread thread{[this] { loop.run(); }};
  std::mutex mutex;
  std::vector<std::string> targets;  // guarded by mutex
};

TEST_F(EventLinksTest, EventsOfAnotherServerReachTheirUsersHere) {
  nt::ScriptedServer server(
      speaks({{{kOther, 0}, true},
              {told(kAlice, 1), events_json({}, 1), told(kBob, 2), told(kAlice, 3)},
              true}));
  start({server.url("")});
  EXPECT_THAT(heard(*alice, 2), ElementsAre("1", "3"));
  EXPECT_THAT(heard(*bob, 1), ElementsAre("2"));
  EXPECT_TRUE(counted("colloquy_event_peers{state=\"connected\"} 1"));
  EXPECT_TRUE(counted("colloquy_peer_event_gaps_total 0"));
  stop();
  EXPECT_TRUE(counted("colloquy_event_peers{state=\"connected\"} 0"));
}

TEST_F(EventLinksTest, AConnectionThatBreaksIsTakenUpAtTheLastEvent) {
  nt::ScriptedServer server({speaks({{{kOther, 0}, true}, {told(kAlice, 1)}}), hangs_up(),
                             speaks({{{kOther, 1}, true}, {told(kAlice, 2)}, true})});
  start({server.url("")});
  EXPECT_THAT(heard(*alice, 2), ElementsAre("1", "2"));
  EXPECT_TRUE(counted("colloquy_peer_event_gaps_total 0"));
  std::scoped_lock lock(mutex);
  EXPECT_THAT(targets, ElementsAre("/cluster/events", "/cluster/events?after=" + kOther + "-1"));
}

TEST_F(EventLinksTest, APlaceThatIsNotKnownAnyMoreIsAReset) {
  nt::ScriptedServer server(
      {speaks({{{kOther, 0}, true}, {told(kAlice, 1)}}), speaks({{{kOther, 5}, false}, {}, true})});
  start({server.url("")});
  EXPECT_TRUE(hears_reset(*alice));
  EXPECT_THAT(heard(*bob, 1), ElementsAre("reset"));
}

TEST_F(EventLinksTest, AnotherProcessAtTheAddressIsAReset) {
  nt::ScriptedServer server(
      {speaks({{{kOther, 0}, true}, {told(kAlice, 1)}}), speaks({{{kThird, 0}, true}, {}, true})});
  start({server.url("")});
  EXPECT_TRUE(hears_reset(*alice));
}

TEST_F(EventLinksTest, AProcessThatHasSaidItsEndIsFollowedByAnotherWithoutAReset) {
  nt::ScriptedServer server({speaks({{{kOther, 0}, true}, {told(kAlice, 1), end_json()}}),
                             speaks({{{kThird, 0}, true}, {told(kAlice, 2)}, true})});
  options.link.lost_after = milliseconds(0);
  start({server.url("")});
  EXPECT_THAT(heard(*alice, 2), ElementsAre("1", "2"));
  EXPECT_TRUE(counted("colloquy_peer_event_gaps_total 0"));
}

TEST_F(EventLinksTest, AServerThatIsNewHereAndHasForgottenItsFirstEventsIsAReset) {
  nt::ScriptedServer server(speaks({{{kOther, 9}, false}, {}, true}));
  start({server.url("")});
  EXPECT_THAT(heard(*alice, 1), ElementsAre("reset"));
}

TEST_F(EventLinksTest, AServerThatWasNotHeardBeforeAnotherTookItsPlaceIsAReset) {
  nt::ScriptedServer server({hangs_up(), speaks({{{kThird, 0}, true}, {}, true})});
  start({server.url("")});
  EXPECT_THAT(heard(*alice, 1), ElementsAre("reset"));
}

TEST_F(EventLinksTest, AnAddressThatGoesIsAResetOnlyIfSomebodyWasThere) {
  auto host = a_host();
  for (bool somebody : {false, true}) {
    auto server = std::make_unique<nt::ScriptedServer>(hangs_up());
    auto url = server->url("");
    if (!somebody) server.reset();
    host->listed = true;
    start({url});
    until([&] { return counted("colloquy_event_peers{state=\"unreachable\"} 1"); });
    host->listed = false;
    until([&] { return counted("colloquy_event_peers{state=\"unreachable\"} 0"); });
    stop();
    EXPECT_EQ(is_quiet(*alice), !somebody);
  }
}

TEST_F(EventLinksTest, AServerThatDoesNotAnswerAnyMoreIsAResetOnce) {
  options.link.lost_after = milliseconds(30);
  nt::ScriptedServer server({speaks({{{kOther, 0}, true}, {told(kAlice, 1)}}), hangs_up()});
  start({server.url("")});
  EXPECT_TRUE(hears_reset(*alice));
  auto calls = server.connections();
  until([&] { return server.connections() > calls + 5; });
  EXPECT_TRUE(is_quiet(*alice));
  EXPECT_TRUE(counted("colloquy_event_peers{state=\"unreachable\"} 1"));
}

TEST_F(EventLinksTest, TheServerItselfIsLeftOut) {
  nt::ScriptedServer server(speaks({{{kOwn, 0}, true}, {told(kAlice, 1)}, true}));
  start({server.url("")});
  until([&] { return server.connections() > 2; });
  EXPECT_TRUE(is_quiet(*alice));
  EXPECT_TRUE(counted("colloquy_event_peers{state=\"connected\"} 0"));
  EXPECT_TRUE(counted("colloquy_event_peers{state=\"unreachable\"} 0"));
}

TEST_F(EventLinksTest, AServerAtTwoAddressesIsFollowedOnce) {
  nt::ScriptedServer server(speaks({{{kOther, 0}, true}, {told(kAlice, 1)}, true}));
  start({server.url(""), server.url("", "localhost")});
  EXPECT_THAT(heard(*alice, 1), ElementsAre("1"));
  until([&] { return server.connections() > 3; });
  EXPECT_TRUE(is_quiet(*alice));
}

TEST_F(EventLinksTest, NothingIsTakenFromWhoDoesNotHaveTheKey) {
  const std::string wrong(32, 'w');
  for (const auto& [secret, sealing] :
       {std::pair(wrong, kSecret), std::pair(kSecret, wrong), std::pair(wrong, wrong)}) {
    nt::ScriptedServer server(
        speaks({{{kOther, 0}, false}, {told(kAlice, 1)}, false, secret, sealing}));
    start({server.url("")});
    until([&] { return server.connections() > 2; });
    EXPECT_TRUE(is_quiet(*alice));
    stop();
  }
  nt::ScriptedServer refuses(nt::answer_with(nt::response(401, "{}")));
  start({refuses.url("")});
  until([&] {
    return refuses.connections() > 0 && counted("colloquy_event_peers{state=\"unreachable\"} 1");
  });
  EXPECT_TRUE(is_quiet(*alice));
}

TEST_F(EventLinksTest, AnEventThatCannotBeUnderstoodIsAReset) {
  nt::ScriptedServer server(
      speaks({{{kOther, 0}, true}, {events_json({"{}"}, 1), told(kAlice, 2)}, true}));
  start({server.url("")});
  EXPECT_EQ(heard(*alice, 1).front(), "reset");
  until([&] { return counted("colloquy_peer_events_total 1"); });
}

TEST_F(EventLinksTest, WhatIsNoMessageBreaksTheConnection) {
  nt::ScriptedServer server({speaks({{{kOther, 0}, true}, {"nonsense", told(kAlice, 1)}}),
                             speaks({{{"nobody", 0}, true}, {told(kAlice, 2)}}),
                             speaks({{{kOther, 0}, true}, {told(kAlice, 3)}, true})});
  start({server.url("")});
  EXPECT_THAT(heard(*alice, 1), ElementsAre("3"));
}

// As the addresses of a Kubernetes service do.
TEST_F(EventLinksTest, ServersComeAndGoWithTheAddressesOfTheirName) {
  nt::ScriptedServer server({speaks({{{kOther, 0}, true}, {told(kAlice, 1)}, true})});
  auto host = a_host();
  host->listed = false;
  start({server.url("", "servers.invalid")});
  until([&] { return host->looked_up > 2; });
  host->listed = true;
  EXPECT_THAT(heard(*alice, 1), ElementsAre("1"));
  // A server that is there is followed on, whatever the name says.
  for (auto* change : {&host->fails, &host->listed}) {
    *change = !*change;
    until([&, before = host->looked_up.load()] { return host->looked_up > before + 2; });
    EXPECT_TRUE(is_quiet(*alice));
    EXPECT_TRUE(counted("colloquy_event_peers{state=\"connected\"} 1"));
    host->fails = false;
  }
}

TEST_F(EventLinksTest, AServerThatIsGoneAndNotListedAnyMoreIsForgotten) {
  options.link.lost_after = milliseconds(50);
  auto server =
      std::make_unique<nt::ScriptedServer>(speaks({{{kOther, 0}, true}, {told(kAlice, 1)}, true}));
  auto host = a_host();
  start({server->url("", "servers.invalid")});
  EXPECT_THAT(heard(*alice, 1), ElementsAre("1"));
  host->listed = false;
  server.reset();
  EXPECT_EQ(heard(*alice, 1).front(), "reset");
  until([&] {
    return counted("colloquy_event_peers{state=\"connected\"} 0") &&
           counted("colloquy_event_peers{state=\"unreachable\"} 0");
  });
}

TEST_F(EventLinksTest, NoMoreServersAreFollowedThanItMay) {
  options.links_most = 1;
  nt::ScriptedServer one(speaks({{{kOther, 0}, true}, {told(kAlice, 1)}, true}));
  nt::ScriptedServer two(speaks({{{kThird, 0}, true}, {told(kAlice, 2)}, true}));
  auto host = a_host();
  start({one.url(""), two.url("")});
  EXPECT_THAT(heard(*alice, 1), ElementsAre("1"));
  until([&] { return host->looked_up > 6; });
  EXPECT_EQ(two.connections(), 0);
}

TEST_F(EventLinksTest, StopsAtOnceWhateverItWaitsFor) {
  nt::ScriptedServer silent([](nt::Peer& peer) {
    peer.read_request();
    peer.wait_until_closed();
  });
  start({silent.url(""), "http://name.invalid:1"});
  until([&] { return silent.requests().size() == 1; });
  auto begun = std::chrono::steady_clock::now();
  stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(3));
}

}  // namespace
}  // namespace colloquy::cluster
