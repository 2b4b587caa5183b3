#include "auth/jwks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <string>

#include "auth/test_keys.h"

namespace colloquy::auth {
namespace {

using testing::ec_key;
using testing::ed_key;
using testing::error_of;
using ::testing::HasSubstr;
using testing::make_key_set;
using testing::rsa_key;
using testing::SigningKey;

boost::json::object with(boost::json::object key, const char* name, boost::json::value value) {
  key[name] = std::move(value);
  return key;
}

std::size_t usable(const boost::json::object& key) {
  return JwkSet::parse(make_key_set({key})).keys().size();
}

TEST(JwksTest, FindsKeysByIdAndAlgorithm) {
  const auto set =
      JwkSet::parse(make_key_set({rsa_key().jwk("r"), ec_key().jwk("e"), ed_key().jwk("d")}));
  EXPECT_EQ(set.keys().size(), 3U);
  EXPECT_EQ(set.candidates(Algorithm::kRs256, "r").size(), 1U);
  EXPECT_EQ(set.candidates(Algorithm::kPs256, "r").size(), 1U);
  EXPECT_EQ(set.candidates(Algorithm::kEs256, "e").size(), 1U);
  EXPECT_EQ(set.candidates(Algorithm::kEdDsa, "d").size(), 1U);
  EXPECT_EQ(set.candidates(Algorithm::kEs256, "r").size(), 0U);
  EXPECT_EQ(set.candidates(Algorithm::kRs256, "R").size(), 0U);
  EXPECT_EQ(set.candidates(Algorithm::kHs256, "r").size(), 0U);
  EXPECT_EQ(set.candidates(Algorithm::kHs256, std::nullopt).size(), 0U);
  EXPECT_EQ(set.candidates(Algorithm::kEs256, std::nullopt).size(), 1U);
}

TEST(JwksTest, AKeyOfOneAlgorithmServesNoOther) {
  const auto set = JwkSet::parse(make_key_set({with(rsa_key().jwk("r"), "alg", "RS256")}));
  EXPECT_EQ(set.candidates(Algorithm::kRs256, "r").size(), 1U);
  EXPECT_EQ(set.candidates(Algorithm::kPs256, "r").size(), 0U);
}

TEST(JwksTest, LeavesOutKeysThatAreNotForVerifying) {
  const auto key = rsa_key().jwk("r");
  EXPECT_EQ(usable(with(key, "use", "sig")), 1U);
  EXPECT_EQ(usable(with(key, "use", "enc")), 0U);
  EXPECT_EQ(usable(with(key, "key_ops", boost::json::array{"sign", "verify"})), 1U);
  EXPECT_EQ(usable(with(key, "key_ops", boost::json::array{"encrypt"})), 0U);
  EXPECT_EQ(usable(with(key, "key_ops", boost::json::array{})), 0U);
  EXPECT_EQ(usable(with(key, "key_ops", "verify")), 0U);
  EXPECT_EQ(usable(with(key, "alg", "RSA-OAEP")), 0U);
  EXPECT_EQ(usable(with(key, "alg", "ES256")), 0U);
  EXPECT_EQ(usable(with(key, "alg", "HS256")), 0U);
  EXPECT_EQ(usable(with(key, "alg", 1)), 0U);
  EXPECT_EQ(usable(with(key, "kid", 1)), 0U);
  EXPECT_EQ(usable(with(key, "d", "AQAB")), 0U);
  EXPECT_EQ(usable(with(key, "kty", "oct")), 0U);
  EXPECT_EQ(usable(with(key, "kty", "XYZ")), 0U);
  EXPECT_EQ(usable(with(key, "n", "AQAB==")), 0U);
  EXPECT_EQ(usable(with(ec_key().jwk("e"), "crv", "P-521")), 0U);
  EXPECT_EQ(usable(with(ed_key().jwk("d"), "crv", "X25519")), 0U);
  EXPECT_EQ(usable(SigningKey::rsa(1024).jwk("weak")), 0U);
}

TEST(JwksTest, SaysWhichKeysItLeftOutAndWhyAndKeepsTheOthers) {
  const auto set =
      JwkSet::parse(make_key_set({SigningKey::rsa(1024).jwk("weak"), ec_key().jwk("e")}));
  EXPECT_EQ(set.keys().size(), 1U);
  ASSERT_EQ(set.skipped().size(), 1U);
  EXPECT_THAT(set.skipped()[0], HasSubstr("weak"));
  EXPECT_THAT(set.skipped()[0], HasSubstr("2048"));
}

TEST(JwksTest, OneTokenTriesFewKeysAtMost) {
  std::string text = R"({"keys":[)";
  const std::string one = boost::json::serialize(ec_key().jwk("same"));
  for (int i = 0; i < 50; ++i) text += (i > 0 ? "," : "") + one;
  const auto set = JwkSet::parse(text + "]}");
  EXPECT_EQ(set.keys().size(), 50U);
  EXPECT_EQ(set.candidates(Algorithm::kEs256, "same").size(), 8U);
}

TEST(JwksTest, RefusesWhatIsNoKeySet) {
  for (const auto* text : {"", "[]", "{}", R"({"keys":{}})", "<html></html>", R"({"keys":[]}x)",
                           R"({"keys":[],"keys":[]})"}) {
    EXPECT_EQ(error_of([&] { JwkSet::parse(text); }), ErrorCode::kMalformed) << text;
  }
  EXPECT_EQ(JwkSet::parse(R"({"keys":[]})").keys().size(), 0U);
  EXPECT_EQ(JwkSet::parse(R"({"keys":[1,null,"x",[]]})").skipped().size(), 4U);
  EXPECT_EQ(error_of([&] { JwkSet::parse(std::string(kKeySetBytesMax + 1, ' ')); }),
            ErrorCode::kMalformed);
}

}  // namespace
}  // namespace colloquy::auth
