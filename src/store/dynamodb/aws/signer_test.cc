#include "store/dynamodb/aws/signer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "store/dynamodb/aws/timestamp.h"

namespace colloquy::aws {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

const std::int64_t kTimeMs = parse_timestamp("2015-08-30T12:36:00Z").value();

// The key of AWS's published examples.
Credentials example_credentials() {
  return {"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "", std::nullopt};
}

std::string hex(const Digest& digest) {
  std::string text;
  for (const auto byte : digest) {
    text += "0123456789abcdef"[byte >> 4U];
    text += "0123456789abcdef"[byte & 15U];
  }
  return text;
}

std::string value_of(const std::vector<net::HeaderField>& fields, const std::string& name) {
  for (const auto& field : fields) {
    if (field.name == name) return field.value;
  }
  return "(none)";
}

std::string signature_of(const SigningRequest& request, const std::string& service = "service") {
  SigningKeys keys;
  const auto fields = sign(request, example_credentials(), {"us-east-1", service}, kTimeMs, keys);
  const std::string authorization = value_of(fields, "Authorization");
  return authorization.substr(authorization.find("Signature=") + 10);
}

SigningRequest example_request() {
  SigningRequest request;
  request.method = "GET";
  request.host = "example.amazonaws.com";
  return request;
}

TEST(HmacTest, AgreesWithRfc4231) {
  EXPECT_EQ(hex(HmacKey(std::string(20, '\x0b')).digest("Hi There")),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(hex(HmacKey("Jefe").digest("what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  const HmacKey longer_than_a_block(std::string(131, '\xaa'));
  const std::string text = "Test Using Larger Than Block-Size Key - Hash Key First";
  const std::string expected = "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54";
  EXPECT_EQ(hex(longer_than_a_block.digest(text)), expected);
  EXPECT_EQ(hex(longer_than_a_block.digest(text)), expected) << "the key is used up";
}

TEST(HmacTest, AnEmptyKeyIsAKey) {
  EXPECT_EQ(hex(HmacKey("").digest("")),
            "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

TEST(SignerTest, DerivesThePublishedSigningKey) {
  // "Create a signed AWS API request": the key itself signs, so its use is compared.
  SigningKeys keys;
  const auto key =
      keys.get(example_credentials().secret_access_key, "20150830", {"us-east-1", "iam"});
  const std::string string_to_sign =
      "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/iam/aws4_request\n"
      "f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59";
  EXPECT_EQ(hex(key->digest(string_to_sign)),
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7");
}

TEST(SignerTest, SignsThePublishedExampleOfIam) {
  const std::vector<net::HeaderField> headers{
      {"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}};
  SigningRequest request = example_request();
  request.host = "iam.amazonaws.com";
  request.query = "Action=ListUsers&Version=2010-05-08";
  request.headers = &headers;
  SigningKeys keys;
  const auto fields = sign(request, example_credentials(), {"us-east-1", "iam"}, kTimeMs, keys);
  ASSERT_EQ(fields.size(), 2U);
  EXPECT_EQ(value_of(fields, "X-Amz-Date"), "20150830T123600Z");
  EXPECT_EQ(value_of(fields, "Authorization"),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
            "SignedHeaders=content-type;host;x-amz-date, "
            "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7");
}

// From AWS's Signature Version 4 test suite, by the names it gives its cases.
TEST(SignerTest, SignsAsThePublishedTestSuite) {
  SigningRequest request = example_request();
  EXPECT_EQ(signature_of(request),
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31")
      << "get-vanilla";
  request.method = "POST";
  EXPECT_EQ(signature_of(request),
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b")
      << "post-vanilla";
  request = example_request();
  request.query = "Param2=value2&Param1=value1";
  EXPECT_EQ(signature_of(request),
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500")
      << "get-vanilla-query-order-key-case";
  request.query = "\xE1\x88\xB4=bar";
  EXPECT_EQ(signature_of(request),
            "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04")
      << "get-vanilla-utf8-query";
  request = example_request();
  const std::vector<net::HeaderField> spaced{{"My-Header1", " value1"},
                                             {"My-Header2", " \"a   b   c\""}};
  request.headers = &spaced;
  EXPECT_EQ(signature_of(request),
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736")
      << "get-header-value-trim";
  const std::vector<net::HeaderField> form{{"Content-Type", "application/x-www-form-urlencoded"}};
  request = example_request();
  request.method = "POST";
  request.headers = &form;
  request.body = "Param1=value1";
  EXPECT_EQ(signature_of(request),
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a")
      << "post-x-www-form-urlencoded";
}

TEST(SignerTest, AGivenHashStandsForTheBody) {
  SigningRequest with_body = example_request();
  with_body.body = "abc";
  SigningRequest with_hash = example_request();
  with_hash.body_sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  EXPECT_EQ(signature_of(with_body), signature_of(with_hash));
}

TEST(SignerTest, TheSessionTokenIsAddedAndSigned) {
  SigningKeys keys;
  Credentials credentials = example_credentials();
  credentials.session_token = "a+token/==";
  const auto fields =
      sign(example_request(), credentials, {"us-east-1", "dynamodb"}, kTimeMs, keys);
  EXPECT_EQ(value_of(fields, "X-Amz-Security-Token"), "a+token/==");
  EXPECT_THAT(value_of(fields, "Authorization"),
              HasSubstr("SignedHeaders=host;x-amz-date;x-amz-security-token,"));
}

TEST(SignerTest, AFieldOfTheSignersOwnIsRefused) {
  SigningKeys keys;
  for (const auto* name : {"Host", "X-AMZ-DATE", "x-amz-security-token", "Authorization"}) {
    const std::vector<net::HeaderField> headers{{name, "x"}};
    SigningRequest request = example_request();
    request.headers = &headers;
    EXPECT_THROW(sign(request, example_credentials(), {"a", "b"}, kTimeMs, keys), Error) << name;
  }
}

TEST(SignerTest, EachSecretDayRegionAndServiceHasItsKey) {
  SigningKeys keys;
  const auto key = keys.get("secret", "20150830", {"r", "s"});
  EXPECT_EQ(keys.get("secret", "20150830", {"r", "s"}), key);
  EXPECT_NE(hex(keys.get("secret2", "20150830", {"r", "s"})->digest("")), hex(key->digest("")));
  EXPECT_NE(hex(keys.get("secret", "20150831", {"r", "s"})->digest("")), hex(key->digest("")));
  EXPECT_NE(hex(keys.get("secret", "20150830", {"r2", "s"})->digest("")), hex(key->digest("")));
  EXPECT_NE(hex(keys.get("secret", "20150830", {"r", "s2"})->digest("")), hex(key->digest("")));
  for (int day = 0; day < 50; ++day) keys.get("secret", std::to_string(day), {"r", "s"});
  EXPECT_EQ(hex(keys.get("secret", "20150830", {"r", "s"})->digest("")), hex(key->digest("")));
}

TEST(SignerTest, ManyThreadsSignWithOneCache) {
  SigningKeys keys;
  const std::string expected = signature_of(example_request());
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&keys, &expected] {
      for (int day = 0; day < 200; ++day) {
        sign(example_request(), example_credentials(), {"us-east-1", "service"},
             kTimeMs + day * 86'400'000LL, keys);
        const auto fields =
            sign(example_request(), example_credentials(), {"us-east-1", "service"}, kTimeMs, keys);
        EXPECT_THAT(value_of(fields, "Authorization"), EndsWith(expected));
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

TEST(TimestampTest, ReadsWhatAwsWrites) {
  EXPECT_EQ(parse_timestamp("1970-01-01T00:00:00Z"), 0);
  EXPECT_EQ(parse_timestamp("2015-08-30T12:36:00Z"), 1'440'938'160'000);
  EXPECT_EQ(parse_timestamp("2015-08-30T12:36:00.1239Z"), 1'440'938'160'123);
  EXPECT_EQ(parse_timestamp("2015-08-30T12:36:00.5Z"), 1'440'938'160'500);
  EXPECT_EQ(parse_timestamp("2015-08-30T14:36:00+02:00"), 1'440'938'160'000);
  EXPECT_EQ(parse_timestamp("2015-08-30T07:06:00-05:30"), 1'440'938'160'000);
  EXPECT_EQ(parse_timestamp("2016-02-29T00:00:00Z"), 1'456'704'000'000);
}

TEST(TimestampTest, RefusesWhatIsNoTime) {
  for (const auto* text : {"", "2015", "2015-08-30", "2015-08-30T12:36:00", "2015-08-30 12:36:00Z",
                           "2015-02-29T00:00:00Z", "2015-13-01T00:00:00Z", "2015-01-01T24:00:00Z",
                           "2015-01-01T00:60:00Z", "2015-01-01T00:00:00.Z", "2015-01-01T00:00:00Zx",
                           "2015-01-01T00:00:00+0200", "-015-01-01T00:00:00Z", "1440938160"}) {
    EXPECT_FALSE(parse_timestamp(text)) << text;
  }
}

TEST(TimestampTest, WritesTheBasicForm) {
  EXPECT_EQ(basic_timestamp(0), "19700101T000000Z");
  EXPECT_EQ(basic_timestamp(1'440'938'160'999), "20150830T123600Z");
  EXPECT_EQ(basic_timestamp(4'102'444'799'000), "20991231T235959Z");
}

}  // namespace
}  // namespace colloquy::aws
