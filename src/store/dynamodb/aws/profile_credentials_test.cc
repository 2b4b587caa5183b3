#include "store/dynamodb/aws/profile_credentials.h"

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

class ProfileTest : public testing::ProviderTest {
 protected:
  ProfileTest() { variables["HOME"] = "/home/me"; }
  void config(const std::string& text) { files["/home/me/.aws/config"] = text; }
  void credentials_file(const std::string& text) { files["/home/me/.aws/credentials"] = text; }
  void profile(const std::string& name) { variables["AWS_PROFILE"] = name; }
  Credentials find() { return get(ProfileCredentials(context())); }
  Failure failure() { return failure_of(ProfileCredentials(context())); }
};

std::string keys(const std::string& id) {
  return "aws_access_key_id = " + id + "\naws_secret_access_key = " + kSecretKey + "\n";
}

std::string role_answer(const std::string& action, const std::string& key_id) {
  return response(
      200, "<" + action + "Response><" + action + "Result><Credentials><AccessKeyId>" + key_id +
               "</AccessKeyId><SecretAccessKey>role-secret</SecretAccessKey>"
               "<SessionToken>t</SessionToken><Expiration>2026-09-21T15:13:20Z</Expiration>"
               "</Credentials></" +
               action + "Result></" + action + "Response>");
}

TEST_F(ProfileTest, TakesTheKeysOfTheDefaultProfile) {
  credentials_file("[default]\n" + keys("AKID") + "aws_session_token = abc==\n");
  const Credentials credentials = find();
  EXPECT_EQ(credentials.access_key_id, "AKID");
  EXPECT_EQ(credentials.secret_access_key, kSecretKey);
  EXPECT_EQ(credentials.session_token, "abc==");
  EXPECT_EQ(credentials.expires_at_ms, std::nullopt);
}

TEST_F(ProfileTest, TheFilesAreWhereTheVariablesSay) {
  variables["AWS_CONFIG_FILE"] = "~/c";
  variables["AWS_SHARED_CREDENTIALS_FILE"] = "/etc/k";
  profile("work");
  files["/home/me/c"] = "[profile work]\naws_access_key_id = FROMCONFIG\n";
  files["/etc/k"] = "[work]\n" + keys("AKID");
  EXPECT_EQ(find().access_key_id, "AKID") << "the credentials file comes first";
  files["/etc/k"] = "[work]\naws_secret_access_key = s\n";
  EXPECT_EQ(find().access_key_id, "FROMCONFIG");
}

TEST_F(ProfileTest, ReadsTheFilesAsTheSdksDo) {
  config(
      "\xEF\xBB\xBF# a comment\r\n; another\r\n\r\n[ profile  work ] ; here too\r\n"
      "AWS_Access_Key_Id=AKID # the key\r\n s3 =\r\n   max = 1\r\n  aws_access_key_id = NESTED\r\n"
      "aws_secret_access_key\t=\ta#b;c=d\r\n[profile \"two words\"]\naws_access_key_id=TWO\n"
      "aws_secret_access_key=s\n[work]\naws_access_key_id=NOPROFILE\n[sso-session work]\nx = y\n"
      "[profilework]\naws_access_key_id=NEITHER\n");
  profile("work");
  EXPECT_EQ(find().access_key_id, "AKID");
  EXPECT_EQ(find().secret_access_key, "a#b;c=d");
  profile("two words");
  EXPECT_EQ(find().access_key_id, "TWO");
  credentials_file("[all-indented]\n  aws_access_key_id = IN\n  aws_secret_access_key = s\n");
  profile("all-indented");
  EXPECT_EQ(find().access_key_id, "IN");
}

TEST_F(ProfileTest, AMalformedFileIsNamedWithItsLineAndNothingElse) {
  for (const auto* text :
       {"\n\nCONFIDENTIAL\n", "[default]\n\nCONFIDENTIAL", "\n\n[CONFIDENTIAL",
        "\n\na = CONFIDENTIAL", "\n[default]\n= CONFIDENTIAL", "\n\n[default] CONFIDENTIAL"}) {
    credentials_file(text);
    EXPECT_THAT(failure().detail, StartsWith("profile: file /home/me/.aws/credentials: line 3 "))
        << text;
  }
}

