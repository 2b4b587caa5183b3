#include "auth/token_key.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <string>
#include <thread>

#include "auth/base64url.h"
#include "auth/jwt.h"
#include "auth/test_keys.h"
#include "auth/verification_key.h"

namespace colloquy::auth {
namespace {

namespace fs = std::filesystem;
using testing::error_of;

class TokenKeyTest : public ::testing::Test {
 protected:
  TokenKeyTest() {
    std::string pattern = (fs::temp_directory_path() / "token_key_test.XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~TokenKeyTest() override { fs::remove_all(folder_); }

  fs::path write(const std::string& name, const std::string& text, mode_t mode = 0600) const {
    fs::path path = folder_ / name;
    std::ofstream(path, std::ios::binary) << text;
    ::chmod(path.c_str(), mode);
    return path;
  }
  static TokenKey load_file(const fs::path& path) { return load_token_key({.file = path}); }
  TokenKey load_own(bool create = true) const {
    return load_token_key({.data_folder = folder_ / "data", .create_if_missing = create});
  }

  fs::path folder_;
};

TEST_F(TokenKeyTest, IsMadeOnceWithModeSixHundred) {
  const TokenKey made = load_own();
  EXPECT_EQ(base64url_decode(made.secret).value_or("").size(), 32U);
  EXPECT_EQ(made.warning, "");
  const fs::path path = folder_ / "data" / "token.key";
  EXPECT_EQ(fs::status(path).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_TRUE(made.made);
  EXPECT_EQ(load_own().secret, made.secret);
  EXPECT_FALSE(load_own().made);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_ / "data"), fs::directory_iterator()), 1);
}

TEST_F(TokenKeyTest, IsNotMadeWhereThatIsNotAsked) {
  EXPECT_EQ(error_of([&] { load_own(false); }), ErrorCode::kNotFound);
  EXPECT_FALSE(fs::exists(folder_ / "data"));
}

TEST_F(TokenKeyTest, ManyWhoMakeItAtOnceGetTheSame) {
  std::vector<std::string> secrets(8);
  {
    std::vector<std::jthread> threads;
    threads.reserve(secrets.size());
    for (auto& secret : secrets) threads.emplace_back([&] { secret = load_own().secret; });
  }
  EXPECT_EQ(std::set<std::string>(secrets.begin(), secrets.end()).size(), 1U);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_ / "data"), fs::directory_iterator()), 1);
}

TEST_F(TokenKeyTest, OfAFileIsItsTextWithoutTheLineEnd) {
  const std::string text(40, 'k');
  EXPECT_EQ(load_file(write("a", text)).secret, text);
  EXPECT_EQ(load_file(write("b", text + "\n")).secret, text);
  EXPECT_EQ(load_file(write("c", text + "\r\n")).secret, text);
  EXPECT_EQ(load_file(write("d", " " + text)).secret, " " + text);
}

TEST_F(TokenKeyTest, OfTheEnvironmentIsTakenAsItStands) {
  const std::string text(32, 'k');
  EXPECT_EQ(load_token_key({.value = text}).secret, text);
  EXPECT_EQ(error_of([&] { load_token_key({.value = std::string(31, 'k')}); }),
            ErrorCode::kInvalid);
  EXPECT_EQ(error_of([&] { load_token_key({.file = write("a", text), .value = text}); }),
            ErrorCode::kInvalid);
}

TEST_F(TokenKeyTest, RefusesFilesThatAreShortMissingOrNoFiles) {
  EXPECT_EQ(error_of([&] { load_file(write("short", std::string(31, 'k') + "\n")); }),
            ErrorCode::kInvalid);
  EXPECT_EQ(error_of([&] { load_file(write("empty", "")); }), ErrorCode::kInvalid);
  EXPECT_EQ(error_of([&] { load_file(write("long", std::string(100'000, 'k'))); }),
            ErrorCode::kInvalid);
  EXPECT_EQ(error_of([&] { load_file(folder_ / "absent"); }), ErrorCode::kNotFound);
  EXPECT_EQ(error_of([&] { load_file(folder_); }), ErrorCode::kInvalid);
  const fs::path pipe = folder_ / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(error_of([&] { load_file(pipe); }), ErrorCode::kInvalid);
}

TEST_F(TokenKeyTest, WarnsOfAGivenFileThatOthersCanRead) {
  const std::string text(32, 'k');
  EXPECT_EQ(load_file(write("private", text, 0400)).warning, "");
  EXPECT_NE(load_file(write("group", text, 0640)).warning, "");
  EXPECT_NE(load_file(write("everyone", text, 0644)).warning, "");
}

TEST_F(TokenKeyTest, RefusesItsOwnFileWhenEveryoneCanReadIt) {
  load_own();
  const fs::path path = folder_ / "data" / "token.key";
  ::chmod(path.c_str(), 0640);
  EXPECT_NE(load_own().warning, "");
  ::chmod(path.c_str(), 0604);
  EXPECT_EQ(error_of([&] { load_own(); }), ErrorCode::kInvalid);
}

TEST_F(TokenKeyTest, MintsTokensThatVerify) {
  const std::string key(32, 'k');
  const std::string token = mint_token(key, "Zoë \"x\"", 60, 1'000);
  const Jwt jwt = parse_jwt(token);
  EXPECT_EQ(jwt.algorithm, "HS256");
  EXPECT_TRUE(VerificationKey::hmac(key).verify(Algorithm::kHs256, jwt.signed_text, jwt.signature));
  EXPECT_EQ(jwt.claims.at("iss").as_string(), "colloquy");
  EXPECT_EQ(jwt.claims.at("sub").as_string(), "Zoë \"x\"");
  EXPECT_EQ(jwt.claims.at("iat").as_int64(), 1'000);
  EXPECT_EQ(jwt.claims.at("exp").as_int64(), 1'060);
  EXPECT_NE(token, mint_token(key, "Zoë \"x\"", 60, 1'000)) << "each has an id of its own";
}

TEST_F(TokenKeyTest, MintsNothingThatWouldBeRefused) {
  const std::string key(32, 'k');
  EXPECT_EQ(error_of([&] { mint_token(key, "", 60, 0); }), ErrorCode::kInvalid);
  EXPECT_EQ(error_of([&] { mint_token(key, "a\nb", 60, 0); }), ErrorCode::kInvalid);
  EXPECT_EQ(error_of([&] { mint_token(key, std::string(257, 'a'), 60, 0); }), ErrorCode::kInvalid);
  EXPECT_EQ(error_of([&] { mint_token(key, "a", 0, 0); }), ErrorCode::kInvalid);
  EXPECT_EQ(error_of([&] { mint_token(key, "a", kTokenTtlSecondsMax + 1, 0); }),
            ErrorCode::kInvalid);
  EXPECT_EQ(error_of([&] { mint_token("short", "a", 60, 0); }), ErrorCode::kInvalid);
}

}  // namespace
}  // namespace colloquy::auth
