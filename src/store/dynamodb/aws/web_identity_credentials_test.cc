#include "store/dynamodb/aws/web_identity_credentials.h"

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

// As STS writes it, by the example of its API reference.
std::string sts_answer(const std::string& key_id, const std::string& secret = "se/cr+et") {
  return R"(<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleWithWebIdentityResult>
    <SubjectFromWebIdentityToken>subject</SubjectFromWebIdentityToken>
    <AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/r/s</Arn><AssumedRoleId>X:s</AssumedRoleId></AssumedRoleUser>
    <Credentials>
      <SessionToken>tok&amp;en</SessionToken>
      <SecretAccessKey>)" +
         secret + R"(</SecretAccessKey>
      <Expiration>2026-09-21T15:13:20Z</Expiration>
      <AccessKeyId>)" +
         key_id + R"(</AccessKeyId>
    </Credentials>
  </AssumeRoleWithWebIdentityResult>
  <ResponseMetadata><RequestId>ad4156e9-bce1-11e2-82e6-6b6efEXAMPLE</RequestId></ResponseMetadata>
</AssumeRoleWithWebIdentityResponse>)";
}

class WebIdentityTest : public testing::ProviderTest {
 protected:
  WebIdentityTest() {
    variables = {{"AWS_WEB_IDENTITY_TOKEN_FILE", "/token"},
                 {"AWS_ROLE_ARN", "arn:aws:iam::1:role/my role"},
                 {"AWS_ROLE_SESSION_NAME", "my-session"},
                 {"AWS_REGION", "eu-central-1"}};
    files = {{"/token", kSecretToken + "\n"}};
  }
  void use(const ScriptedServer& server) { variables["AWS_ENDPOINT_URL_STS"] = server.url(""); }
};

TEST_F(WebIdentityTest, ExchangesTheTokenForTheRolesCredentials) {
  ScriptedServer server(answer_with(response(200, sts_answer("ASIA1"), "text/xml")));
  use(server);
  const Credentials credentials = get(WebIdentityCredentials(context()));
  EXPECT_EQ(credentials.access_key_id, "ASIA1");
  EXPECT_EQ(credentials.secret_access_key, "se/cr+et");
  EXPECT_EQ(credentials.session_token, "tok&en");
  EXPECT_EQ(credentials.expires_at_ms, parse_timestamp("2026-09-21T15:13:20Z"));
  ASSERT_EQ(server.requests().size(), 1U);
  const auto request = server.requests()[0];
  EXPECT_EQ(request.line(), "POST / HTTP/1.1");
  EXPECT_EQ(request.header("content-type"), "application/x-www-form-urlencoded; charset=utf-8");
  EXPECT_FALSE(request.header("authorization"));
  EXPECT_EQ(request.body,
            "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&"
            "RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fmy%20role&RoleSessionName=my-session&"
            "WebIdentityToken=" +
                kSecretToken);
}

TEST_F(WebIdentityTest, TheTokensFileIsReadAnewEachTime) {
  ScriptedServer server(answer_with(response(200, sts_answer("ASIA1"))));
  use(server);
  WebIdentityCredentials provider(context());
  get(provider);
  files["/token"] = "replaced";
  get(provider);
  EXPECT_THAT(server.requests().at(1).body, HasSubstr("&WebIdentityToken=replaced"));
}

TEST_F(WebIdentityTest, WithoutASessionNameOneIsMade) {
  ScriptedServer server(answer_with(response(200, sts_answer("ASIA1"))));
  use(server);
  variables.erase("AWS_ROLE_SESSION_NAME");
  get(WebIdentityCredentials(context()));
  EXPECT_THAT(server.requests().at(0).body, HasSubstr("&RoleSessionName=colloquy-1790000000000&"));
}

TEST_F(WebIdentityTest, AServiceThatIsOutForAMomentIsAskedAgain) {
  ScriptedServer flaky(testing::failing_first(2, response(200, sts_answer("ASIA3"))));
  use(flaky);
  EXPECT_EQ(get(WebIdentityCredentials(context())).access_key_id, "ASIA3");
  EXPECT_EQ(flaky.requests().size(), 3U);
}

TEST_F(WebIdentityTest, ARefusalNamesStssCodeAndIsNotRepeated) {
  ScriptedServer server(answer_with(response(
      400,
      "<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredTokenException</Code><Message>Token " +
          kSecretToken + " expired</Message></Error><RequestId>1</RequestId></ErrorResponse>")));
  use(server);
  const auto failure = failure_of(WebIdentityCredentials(context()));
  EXPECT_EQ(failure.detail, "web identity: STS answered 400, ExpiredTokenException");
  EXPECT_FALSE(failure.none);
  EXPECT_EQ(server.requests().size(), 1U);
}

TEST_F(WebIdentityTest, AnAnswerWithoutAnyOfItsPartsIsAFailure) {
  const std::string whole = sts_answer("ASIA1");
  for (const auto* name :
       {"SessionToken", "SecretAccessKey", "AccessKeyId", "Expiration", "Credentials"}) {
    SCOPED_TRACE(name);
    std::string text = whole;
    for (std::size_t at = 0; (at = text.find(name, at)) != std::string::npos;)
      text.replace(at, 3, "Xyz");
    ScriptedServer server(answer_with(response(200, text)));
    use(server);
    if (std::string(name) == "SessionToken") {
      EXPECT_EQ(get(WebIdentityCredentials(context())).session_token, "");
      continue;
    }
    EXPECT_THAT(failure_of(WebIdentityCredentials(context())).detail, StartsWith("web identity: "));
  }
}

TEST_F(WebIdentityTest, IsNotSetUpWithoutAFileAndFailsWithoutTheRest) {
  variables.erase("AWS_ROLE_ARN");
  EXPECT_EQ(failure_of(WebIdentityCredentials(context())).detail,
            "web identity: AWS_ROLE_ARN is not set");
  variables["AWS_ROLE_ARN"] = "arn";
  variables["AWS_WEB_IDENTITY_TOKEN_FILE"] = "/nowhere";
  auto failure = failure_of(WebIdentityCredentials(context()));
  EXPECT_FALSE(failure.none);
  EXPECT_THAT(failure.detail, HasSubstr("AWS_WEB_IDENTITY_TOKEN_FILE is not there"));
  files["/nowhere"] = "\n";
  EXPECT_THAT(failure_of(WebIdentityCredentials(context())).detail, HasSubstr("is empty"));
  variables["AWS_WEB_IDENTITY_TOKEN_FILE"] = "";
  EXPECT_TRUE(failure_of(WebIdentityCredentials(context())).none);
}

TEST_F(WebIdentityTest, ABadEndpointOrRegionIsAFailure) {
  variables["AWS_ENDPOINT_URL_STS"] = "ftp://CONFIDENTIAL";
  EXPECT_THAT(failure_of(WebIdentityCredentials(context())).detail,
              HasSubstr("AWS_ENDPOINT_URL_STS"));
  variables.erase("AWS_ENDPOINT_URL_STS");
  variables["AWS_REGION"] = "evil.example/";
  EXPECT_THAT(failure_of(WebIdentityCredentials(context())).detail, HasSubstr("AWS_REGION"));
}

}  // namespace
}  // namespace colloquy::aws