TEST_F(ProfileTest, AnUnreadableFileIsAFailure) {
  ProviderContext unreadable = context();
  unreadable.environment.file = Environment::of_process().file;
  variables["AWS_CONFIG_FILE"] = "/proc";
  EXPECT_EQ(failure_of(ProfileCredentials(unreadable)).detail,
            "profile: The file /proc cannot be read: it is not a regular file.");
}

TEST_F(ProfileTest, WithoutFilesItIsNotSetUp) {
  EXPECT_TRUE(failure().none);
  variables.erase("HOME");
  EXPECT_TRUE(failure().none);
  variables["HOME"] = "/home/me";
  config("[default]\nregion = eu-west-1\n");
  EXPECT_TRUE(failure().none);
}

TEST_F(ProfileTest, AProfileThatIsAskedForAndNotThereIsAFailure) {
  config("[default]\n" + keys("AKID"));
  profile("other");
  const auto missing = failure();
  EXPECT_FALSE(missing.none);
  EXPECT_EQ(missing.detail, "profile other: there is no such profile");
}

TEST_F(ProfileTest, HalfAKeyIsAFailure) {
  credentials_file("[default]\naws_access_key_id = AKID\n");
  EXPECT_EQ(failure().detail, "profile default: the secret access key is missing");
  credentials_file("[default]\naws_secret_access_key = CONFIDENTIAL\n");
  EXPECT_EQ(failure().detail, "profile default: the access key id is missing");
}

TEST_F(ProfileTest, WhatIsNotSupportedIsSaid) {
  for (const auto* name : {"credential_process", "sso_session", "sso_start_url"}) {
    config(std::string("[default]\n") + name + " = CONFIDENTIAL\n");
    EXPECT_EQ(failure().detail, std::string("profile default: `") + name + "` is not supported");
    EXPECT_FALSE(failure().none);
  }
  config("[default]\nrole_arn = a\nsource_profile = b\nmfa_serial = m\n[profile b]\n" +
         keys("AKID"));
  EXPECT_EQ(failure().detail, "profile default: `mfa_serial` is not supported");
}

TEST_F(ProfileTest, ARoleIsTakenOnWithTheKeysOfAnotherProfile) {
  ScriptedServer sts(answer_with(role_answer("AssumeRole", "ASIA1")));
  variables["AWS_ENDPOINT_URL_STS"] = sts.url("");
  config(
      "[default]\nregion = eu-west-1\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = base\n"
      "role_session_name = me\nexternal_id = x/1\nduration_seconds = 900\n[profile base]\n" +
      keys("AKIDBASE"));
  const Credentials credentials = find();
  EXPECT_EQ(credentials.access_key_id, "ASIA1");
  EXPECT_EQ(credentials.secret_access_key, "role-secret");
  EXPECT_TRUE(credentials.expires_at_ms);
  const auto request = sts.requests().at(0);
  EXPECT_EQ(request.body,
            "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr&"
            "RoleSessionName=me&DurationSeconds=900&ExternalId=x%2F1");
  EXPECT_THAT(
      *request.header("Authorization"),
      StartsWith("AWS4-HMAC-SHA256 Credential=AKIDBASE/20260921/eu-west-1/sts/aws4_request, "
                 "SignedHeaders=content-type;host;x-amz-date, Signature="));
}

TEST_F(ProfileTest, RolesMayBeChained) {
  ScriptedServer sts([n = std::make_shared<std::atomic<int>>(0)](net::testing::Peer& peer) {
    while (peer.read_request()) peer.send(role_answer("AssumeRole", "ASIA" + std::to_string(++*n)));
  });
  variables["AWS_ENDPOINT_URL"] = sts.url("");
  config(
      "[default]\nrole_arn = outer\nsource_profile = middle\n[profile middle]\nrole_arn = inner\n"
      "source_profile = middle\n" +
      keys("AKIDBASE"));
  EXPECT_EQ(find().access_key_id, "ASIA2");
  const auto requests = sts.requests();
  EXPECT_THAT(requests.at(0).body, HasSubstr("RoleArn=inner"));
  EXPECT_THAT(*requests.at(0).header("Authorization"), HasSubstr("Credential=AKIDBASE/"));
  EXPECT_THAT(requests.at(1).body, HasSubstr("RoleArn=outer"));
  EXPECT_THAT(*requests.at(1).header("Authorization"), HasSubstr("Credential=ASIA1/"));
  EXPECT_EQ(requests.at(1).header("X-Amz-Security-Token"), "t");
}

