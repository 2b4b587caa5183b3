#include "store/dynamodb/aws/instance_metadata.h"

#include "store/dynamodb/aws/provider_harness.h"
#include "store/dynamodb/aws/region.h"

namespace colloquy::aws {
namespace {

using net::testing::Peer;
using net::testing::response;
using net::testing::ScriptedServer;
using ::testing::HasSubstr;
using testing::kSecretToken;
using ::testing::StartsWith;

constexpr const char* kGood =
    R"({"Code":"Success","Type":"AWS-HMAC","AccessKeyId":"ASIA1","SecretAccessKey":"s/1","Token":"t==","Expiration":"2026-09-21T15:13:20Z"})";

// What each path of the service answers; what is not here is 404.
struct Answers {
  std::string token = response(200, kSecretToken, "text/plain");
  std::string roles = response(200, "my-role\nanother", "text/plain");
  std::string credentials = response(200, kGood);
  std::string region = response(200, "eu-west-3", "text/plain");
};

net::testing::Script service(Answers answers) {
  return [answers = std::move(answers)](Peer& peer) {
    while (const auto request = peer.read_request()) {
      const std::string line = request->line();
      if (line == "PUT /latest/api/token HTTP/1.1") {
        peer.send(answers.token);
      } else if (request->header("X-aws-ec2-metadata-token") != kSecretToken) {
        peer.send(response(401, ""));
      } else if (line == "GET /latest/meta-data/iam/security-credentials/ HTTP/1.1") {
        peer.send(answers.roles);
      } else if (line == "GET /latest/meta-data/iam/security-credentials/my-role HTTP/1.1") {
        peer.send(answers.credentials);
      } else if (line == "GET /latest/meta-data/placement/region HTTP/1.1") {
        peer.send(answers.region);
      } else {
        peer.send(response(404, ""));
      }
    }
  };
}

class InstanceMetadataTest : public testing::ProviderTest {
 protected:
  void use(const ScriptedServer& server) {
    variables["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = server.url("/");
  }
};

TEST_F(InstanceMetadataTest, AsksForATokenThenTheRoleThenItsCredentials) {
  ScriptedServer server(service({}));
  use(server);
  const Credentials credentials = get(InstanceMetadataCredentials(context()));
  EXPECT_EQ(credentials.access_key_id, "ASIA1");
  EXPECT_EQ(credentials.secret_access_key, "s/1");
  EXPECT_EQ(credentials.session_token, "t==");
  EXPECT_TRUE(credentials.expires_at_ms);
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 3U);
  EXPECT_EQ(requests[0].header("X-aws-ec2-metadata-token-ttl-seconds"), "300");
  EXPECT_EQ(requests[1].header("X-aws-ec2-metadata-token"), kSecretToken);
}

TEST_F(InstanceMetadataTest, EverySearchTakesANewToken) {
  ScriptedServer server(service({}));
  use(server);
  InstanceMetadataCredentials provider(context());
  get(provider);
  get(provider);
  EXPECT_THAT(server.requests().at(3).line(), StartsWith("PUT "));
}

TEST_F(InstanceMetadataTest, AServiceThatIsOutForAMomentIsAskedAgain) {
  ScriptedServer server(testing::failing_first(2, response(200, "token", "text/plain")));
  use(server);
  // The same good answer to every question, so it fails in the end, but past the first one.
  EXPECT_THAT(failure_of(InstanceMetadataCredentials(context())).detail,
              HasSubstr("not a JSON object"));
  EXPECT_EQ(server.requests().size(), 5U);
}

TEST_F(InstanceMetadataTest, WithoutARoleThereAreNoCredentials) {
  Answers answers;
  answers.roles = response(404, "");
  ScriptedServer server(service(answers));
  use(server);
  const auto failure = failure_of(InstanceMetadataCredentials(context()));
  EXPECT_TRUE(failure.none);
  EXPECT_EQ(failure.detail, "instance metadata: the instance has no role");
}

TEST_F(InstanceMetadataTest, VersionOneIsNeverSpoken) {
  for (const int status : {400, 403, 404, 405}) {
    Answers answers;
    answers.token = response(status, "");
    ScriptedServer server(service(answers));
    use(server);
    EXPECT_EQ(
        failure_of(InstanceMetadataCredentials(context())).detail,
        "instance metadata: answered " + std::to_string(status) + " to the request for a token");
    EXPECT_EQ(server.requests().size(), 1U);
  }
}

TEST_F(InstanceMetadataTest, AnErrorCodeInTheDocumentIsAFailure) {
  Answers answers;
  answers.credentials = response(200, R"({"Code":"AssumeRoleUnauthorizedAccess","Message":"x"})");
  ScriptedServer server(service(answers));
  use(server);
  EXPECT_EQ(failure_of(InstanceMetadataCredentials(context())).detail,
            "instance metadata: the answer says AssumeRoleUnauthorizedAccess");
}

TEST_F(InstanceMetadataTest, NothingIsAskedWhereItIsDisabled) {
  ScriptedServer server(service({}));
  use(server);
  variables["AWS_EC2_METADATA_DISABLED"] = "TRUE";
  EXPECT_TRUE(failure_of(InstanceMetadataCredentials(context())).none);
  EXPECT_EQ(server.connections(), 0);
}

TEST_F(InstanceMetadataTest, ABadEndpointIsAFailure) {
  variables["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = "nowhere";
  EXPECT_FALSE(failure_of(InstanceMetadataCredentials(context())).none);
}

class RegionTest : public InstanceMetadataTest {
 protected:
  RegionTest() : server(service({})) { use(server); }
  std::string find(std::string given = {}) {
    return run_task(loop, find_region(std::move(given), context()));
  }
  std::string refusal(std::string given = {}) {
    try {
      find(std::move(given));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalid);
      return error.message();
    }
    return "(found)";
  }
  ScriptedServer server;
};

TEST_F(RegionTest, IsLookedForWhereTheSdksLookInTheirOrder) {
  variables["HOME"] = "/home/me";
  EXPECT_EQ(find(), "eu-west-3");
  files["/home/me/.aws/config"] = "[default]\nregion = eu-west-1\n[profile p]\nregion=eu-west-2\n";
  EXPECT_EQ(find(), "eu-west-1");
  variables["AWS_PROFILE"] = "p";
  EXPECT_EQ(find(), "eu-west-2");
  variables["AWS_DEFAULT_REGION"] = "us-east-2";
  EXPECT_EQ(find(), "us-east-2");
  variables["AWS_REGION"] = "us-west-1";
  EXPECT_EQ(find(), "us-west-1");
  EXPECT_EQ(find("ap-south-1"), "ap-south-1");
}

TEST_F(RegionTest, WithoutOneTheErrorSaysWhatWasTried) {
  variables["AWS_EC2_METADATA_DISABLED"] = "true";
  EXPECT_EQ(refusal(),
            "No AWS region is set. Tried AWS_REGION, AWS_DEFAULT_REGION, `region` of the profile "
            "default and the instance metadata.");
}

TEST_F(RegionTest, WhatCannotStandInAHostIsRefused) {
  EXPECT_THAT(refusal("eu west"), HasSubstr("the setting"));
  EXPECT_THAT(refusal("example.com/"), HasSubstr("the setting"));
  variables["AWS_REGION"] = "EU-WEST-1";
  EXPECT_THAT(refusal(), HasSubstr("AWS_REGION"));
  variables.erase("AWS_REGION");
  Answers answers;
  answers.region = response(200, "<html>\n");
  ScriptedServer other(service(answers));
  use(other);
  EXPECT_THAT(refusal(), HasSubstr("instance metadata"));
  EXPECT_FALSE(is_region_name(""));
  EXPECT_FALSE(is_region_name(std::string(64, 'a')));
}

TEST(DnsSuffixTest, FollowsThePartition) {
  EXPECT_EQ(dns_suffix("eu-central-1"), "amazonaws.com");
  EXPECT_EQ(dns_suffix("us-gov-west-1"), "amazonaws.com");
  EXPECT_EQ(dns_suffix("cn-north-1"), "amazonaws.com.cn");
  EXPECT_EQ(dns_suffix("us-iso-east-1"), "c2s.ic.gov");
  EXPECT_EQ(dns_suffix("us-isob-east-1"), "sc2s.sgov.gov");
}

}  // namespace
}  // namespace colloquy::aws
