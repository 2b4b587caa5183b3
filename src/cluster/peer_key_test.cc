#include "cluster/peer_key.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"

namespace colloquy::cluster {
namespace {

const std::string kOne(32, 'a');
const std::string kTwo(40, 'b');
constexpr std::int64_t kNow = 1'700'000'000;

PeerRequest a_request() { return {"GET", "/cluster/x", "instance", UserId("älice b")}; }

TEST(PeerKey, ARequestIsTrustedAndItsAnswerProven) {
  PeerKey key({kOne});
  auto mark = key.sign(a_request(), kNow);
  auto trusted = key.verify("GET", "/cluster/x", mark.header, kNow + 5);
  ASSERT_TRUE(trusted);
  EXPECT_EQ(trusted->user, UserId("älice b"));
  EXPECT_EQ(trusted->instance, "instance");
  auto proof = key.prove(*trusted, 200);
  EXPECT_TRUE(key.proves(proof, mark.mac, 200));
  EXPECT_FALSE(key.proves(proof, mark.mac, 404));
  EXPECT_FALSE(key.proves(proof, key.sign(a_request(), kNow).mac, 200));
  EXPECT_FALSE(key.proves("", mark.mac, 200));
  EXPECT_FALSE(key.proves(mark.header, mark.mac, 200));
  EXPECT_FALSE(key.proves("v1 " + mark.mac, mark.mac, 200));
}

TEST(PeerKey, WhatWasSignedCannotBeChanged) {
  PeerKey key({kOne});
  auto header = key.sign(a_request(), kNow).header;
  EXPECT_FALSE(key.verify("DELETE", "/cluster/x", header, kNow));
  EXPECT_FALSE(key.verify("GET", "/cluster/y", header, kNow));
  for (std::size_t i = 0; i < header.size(); ++i) {
    auto changed = header;
    changed[i] = changed[i] == '0' ? '1' : '0';
    EXPECT_FALSE(key.verify("GET", "/cluster/x", changed, kNow)) << i;
    EXPECT_FALSE(key.verify("GET", "/cluster/x", header.substr(0, i), kNow)) << i;
  }
}

TEST(PeerKey, ARequestIsGoodForAMinute) {
  PeerKey key({kOne});
  auto header = key.sign(a_request(), kNow).header;
  EXPECT_TRUE(key.verify("GET", "/cluster/x", header, kNow + kPeerSeconds));
  EXPECT_TRUE(key.verify("GET", "/cluster/x", header, kNow - kPeerSeconds));
  EXPECT_FALSE(key.verify("GET", "/cluster/x", header, kNow + kPeerSeconds + 1));
  EXPECT_FALSE(key.verify("GET", "/cluster/x", header, kNow - kPeerSeconds - 1));
}

TEST(PeerKey, AnotherKeyIsNotTrustedAndANewOneCanBeBroughtIn) {
  PeerKey old_key({kOne});
  PeerKey other({kTwo});
  PeerKey both({kTwo, kOne});
  auto mark = old_key.sign(a_request(), kNow);
  EXPECT_FALSE(other.verify("GET", "/cluster/x", mark.header, kNow));
  auto trusted = both.verify("GET", "/cluster/x", mark.header, kNow);
  ASSERT_TRUE(trusted);
  EXPECT_TRUE(old_key.proves(both.prove(*trusted, 200), mark.mac, 200));
  EXPECT_TRUE(other.verify("GET", "/cluster/x", both.sign(a_request(), kNow).header, kNow));
}

TEST(PeerKey, ARequestMayBeOfNoUserAndForAnyServer) {
  PeerKey key({kOne});
  auto mark = key.sign({"GET", "/cluster/events", kAnyInstance, UserId()}, kNow);
  auto trusted = key.verify("GET", "/cluster/events", mark.header, kNow);
  ASSERT_TRUE(trusted);
  EXPECT_EQ(trusted->user, UserId());
  EXPECT_EQ(trusted->instance, kAnyInstance);
  // A user of that name is another.
  auto dash = key.sign({"GET", "/cluster/events", kAnyInstance, UserId("-")}, kNow);
  EXPECT_EQ(key.verify("GET", "/cluster/events", dash.header, kNow)->user, UserId("-"));
}

TEST(PeerKey, BothSidesMakeTheSameSealingKeyAndNobodyElseDoes) {
  PeerKey old_key({kOne});
  PeerKey both({kTwo, kOne});
  auto mark = old_key.sign(a_request(), kNow);
  auto trusted = both.verify("GET", "/cluster/x", mark.header, kNow);
  ASSERT_TRUE(trusted);
  auto salt = PeerKey::make_salt();
  auto made = old_key.sealing_key(mark.mac, salt);
  EXPECT_EQ(made.size(), 32U);
  EXPECT_EQ(made, both.sealing_key(*trusted, salt));
  EXPECT_NE(made, both.sealing_key(mark.mac, salt));
  EXPECT_NE(made, old_key.sealing_key(mark.mac, PeerKey::make_salt()));
  EXPECT_NE(made, old_key.sealing_key(old_key.sign(a_request(), kNow).mac, salt));
}

TEST(PeerKey, OfAFileIsChecked) {
  auto path = std::filesystem::temp_directory_path() /
              ("colloquy-cluster-key-" + std::to_string(::getpid()));
  auto write = [&](const std::string& text, mode_t mode) {
    std::ofstream(path) << text;
    ::chmod(path.c_str(), mode);
  };
  auto code_of = [&] {
    try {
      PeerKey::load(path.string());
      return ErrorCode::kConflict;
    } catch (const Error& error) {
      return error.code();
    }
  };
  EXPECT_EQ(code_of(), ErrorCode::kNotFound);
  write("short\n", 0600);
  EXPECT_EQ(code_of(), ErrorCode::kInvalid);
  write("\n", 0600);
  EXPECT_EQ(code_of(), ErrorCode::kInvalid);
  write(kOne + "\n", 0644);
  EXPECT_EQ(code_of(), ErrorCode::kInvalid);
  write(kOne + "\r\n" + kTwo + "\n", 0600);
  auto key = PeerKey::load(path.string());
  EXPECT_TRUE(
      key.verify("GET", "/cluster/x", PeerKey({kTwo}).sign(a_request(), kNow).header, kNow));
  EXPECT_TRUE(
      PeerKey({kOne}).verify("GET", "/cluster/x", key.sign(a_request(), kNow).header, kNow));
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace colloquy::cluster
