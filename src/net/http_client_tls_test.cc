#include <gtest/gtest.h>

#include "base/error.h"
#include "base/testing/run_task.h"
#include "net/http_client.h"
#include "net/testing/certificate.h"
#include "net/testing/scripted_server.h"

namespace colloquy::net {
namespace {

using namespace std::chrono_literals;
using testing::answer_with;
using testing::Peer;
using testing::response;
using testing::Script;
using testing::ScriptedServer;
using testing::TestCertificate;

class HttpClientTlsTest : public ::testing::Test {
 protected:
  HttpResponse fetch(const HttpClient::Options& options, const std::string& url) {
    clients_.push_back(std::make_unique<HttpClient>(options));
    HttpRequest request;
    request.url = url;
    return run_task(loop_, clients_.back()->fetch(std::move(request), 1000));
  }
  NetFailure failure_of(const HttpClient::Options& options, const std::string& url) {
    try {
      fetch(options, url);
    } catch (const NetError& error) {
      return error.failure();
    }
    ADD_FAILURE() << "did not fail";
    return NetFailure::kBadUrl;
  }
  static HttpClient::Options trusting(const TestCertificate& certificate) {
    HttpClient::Options options;
    options.ca_file = certificate.certificate_file();
    return options;
  }

  boost::asio::io_context loop_;
  std::vector<std::unique_ptr<HttpClient>> clients_;
};

TEST_F(HttpClientTlsTest, ATrustedCertificateOfTheHostIsGood) {
  const TestCertificate certificate("localhost");
  ScriptedServer server(answer_with(response(200, "secret")), &certificate);
  HttpClient client(trusting(certificate));
  for (int i = 0; i < 3; ++i) {
    HttpRequest request;
    request.url = server.url("/", "localhost");
    EXPECT_EQ(run_task(loop_, client.fetch(request, 1000)).body, "secret");
  }
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(HttpClientTlsTest, ACertificateMayNameAnAddress) {
  const TestCertificate certificate("127.0.0.1");
  ScriptedServer server(answer_with(response(200, "secret")), &certificate);
  EXPECT_EQ(fetch(trusting(certificate), server.url()).body, "secret");
}

TEST_F(HttpClientTlsTest, ACertificateOfAnotherHostIsRefused) {
  const TestCertificate certificate("other.example");
  ScriptedServer server(answer_with(response(200, "secret")), &certificate);
  EXPECT_EQ(failure_of(trusting(certificate), server.url("/", "localhost")), NetFailure::kTls);
  EXPECT_EQ(failure_of(trusting(certificate), server.url()), NetFailure::kTls);
  EXPECT_TRUE(server.requests().empty());
}

TEST_F(HttpClientTlsTest, ACertificateThatNobodyTrustsIsRefused) {
  const TestCertificate certificate("localhost");
  const TestCertificate another("localhost");
  ScriptedServer server(answer_with(response(200, "secret")), &certificate);
  EXPECT_EQ(failure_of({}, server.url("/", "localhost")), NetFailure::kTls);
  EXPECT_EQ(failure_of(trusting(another), server.url("/", "localhost")), NetFailure::kTls);
  EXPECT_TRUE(server.requests().empty());
}

TEST_F(HttpClientTlsTest, AConnectionToOneAddressIsStillForTheNameOfTheUrl) {
  const TestCertificate certificate("name.invalid");
  ScriptedServer server(answer_with(response(200, "secret")), &certificate);
  HttpClient client(trusting(certificate));
  HttpRequest request;
  request.url = server.url("/", "name.invalid");
  request.connect_to = "127.0.0.1";
  EXPECT_EQ(run_task(loop_, client.fetch(request, 1000)).body, "secret");
  EXPECT_EQ(server.requests().front().header("Host"),
            "name.invalid:" + std::to_string(server.port()));
  // A connection to one address is not taken for one to another.
  request.connect_to = "127.0.0.2";
  EXPECT_THROW(run_task(loop_, client.fetch(request, 1000)), NetError);
  request.connect_to = "127.0.0.1";
  request.url = server.url("/", "other.invalid");
  EXPECT_THROW(run_task(loop_, client.fetch(request, 1000)), NetError);
  EXPECT_EQ(server.requests().size(), 1U);
}

TEST_F(HttpClientTlsTest, APlainServerFailsTheHandshake) {
  ScriptedServer server([](Peer& peer) { peer.send("HTTP/1.1 400 Bad Request\r\n\r\n"); });
  EXPECT_EQ(failure_of({}, "https://127.0.0.1:" + std::to_string(server.port())), NetFailure::kTls);
}

TEST_F(HttpClientTlsTest, ABodyUntilCloseNeedsTheOrderlyEndOfTls) {
  const TestCertificate certificate("localhost");
  const auto say = [](Peer& peer) {
    peer.read_request();
    peer.send("HTTP/1.1 200 OK\r\n\r\nall of it");
  };
  const auto say_and_cut = [say](Peer& peer) {
    say(peer);
    peer.reset();
  };
  ScriptedServer server({Script(say), Script(say_and_cut)}, &certificate);
  const std::string url = server.url("/", "localhost");
  EXPECT_EQ(fetch(trusting(certificate), url).body, "all of it");
  EXPECT_EQ(failure_of(trusting(certificate), url), NetFailure::kClosed);
}

TEST_F(HttpClientTlsTest, AFileOfAuthoritiesThatIsNotThereIsRefusedAtOnce) {
  HttpClient::Options options;
  options.ca_file = "/nonexistent/ca.pem";
  EXPECT_THROW(HttpClient client(options), Error);
}

TEST_F(HttpClientTlsTest, GoesThroughTheProxyByConnect) {
  const TestCertificate certificate("localhost");
  ScriptedServer server(answer_with(response(200, "secret")), &certificate);
  ScriptedServer proxy([&](Peer& peer) {
    peer.read_request();
    peer.send("HTTP/1.1 200 Connection established\r\n\r\n");
    peer.tunnel_to(server.port());
  });
  HttpClient::Options options = trusting(certificate);
  options.https_proxy = "http://me:pw@127.0.0.1:" + std::to_string(proxy.port());
  EXPECT_EQ(fetch(options, server.url("/", "localhost")).body, "secret");
  ASSERT_EQ(proxy.requests().size(), 1U);
  const std::string target = "localhost:" + std::to_string(server.port());
  EXPECT_EQ(proxy.requests()[0].line(), "CONNECT " + target + " HTTP/1.1");
  EXPECT_EQ(proxy.requests()[0].header("Host"), target);
  EXPECT_EQ(proxy.requests()[0].header("Proxy-Authorization"), "Basic bWU6cHc=");
  EXPECT_EQ(server.requests()[0].header("Proxy-Authorization"), std::nullopt);
}

TEST_F(HttpClientTlsTest, ThroughTheProxyTheHostIsStillChecked) {
  const TestCertificate certificate("other.example");
  ScriptedServer server(answer_with(response(200, "secret")), &certificate);
  ScriptedServer proxy([&](Peer& peer) {
    peer.read_request();
    peer.send("HTTP/1.1 200 OK\r\n\r\n");
    peer.tunnel_to(server.port());
  });
  HttpClient::Options options = trusting(certificate);
  options.https_proxy = proxy.url("");
  EXPECT_EQ(failure_of(options, server.url("/", "localhost")), NetFailure::kTls);
}

TEST_F(HttpClientTlsTest, AProxyThatRefusesOrHangsUpIsAFailedConnect) {
  for (const std::string& answer :
       {response(407, "who are you"), std::string(), std::string("nonsense\r\n\r\n")}) {
    ScriptedServer proxy([&](Peer& peer) {
      peer.read_request();
      peer.send(answer);
    });
    HttpClient::Options options;
    options.https_proxy = proxy.url("");
    EXPECT_EQ(failure_of(options, "https://localhost:1/"), NetFailure::kConnect);
  }
}

TEST_F(HttpClientTlsTest, AHostInNoProxyIsReachedDirectly) {
  const TestCertificate certificate("localhost");
  ScriptedServer server(answer_with(response(200, "secret")), &certificate);
  ScriptedServer proxy(answer_with(response(500, "")));
  HttpClient::Options options = trusting(certificate);
  options.https_proxy = proxy.url("");
  options.no_proxy = "example.com,localhost";
  EXPECT_EQ(fetch(options, server.url("/", "localhost")).body, "secret");
  EXPECT_EQ(proxy.connections(), 0);
}

}  // namespace
}  // namespace colloquy::net
