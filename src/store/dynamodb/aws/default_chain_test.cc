#include "store/dynamodb/aws/default_chain.h"

#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "store/dynamodb/aws/environment_credentials.h"
#include "store/dynamodb/aws/provider_harness.h"

namespace colloquy::aws {
namespace {

using net::testing::answer_with;
using net::testing::response;
using net::testing::ScriptedServer;
using ::testing::HasSubstr;
using testing::kSecretKey;
using testing::kSecretToken;
using ::testing::StartsWith;

class ChainTest : public testing::ProviderTest {
 protected:
  ChainTest() { variables["AWS_EC2_METADATA_DISABLED"] = "true"; }
  Credentials find() { return get(*make_default_chain(context())); }
  Failure failure() { return failure_of(*make_default_chain(context())); }
};

TEST_F(ChainTest, TheEnvironmentsKeysComeFirst) {
  variables["AWS_ACCESS_KEY_ID"] = "AKID";
  variables["AWS_SECRET_ACCESS_KEY"] = kSecretKey;
  variables["AWS_SESSION_TOKEN"] = "t";
  variables["AWS_WEB_IDENTITY_TOKEN_FILE"] = "/nowhere";
  const Credentials credentials = find();
  EXPECT_EQ(credentials.access_key_id, "AKID");
  EXPECT_EQ(credentials.secret_access_key, kSecretKey);
  EXPECT_EQ(credentials.session_token, "t");
  EXPECT_EQ(credentials.expires_at_ms, std::nullopt);
}

TEST_F(ChainTest, HalfAKeyInTheEnvironmentIsAFailure) {
  variables["AWS_ACCESS_KEY_ID"] = "AKID";
  EXPECT_EQ(failure().detail, "environment: AWS_SECRET_ACCESS_KEY is not set");
  variables = {{"AWS_SECRET_ACCESS_KEY", kSecretKey}, {"AWS_ACCESS_KEY_ID", ""}};
  EXPECT_EQ(failure().detail, "environment: AWS_ACCESS_KEY_ID is not set");
  variables = {{"AWS_SECRET_ACCESS_KEY", "CONFIDENTIAL\n"}, {"AWS_ACCESS_KEY_ID", "AKID"}};
  EXPECT_THAT(failure().detail, StartsWith("environment: the secret access key has a space"));
}

TEST_F(ChainTest, EachProviderIsAskedInTheSdksOrder) {
  // From the last to the first: each one put in front of those before wins.
  ScriptedServer container(
      answer_with(response(200, R"({"AccessKeyId":"CONTAINER","SecretAccessKey":"s"})")));
  variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = container.url();
  EXPECT_EQ(find().access_key_id, "CONTAINER");
  variables["HOME"] = "/home/me";
  files["/home/me/.aws/credentials"] =
      "[default]\naws_access_key_id=PROFILE\naws_secret_access_key=s\n";
  EXPECT_EQ(find().access_key_id, "PROFILE");
  ScriptedServer sts(answer_with(
      response(200,
               "<R><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>WEB</AccessKeyId>"
               "<SecretAccessKey>s</SecretAccessKey><Expiration>2030-01-01T00:00:00Z</Expiration>"
               "</Credentials></AssumeRoleWithWebIdentityResult></R>")));
  variables["AWS_ENDPOINT_URL_STS"] = sts.url();
  variables["AWS_WEB_IDENTITY_TOKEN_FILE"] = "/token";
  variables["AWS_ROLE_ARN"] = "r";
  files["/token"] = kSecretToken;
  EXPECT_EQ(find().access_key_id, "WEB");
  variables["AWS_ACCESS_KEY_ID"] = "ENVIRONMENT";
  variables["AWS_SECRET_ACCESS_KEY"] = "s";
  EXPECT_EQ(find().access_key_id, "ENVIRONMENT");
}

TEST_F(ChainTest, AProviderThatFailsEndsTheSearch) {
  variables["HOME"] = "/home/me";
  files["/home/me/.aws/credentials"] =
      "[default]\naws_access_key_id=PROFILE\naws_secret_access_key=s\n";
  variables["AWS_WEB_IDENTITY_TOKEN_FILE"] = "/nowhere";
  variables["AWS_ROLE_ARN"] = "r";
  const auto failed = failure();
  EXPECT_FALSE(failed.none);
  EXPECT_THAT(failed.detail, StartsWith("web identity: "));
}

TEST_F(ChainTest, WhereThereAreNoneTheErrorListsWhatWasTried) {
  const auto failed = failure();
  EXPECT_TRUE(failed.none);
  EXPECT_EQ(
      failed.detail,
      "no AWS credentials were found: tried environment: AWS_ACCESS_KEY_ID and "
      "AWS_SECRET_ACCESS_KEY are not set; web identity: AWS_WEB_IDENTITY_TOKEN_FILE is not set; "
      "profile: there is no profile default; container: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI "
      "and AWS_CONTAINER_CREDENTIALS_FULL_URI are not set; instance metadata: "
      "AWS_EC2_METADATA_DISABLED is set");
}

TEST(EnvironmentTest, ReadsTheProcesssVariablesAndFiles) {
  const Environment environment = Environment::of_process();
  ::setenv("COLLOQUY_AWS_TEST", "", 1);
  EXPECT_EQ(environment.variable("COLLOQUY_AWS_TEST"), "");
  EXPECT_EQ(environment.get("COLLOQUY_AWS_TEST"), std::nullopt);
  EXPECT_EQ(environment.variable("COLLOQUY_AWS_TEST_UNSET"), std::nullopt);

  const std::string path = ::testing::TempDir() + "colloquy_aws_file_" + std::to_string(::getpid());
  EXPECT_EQ(environment.file(path), std::nullopt);
  std::ofstream(path) << "content\n";
  EXPECT_EQ(environment.file(path), "content\n");
  std::ofstream(path) << std::string(kFileBytesMax + 1, 'x');
  EXPECT_THROW(environment.file(path), Error);
  std::remove(path.c_str());
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_THROW(environment.file(path), Error) << "a pipe must not hold the caller up";
  std::remove(path.c_str());
}

}  // namespace
}  // namespace colloquy::aws
