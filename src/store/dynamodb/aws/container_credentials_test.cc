#include "store/dynamodb/aws/container_credentials.h"

#include "store/dynamodb/aws/provider_harness.h"
#include "store/dynamodb/aws/timestamp.h"

namespace colloquy::aws {
namespace {

using net::testing::answer_with;
using net::testing::response;
using net::testing::ScriptedServer;
using ::testing::HasSubstr;
using testing::kSecretToken;
using ::testing::StartsWith;

constexpr const char* kGood =
    R"({"RoleArn":"arn","AccessKeyId":"ASIA1","SecretAccessKey":"s/1","Token":"t==","Expiration":"2026-09-21T15:13:20Z"})";

class ContainerTest : public testing::ProviderTest {
 protected:
  ContainerTest() { variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = kSecretToken; }
  void use(const ScriptedServer& server) {
    variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = server.url("/v2/credentials?id=1");
  }
};

TEST_F(ContainerTest, AsksTheEndpointWithTheToken) {
  ScriptedServer server(answer_with(response(200, kGood)));
  use(server);
  const Credentials credentials = get(ContainerCredentials(context()));
  EXPECT_EQ(credentials.access_key_id, "ASIA1");
  EXPECT_EQ(credentials.secret_access_key, "s/1");
  EXPECT_EQ(credentials.session_token, "t==");
  EXPECT_EQ(credentials.expires_at_ms, parse_timestamp("2026-09-21T15:13:20Z"));
  EXPECT_EQ(server.requests().at(0).line(), "GET /v2/credentials?id=1 HTTP/1.1");
  EXPECT_EQ(server.requests().at(0).header("Authorization"), kSecretToken);
}

TEST_F(ContainerTest, TheTokensFileComesFirstAndIsReadAnewEachTime) {
  ScriptedServer server(answer_with(response(200, kGood)));
  use(server);
  variables["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = "/pod/token";
  files["/pod/token"] = "first\n";
  ContainerCredentials provider(context());
  get(provider);
  files["/pod/token"] = "second";
  get(provider);
  EXPECT_EQ(server.requests().at(0).header("Authorization"), "first");
  EXPECT_EQ(server.requests().at(1).header("Authorization"), "second");
  files.erase("/pod/token");
  EXPECT_THAT(failure_of(provider).detail,
              HasSubstr("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE is not there"));
}

TEST_F(ContainerTest, WithoutATokenNoneIsSent) {
  ScriptedServer server(answer_with(response(200, R"({"AccessKeyId":"A","SecretAccessKey":"s"})")));
  use(server);
  variables.erase("AWS_CONTAINER_AUTHORIZATION_TOKEN");
  const Credentials credentials = get(ContainerCredentials(context()));
  EXPECT_EQ(credentials.session_token, "");
  EXPECT_EQ(credentials.expires_at_ms, std::nullopt);
  EXPECT_FALSE(server.requests().at(0).header("Authorization"));
}

TEST_F(ContainerTest, ATokenThatWouldEndTheFieldIsNotSent) {
  ScriptedServer server(answer_with(response(200, kGood)));
  use(server);
  variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "CONFIDENTIAL\r\nX: y";
  EXPECT_THAT(failure_of(ContainerCredentials(context())).detail, HasSubstr("authorization token"));
  EXPECT_EQ(server.connections(), 0);
}

TEST_F(ContainerTest, AnEndpointThatIsOutForAMomentIsAskedAgain) {
  ScriptedServer server(testing::failing_first(2, response(200, kGood)));
  use(server);
  EXPECT_EQ(get(ContainerCredentials(context())).access_key_id, "ASIA1");
  EXPECT_EQ(server.requests().size(), 3U);
}

TEST_F(ContainerTest, TheTokenGoesOnlyWhereItMay) {
  for (const auto* url :
       {"http://127.0.0.1/x", "http://127.9.9.9:81/", "http://[::1]/", "http://localhost:1/",
        "http://169.254.170.2/", "http://169.254.170.23/v1/credentials", "http://[fd00:ec2::23]/v1",
        "https://anywhere.example/x"}) {
    EXPECT_TRUE(is_container_endpoint(url)) << url;
  }
  for (const auto* url :
       {"", "/x", "http://169.254.169.254/", "http://169.254.170.3/", "http://10.0.0.1/",
        "http://example.com/", "http://localhost.example.com/", "http://127.0.0.1.example/",
        "http://[fd00:ec2::24]/", "http://user@127.0.0.1/", "ftp://127.0.0.1/", "http://0/"}) {
    EXPECT_FALSE(is_container_endpoint(url)) << url;
  }
  variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://example.com/";
  EXPECT_THAT(failure_of(ContainerCredentials(context())).detail,
              HasSubstr("AWS_CONTAINER_CREDENTIALS_FULL_URI is neither"));
}

TEST_F(ContainerTest, IsNotSetUpWithoutAnEndpoint) {
  const auto failure = failure_of(ContainerCredentials(context()));
  EXPECT_TRUE(failure.none);
  EXPECT_THAT(failure.detail, StartsWith("container: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and"));
  for (const auto* path : {"v2/credentials", "@evil.example/", "/a b"}) {
    variables["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = path;
    EXPECT_EQ(failure_of(ContainerCredentials(context())).detail,
              "container: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is not a path");
  }
}

}  // namespace
}  // namespace colloquy::aws