TEST_F(ProfileTest, ACircleOfProfilesIsAFailure) {
  config(
      "[default]\nrole_arn=a\nsource_profile=b\n[profile b]\nrole_arn=b\nsource_profile=default\n");
  EXPECT_THAT(failure().detail, HasSubstr("`source_profile` leads back to it"));
  config("[default]\nrole_arn=a\nsource_profile=default\n");
  EXPECT_THAT(failure().detail, HasSubstr("`source_profile` leads back to it"));
  config("[default]\nrole_arn=a\nsource_profile=nowhere\n");
  EXPECT_EQ(failure().detail, "profile nowhere: there is no such profile");
  config("[default]\nrole_arn=a\n");
  EXPECT_THAT(failure().detail, HasSubstr("`role_arn` needs"));
}

TEST_F(ProfileTest, ARoleIsTakenOnWithAWebIdentity) {
  ScriptedServer sts(answer_with(role_answer("AssumeRoleWithWebIdentity", "ASIA1")));
  variables["AWS_ENDPOINT_URL_STS"] = sts.url("");
  files["/token"] = kSecretToken;
  config("[default]\nrole_arn = r\nweb_identity_token_file = /token\n");
  EXPECT_EQ(find().access_key_id, "ASIA1");
  EXPECT_THAT(sts.requests().at(0).body, HasSubstr("WebIdentityToken=" + kSecretToken));
  files.clear();
  config("[default]\nrole_arn = r\nweb_identity_token_file = /token\n");
  EXPECT_EQ(failure().detail, "profile default: the file of web_identity_token_file is not there");
}

TEST_F(ProfileTest, ARoleIsTakenOnWithAnotherProvider) {
  ScriptedServer sts(answer_with(role_answer("AssumeRole", "ASIA1")));
  variables["AWS_ENDPOINT_URL_STS"] = sts.url("");
  config("[default]\nrole_arn = r\ncredential_source = Environment\n");
  EXPECT_THAT(failure().detail,
              StartsWith("profile default: its `credential_source` failed: environment: "));
  EXPECT_FALSE(failure().none);
  variables["AWS_ACCESS_KEY_ID"] = "AKIDENV";
  variables["AWS_SECRET_ACCESS_KEY"] = kSecretKey;
  EXPECT_EQ(find().access_key_id, "ASIA1");
  EXPECT_THAT(*sts.requests().at(0).header("Authorization"), HasSubstr("Credential=AKIDENV/"));

  ScriptedServer container(
      answer_with(response(200, R"({"AccessKeyId":"ASIAC","SecretAccessKey":"s"})")));
  variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = container.url();
  config("[default]\nrole_arn = r\ncredential_source = EcsContainer\n");
  EXPECT_EQ(find().access_key_id, "ASIA1");
  EXPECT_THAT(*sts.requests().at(1).header("Authorization"), HasSubstr("Credential=ASIAC/"));
  config("[default]\nrole_arn = r\ncredential_source = Anything\n");
  EXPECT_THAT(failure().detail, HasSubstr("is none of"));
}

TEST_F(ProfileTest, WhateverStsDoesIsAFailureThatSaysNoSecret) {
  config("[default]\nrole_arn = r\nsource_profile = base\n[profile base]\n" + keys("AKID") +
         "aws_session_token = " + kSecretToken + "\n");
  for (const auto& bad : testing::bad_answers()) {
    SCOPED_TRACE(bad.name);
    ScriptedServer sts(bad.script);
    variables["AWS_ENDPOINT_URL_STS"] = sts.url("");
    EXPECT_THAT(failure().detail, StartsWith("profile default: "));
  }
}

}  // namespace
}  // namespace colloquy::aws
