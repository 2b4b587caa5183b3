// What holds for every provider that asks an endpoint, however that behaves.
#include <functional>

#include "store/dynamodb/aws/container_credentials.h"
#include "store/dynamodb/aws/instance_metadata.h"
#include "store/dynamodb/aws/provider_harness.h"
#include "store/dynamodb/aws/web_identity_credentials.h"

namespace colloquy::aws {
namespace {

using net::testing::Peer;
using net::testing::response;
using net::testing::Script;
using net::testing::ScriptedServer;
using testing::kSecretToken;
using ::testing::StartsWith;
using Variables = std::map<std::string, std::string>;

struct EndpointCase {
  std::string name;
  Variables variables;
  Variables files;
  std::string endpoint_variable;
  std::string endpoint_path;
  std::function<std::unique_ptr<CredentialProvider>(ProviderContext)> make;
  std::vector<std::string> first_answers;  // good ones, before the one with the credentials
  std::string failure_begins;
  std::string silence_begins;
  bool none_when_silent = false;  // then it is taken for one that is not there
  int most_connections = 3;
};

template <class Provider>
std::unique_ptr<CredentialProvider> make(ProviderContext context) {
  return std::make_unique<Provider>(std::move(context));
}

std::vector<EndpointCase> endpoints() {
  return {
      {.name = "Container",
       .variables = {{"AWS_CONTAINER_AUTHORIZATION_TOKEN", kSecretToken}},
       .files = {},
       .endpoint_variable = "AWS_CONTAINER_CREDENTIALS_FULL_URI",
       .endpoint_path = "/v2/credentials?id=1",
       .make = make<ContainerCredentials>,
       .first_answers = {},
       .failure_begins = "container: ",
       .silence_begins = "container: no answer"},
      {.name = "WebIdentity",
       .variables = {{"AWS_WEB_IDENTITY_TOKEN_FILE", "/token"},
                     {"AWS_ROLE_ARN", "arn:aws:iam::1:role/my role"},
                     {"AWS_ROLE_SESSION_NAME", "my-session"},
                     {"AWS_REGION", "eu-central-1"}},
       .files = {{"/token", kSecretToken + "\n"}},
       .endpoint_variable = "AWS_ENDPOINT_URL_STS",
       .endpoint_path = "",
       .make = make<WebIdentityCredentials>,
       .first_answers = {},
       .failure_begins = "web identity: ",
       .silence_begins = "web identity: no answer from STS"},
      {.name = "InstanceMetadata",
       .variables = {},
       .files = {},
       .endpoint_variable = "AWS_EC2_METADATA_SERVICE_ENDPOINT",
       .endpoint_path = "/",
       .make = make<InstanceMetadataCredentials>,
       .first_answers = {response(200, kSecretToken, "text/plain"),
                         response(200, "my-role\nanother", "text/plain")},
       .failure_begins = "instance metadata: ",
       .silence_begins = "instance metadata: no answer from 127.0.0.1:",
       .none_when_silent = true,
       .most_connections = 4},
  };
}

// Answers the first questions well, on whatever connection, and all others badly.
Script bad_after(std::vector<std::string> good, Script bad) {
  const auto answered = std::make_shared<std::atomic<std::size_t>>(0);
  return [=](Peer& peer) {
    while (*answered < good.size()) {
      if (!peer.read_request()) return;
      peer.send(good[(*answered)++]);
    }
    bad(peer);
  };
}

class ProviderFailuresTest : public testing::ProviderTest,
                             public ::testing::WithParamInterface<EndpointCase> {
 protected:
  ProviderFailuresTest() {
    variables = GetParam().variables;
    files = GetParam().files;
  }
  Failure failure_with(const ScriptedServer& server) {
    variables[GetParam().endpoint_variable] = server.url(GetParam().endpoint_path);
    return failure_of(*GetParam().make(context()));
  }
};

TEST_P(ProviderFailuresTest, WhateverElseComesAtAnyStepIsAFailureThatSaysNoSecret) {
  const auto& first_answers = GetParam().first_answers;
  for (const auto& bad : testing::bad_answers()) {
    for (std::size_t step = 0; step <= first_answers.size(); ++step) {
      SCOPED_TRACE(bad.name + " at step " + std::to_string(step));
      const auto end = first_answers.begin() + static_cast<std::ptrdiff_t>(step);
      ScriptedServer server(bad_after({first_answers.begin(), end}, bad.script));
      const auto failure = failure_with(server);
      EXPECT_THAT(failure.detail, StartsWith(GetParam().failure_begins));
      if (first_answers.empty()) {
        EXPECT_FALSE(failure.none);
      }
      EXPECT_LE(server.connections(), GetParam().most_connections);
    }
  }
}

TEST_P(ProviderFailuresTest, WaitsAreBoundedHoweverSlowlyAnAnswerComes) {
  policy = {std::chrono::milliseconds(500), std::chrono::milliseconds(100), 2,
            std::chrono::milliseconds(1)};
  for (const auto& script : {testing::stall(), testing::drip()}) {
    ScriptedServer server(script);
    const auto failure = failure_with(server);
    EXPECT_EQ(failure.none, GetParam().none_when_silent);
    EXPECT_THAT(failure.detail, StartsWith(GetParam().silence_begins));
    EXPECT_EQ(server.connections(), 2);
  }
}

INSTANTIATE_TEST_SUITE_P(Endpoints, ProviderFailuresTest, ::testing::ValuesIn(endpoints()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace colloquy::aws
