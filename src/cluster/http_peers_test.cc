#include "cluster/http_peers.h"

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <string>

#include "cluster/peer_events.h"
#include "net/testing/scripted_server.h"

namespace colloquy::cluster {
namespace {

namespace asio = boost::asio;
namespace nt = net::testing;
using chat::PeerState;

const std::string kSecret(32, 's');
const std::string kOwn = "01932f3e-5c00-7a4b-9c1d-2e3f405162a3";
const std::string kOther = "01932f3e-5c00-7a4b-9c1d-2e3f405162a4";

class HttpPeersTest : public ::testing::Test {
 protected:
  template <class T>
  T run(Task<T> task) {
    auto result = asio::co_spawn(loop, std::move(task), asio::use_future);
    loop.restart();
    loop.run();
    return result.get();
  }

  std::string owner(const nt::ScriptedServer& server) {
    return kOther + "@http://127.0.0.1:" + std::to_string(server.port());
  }
  // Answers as a holder of the key does.
  nt::Script with_proof(int status, std::string body) {
    return [this, status, body = std::move(body)](nt::Peer& peer) {
      auto request = peer.read_request();
      if (!request) return;
      auto words = request->line();
      auto method = words.substr(0, words.find(' '));
      auto target = words.substr(method.size() + 1, words.rfind(' ') - method.size() - 1);
      auto trusted =
          key.verify(method, target, request->header(kPeerHeader).value_or(""), clock.now_s());
      if (!trusted) return;
      trusts = trusted->user == name.user && trusted->instance == kOther;
      peer.send(
          nt::response(status, body, "text/event-stream",
                       std::string(kPeerHeader) + ": " + key.prove(*trusted, status) + "\r\n"));
    };
  }

  asio::io_context loop;
  ManualClock clock{1'700'000'000'000};
  PeerKey key{{kSecret}};
  telemetry::Metrics metrics;
  net::HttpClient client{net::HttpClient::Options()};
  Owner own{kOwn, parse_base_url("http://127.0.0.1:1")};
  HttpPeers peers{client, key, clock, own, metrics};
  chat::AnswerName name{UserId("alice"), ConversationId(Uuid::make_v7(1, 2, 3)),
                        MessageId(Uuid::make_v7(1, 2, 4))};
  std::atomic<bool> trusts{false};
};

TEST_F(HttpPeersTest, AnAnswerElsewhereIsReadToItsEnd) {
  auto events = "event: start\ndata: " + start_data(3) +
                "\n\nevent: token\ndata: " + token_data("ün") +
                "\n\n: still here\n\nevent: token\ndata: " + token_data("d") +
                "\n\nevent: end\ndata: " + end_data({}) + "\n\n";
  nt::ScriptedServer server(with_proof(200, events));
  auto opened = run(peers.follow(owner(server), name));
  ASSERT_EQ(opened.state, PeerState::kRunning);
  EXPECT_TRUE(trusts);
  EXPECT_EQ(opened.answer->so_far(), "ün");
  std::string rest;
  while (auto piece = run(opened.answer->next())) rest += *piece;
  EXPECT_EQ(rest, "d");
  EXPECT_TRUE(opened.answer->end().durable);
}

TEST_F(HttpPeersTest, AnAnswerThatBreaksOffIsNotAnEnd) {
  auto events = "event: start\ndata: " + start_data(0) +
                "\n\nevent: token\ndata: " + token_data("x") + "\n\n";
  nt::ScriptedServer server(with_proof(200, events));
  auto opened = run(peers.follow(owner(server), name));
  ASSERT_EQ(opened.state, PeerState::kRunning);
  EXPECT_EQ(run(opened.answer->next()), "x");
  EXPECT_THROW(run(opened.answer->next()), Error);
}

TEST_F(HttpPeersTest, AServerThatDoesNotMakeItSaysSo) {
  nt::ScriptedServer ended(with_proof(404, ""));
  EXPECT_EQ(run(peers.follow(owner(ended), name)).state, PeerState::kNotRunning);
  nt::ScriptedServer gone(with_proof(410, ""));
  EXPECT_EQ(run(peers.cancel(owner(gone), name)).state, PeerState::kGone);
}

TEST_F(HttpPeersTest, NothingIsBelievedWithoutAProof) {
  auto garbage = "event: start\ndata: {\"bytes\":0}\n\nevent: end\ndata: {\"durable\":true}\n\n";
  for (int status : {200, 404, 410}) {
    nt::ScriptedServer server(nt::answer_with(nt::response(status, garbage)));
    EXPECT_EQ(run(peers.follow(owner(server), name)).state, PeerState::kUnreachable);
    EXPECT_EQ(run(peers.cancel(owner(server), name)).state, PeerState::kUnreachable);
  }
}

TEST_F(HttpPeersTest, TheKeyIsNeverSent) {
  std::string seen;
  nt::ScriptedServer server([&seen](nt::Peer& peer) {
    auto request = peer.read_request();
    if (request) seen = request->head + request->body;
    peer.send(nt::response(200, ""));
  });
  run(peers.follow(owner(server), name));
  EXPECT_NE(seen.find(kPeerHeader), std::string::npos);
  EXPECT_EQ(seen.find(kSecret), std::string::npos);
  EXPECT_EQ(seen.find("alice"), std::string::npos);
}

TEST_F(HttpPeersTest, TheTraceGoesOn) {
  std::string seen;
  nt::ScriptedServer server([&seen](nt::Peer& peer) {
    auto request = peer.read_request();
    if (request) seen = request->head;
    peer.send(nt::response(404, ""));
  });
  name.trace = {"0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "01", "rojo=1"};
  run(peers.cancel(owner(server), name));
  EXPECT_NE(seen.find("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"),
            std::string::npos);
  EXPECT_NE(seen.find("tracestate: rojo=1\r\n"), std::string::npos);
}

TEST_F(HttpPeersTest, WhoeverHasNoAddressIsNotCalled) {
  EXPECT_EQ(run(peers.follow(kOther, name)).state, PeerState::kUnreachable);
  EXPECT_EQ(run(peers.follow("", name)).state, PeerState::kUnreachable);
  EXPECT_EQ(run(peers.follow(kOther + "@file:///etc/passwd", name)).state, PeerState::kUnreachable);
  EXPECT_EQ(run(peers.follow(kOwn + "@http://127.0.0.1:1", name)).state, PeerState::kNotRunning);
  // The process before this one, at the same address.
  EXPECT_EQ(run(peers.follow(kOther + "@http://127.0.0.1:1", name)).state, PeerState::kGone);
}

TEST_F(HttpPeersTest, GarbledEventsAreNoAnswer) {
  for (const char* body : {"", "event: start\ndata: {}\n\n", "event: token\ndata: {}\n\n",
                           "event: start\ndata: {\"bytes\":9}\n\nevent: end\ndata: {}\n\n"}) {
    nt::ScriptedServer server(with_proof(200, body));
    EXPECT_EQ(run(peers.follow(owner(server), name)).state, PeerState::kUnreachable) << body;
    nt::ScriptedServer again(with_proof(200, body));
    EXPECT_EQ(run(peers.cancel(owner(again), name)).state, PeerState::kUnreachable) << body;
  }
}

}  // namespace
}  // namespace colloquy::cluster
