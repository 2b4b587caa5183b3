#include "auth/verification_key.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "auth/base64url.h"
#include "auth/test_keys.h"

namespace colloquy::auth {
namespace {

using testing::ec_key;
using testing::ed_key;
using testing::error_of;
using testing::rsa_key;
using testing::SigningKey;

std::string member(const SigningKey& key, const char* name) {
  const auto jwk = key.jwk("k");
  const auto& text = jwk.at(name).as_string();
  return *base64url_decode({text.data(), text.size()});
}

VerificationKey public_rsa() {
  return VerificationKey::rsa(member(rsa_key(), "n"), member(rsa_key(), "e"));
}
VerificationKey public_ec() {
  return VerificationKey::ec_p256(member(ec_key(), "x"), member(ec_key(), "y"));
}
VerificationKey public_ed() { return VerificationKey::ed25519(member(ed_key(), "x")); }

const std::string kSecret(32, 's');

struct Case {
  Algorithm algorithm;
  VerificationKey key;
  std::string signature;  // of "text"
};

std::vector<Case> all_cases() {
  return {{Algorithm::kHs256, VerificationKey::hmac(kSecret), hmac_sha256(kSecret, "text")},
          {Algorithm::kRs256, public_rsa(), rsa_key().sign("RS256", "text")},
          {Algorithm::kPs256, public_rsa(), rsa_key().sign("PS256", "text")},
          {Algorithm::kEs256, public_ec(), ec_key().sign("ES256", "text")},
          {Algorithm::kEdDsa, public_ed(), ed_key().sign("EdDSA", "text")}};
}

TEST(VerificationKeyTest, EachAlgorithmTakesItsOwnSignature) {
  for (const auto& c : all_cases()) {
    EXPECT_TRUE(c.key.verify(c.algorithm, "text", c.signature)) << algorithm_name(c.algorithm);
  }
}

TEST(VerificationKeyTest, NoAlgorithmTakesTheSignatureOfAnother) {
  for (const auto& c : all_cases()) {
    for (const auto& other : all_cases()) {
      if (c.algorithm == other.algorithm) continue;
      EXPECT_FALSE(c.key.verify(c.algorithm, "text", other.signature));
      EXPECT_FALSE(c.key.verify(other.algorithm, "text", c.signature));
      // Only the RSA key is good for two.
      EXPECT_EQ(c.key.verify(other.algorithm, "text", other.signature),
                c.key.fits(other.algorithm));
    }
  }
}

TEST(VerificationKeyTest, EveryChangedBitAndEveryOtherLengthIsRefused) {
  for (const auto& c : all_cases()) {
    EXPECT_FALSE(c.key.verify(c.algorithm, "texu", c.signature));
    EXPECT_FALSE(c.key.verify(c.algorithm, "", c.signature));
    for (std::size_t i = 0; i < c.signature.size(); i += 7) {
      std::string changed = c.signature;
      changed[i] = static_cast<char>(changed[i] ^ (1 << (i % 8)));
      EXPECT_FALSE(c.key.verify(c.algorithm, "text", changed)) << algorithm_name(c.algorithm);
    }
    EXPECT_FALSE(c.key.verify(c.algorithm, "text", ""));
    EXPECT_FALSE(c.key.verify(c.algorithm, "text", c.signature.substr(1)));
    EXPECT_FALSE(c.key.verify(c.algorithm, "text", c.signature.substr(0, c.signature.size() - 1)));
    EXPECT_FALSE(c.key.verify(c.algorithm, "text", c.signature + '\0'));
    EXPECT_FALSE(c.key.verify(c.algorithm, "text", c.signature + c.signature));
    EXPECT_FALSE(c.key.verify(c.algorithm, "text", std::string(c.signature.size(), '\0')));
  }
}

TEST(VerificationKeyTest, Ps256RefusesASignatureWithoutItsLeadingZero) {
  std::string signature;
  do signature = rsa_key().sign("PS256", "text");  // salted: one of 256 begins with a zero
  while (signature.front() != '\0');
  EXPECT_TRUE(public_rsa().verify(Algorithm::kPs256, "text", signature));
  EXPECT_FALSE(public_rsa().verify(Algorithm::kPs256, "text", signature.substr(1)));
}

TEST(VerificationKeyTest, Es256RefusesTheDerForm) {
  EXPECT_FALSE(public_ec().verify(Algorithm::kEs256, "text", ec_key().sign_der("text")));
}

TEST(VerificationKeyTest, Es256VerifiesTheExampleOfRfc7515) {
  // Appendix A.3.
  const auto key =
      VerificationKey::ec_p256(*base64url_decode("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"),
                               *base64url_decode("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"));
  EXPECT_TRUE(key.verify(
      Algorithm::kEs256,
      "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmN"
      "vbS9pc19yb290Ijp0cnVlfQ",
      *base64url_decode(
          "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqP"
          "P3-Kg6NU1Q")));
}

TEST(VerificationKeyTest, Ed25519VerifiesTheExampleOfRfc8037) {
  // Appendix A.4.
  const auto key =
      VerificationKey::ed25519(*base64url_decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"));
  EXPECT_TRUE(
      key.verify(Algorithm::kEdDsa, "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
                 *base64url_decode(
                     "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvp"
                     "Ar_MuM0KAg")));
}

TEST(VerificationKeyTest, RefusesKeysThatAreWeakOrMalformed) {
  const auto small = SigningKey::rsa(1024);
  const std::string n = member(rsa_key(), "n");
  EXPECT_EQ(error_of([&] { VerificationKey::rsa(member(small, "n"), member(small, "e")); }),
            ErrorCode::kInvalid);
  EXPECT_EQ(error_of([&] { VerificationKey::rsa(n, std::string("\x01", 1)); }),
            ErrorCode::kInvalid);
  EXPECT_EQ(error_of([&] { VerificationKey::rsa(n, std::string("\x04", 1)); }),
            ErrorCode::kInvalid);
  EXPECT_EQ(error_of([&] { VerificationKey::rsa(n, ""); }), ErrorCode::kInvalid);
  EXPECT_EQ(error_of([&] { VerificationKey::rsa("", "\x03"); }), ErrorCode::kInvalid);
  EXPECT_EQ(error_of([&] { VerificationKey::rsa(std::string(2048, '\xff'), "\x03"); }),
            ErrorCode::kInvalid);
  EXPECT_EQ(error_of([&] { VerificationKey::hmac(std::string(31, 'x')); }), ErrorCode::kInvalid);
  EXPECT_EQ(error_of([&] { VerificationKey::ed25519(std::string(31, 'x')); }), ErrorCode::kInvalid);
  std::string y = member(ec_key(), "y");
  y[31] = static_cast<char>(y[31] ^ 1);
  EXPECT_EQ(error_of([&] { VerificationKey::ec_p256(member(ec_key(), "x"), y); }),
            ErrorCode::kInvalid);
  EXPECT_EQ(error_of([&] { VerificationKey::ec_p256(std::string(32, 0), std::string(32, 0)); }),
            ErrorCode::kInvalid);
  EXPECT_EQ(error_of([&] { VerificationKey::ec_p256(std::string(33, 1), y); }),
            ErrorCode::kInvalid);
}

TEST(VerificationKeyTest, AlgorithmNamesAreExact) {
  for (const auto* name : {"HS256", "RS256", "PS256", "ES256", "EdDSA"}) {
    ASSERT_TRUE(parse_algorithm(name).has_value()) << name;
    EXPECT_EQ(algorithm_name(*parse_algorithm(name)), name);
  }
  EXPECT_EQ(parse_algorithm("Ed25519"), Algorithm::kEdDsa);
  for (const auto* name : {"none", "None", "", "hs256", "HS512", "RS1", "ES256K", "RS256 "}) {
    EXPECT_EQ(parse_algorithm(name), std::nullopt) << name;
  }
}

}  // namespace
}  // namespace colloquy::auth
