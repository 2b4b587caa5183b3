// For tests: an environment, files and a clock made up for one test, with real HTTP to loopback.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/testing/run_task.h"
#include "net/testing/scripted_server.h"
#include "store/dynamodb/aws/credentials.h"
#include "store/dynamodb/aws/environment.h"

namespace colloquy::aws::testing {

inline constexpr std::int64_t kNowMs = 1'790'000'000'000;  // 2026-09-21

// Sent to an endpoint in every test that has something secret to send.
inline const std::string kSecretToken = "header.CONFIDENTIALpayload.signature";
inline const std::string kSecretKey = "wJalrXUtnFEMI/CONFIDENTIALKEY";

class ProviderTest : public ::testing::Test {
 protected:
  ProviderContext context() {
    ProviderContext context;
    context.environment.variable = [this](const std::string& name) {
      return find(variables, name);
    };
    context.environment.file = [this](const std::string& path) { return find(files, path); };
    context.http = &http;
    context.clock = &clock;
    context.local = policy;
    context.sts = policy;
    return context;
  }

  template <class Provider>
  Credentials get(Provider&& provider) {
    return run_task(loop, provider.get());
  }

  struct Failure {
    std::string detail;
    bool none = false;  // NoCredentials
  };
  template <class Provider>
  Failure failure_of(Provider&& provider) {
    try {
      get(provider);
    } catch (const NoCredentials& error) {
      return checked({error.detail(), true}, error);
    } catch (const Error& error) {
      return checked({error.detail(), false}, error);
    }
    ADD_FAILURE() << "found credentials";
    return {};
  }

  std::map<std::string, std::string> variables;
  std::map<std::string, std::string> files;
  ManualClock clock{kNowMs};
  EndpointPolicy policy{std::chrono::seconds(10), std::chrono::seconds(10), 3,
                        std::chrono::milliseconds(2)};
  boost::asio::io_context loop;
  net::HttpClient http{net::HttpClient::Options{}};

 private:
  static std::optional<std::string> find(const std::map<std::string, std::string>& in,
                                         const std::string& name) {
    const auto found = in.find(name);
    if (found == in.end()) return std::nullopt;
    return found->second;
  }
  static Failure checked(Failure failure, const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
    EXPECT_EQ((failure.detail + error.message()).find("CONFIDENTIAL"), std::string::npos)
        << failure.detail;
    return failure;
  }
};

struct BadAnswer {
  std::string name;
  net::testing::Script script;
};

// Everything an endpoint may do instead of answering well. Some of them send back what they got.
inline std::vector<BadAnswer> bad_answers() {
  using net::testing::answer_with;
  using net::testing::Peer;
  using net::testing::response;
  const auto echo = [](int status) {
    return [status](Peer& peer) {
      while (const auto request = peer.read_request()) {
        const std::string text = request->head + request->body;
        peer.send(response(status, text + "<ErrorResponse><Error><Code>" + text + "</Code>"));
      }
    };
  };
  return {
      {"400", echo(400)},
      {"401", echo(401)},
      {"403", echo(403)},
      {"404", answer_with(response(404, "not here"))},
      {"500", echo(500)},
      {"503", answer_with(response(503, ""))},
      {"redirect",
       answer_with(response(302, "", "text/plain", "Location: http://127.0.0.1:1/\r\n"))},
      {"empty", answer_with(response(200, ""))},
      {"echo", echo(200)},
      {"array", answer_with(response(200, "[]"))},
      {"other types",
       answer_with(response(200, R"({"AccessKeyId":1,"SecretAccessKey":[],"Token":{}})"))},
      {"no secret", answer_with(response(200, R"({"AccessKeyId":"AKID","Token":"t"})"))},
      {"line ends", answer_with(response(
                        200, R"({"AccessKeyId":"A\r\nX: y","SecretAccessKey":"CONFIDENTIAL"})"))},
      {"bad time",
       answer_with(response(
           200, R"({"AccessKeyId":"A","SecretAccessKey":"CONFIDENTIAL","Expiration":"soon"})"))},
      {"other xml", answer_with(response(200, "<html><body>hello</body></html>"))},
      {"half xml", answer_with(response(200, "<AssumeRoleWithWebIdentityResponse><Credentials>"))},
      {"deep", answer_with(response(200, std::string(10'000, '[')))},
      {"too large", answer_with(response(200, std::string(kAnswerBytesMax + 1, 'x')))},
      {"no http",
       [](Peer& peer) {
         peer.read_request();
         peer.send("SSH-2.0-x\r\n\r\n");
       }},
      {"closed", [](Peer& peer) { peer.read_request(); }},
      {"reset",
       [](Peer& peer) {
         peer.read_request();
         peer.reset();
       }},
      {"half",
       [](Peer& peer) {
         peer.read_request();
         peer.send("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"AccessKeyId\":\"AK");
       }},
      {"half a header",
       [](Peer& peer) {
         peer.read_request();
         peer.send("HTTP/1.1 200 OK\r\nCont");
       }},
  };
}

// Answers 503 so many times, on whatever connection, and then well.
inline net::testing::Script failing_first(int times, std::string good) {
  const auto asked = std::make_shared<std::atomic<int>>(0);
  return [=](net::testing::Peer& peer) {
    while (peer.read_request()) {
      peer.send(++*asked <= times ? net::testing::response(503, "") : good);
    }
  };
}

// Answers nothing, or without end.
inline net::testing::Script stall() {
  return [](net::testing::Peer& peer) {
    peer.read_request();
    peer.wait_until_closed();
  };
}
inline net::testing::Script drip() {
  return [](net::testing::Peer& peer) {
    peer.read_request();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    while (peer.send(" ")) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  };
}

}  // namespace colloquy::aws::testing
