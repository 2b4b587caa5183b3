#include "store/rocksdb/keys.h"

#include <gtest/gtest.h>

namespace colloquy::store {
namespace {

ConversationId conversation_id(std::int64_t ms) { return ConversationId(Uuid::make_v7(ms, 1, 1)); }

TEST(Keys, NoUserIsAPrefixOfAnother) {
  auto key = keys::conversation(UserId("ab"), conversation_id(1));
  EXPECT_FALSE(key.starts_with(keys::user_prefix(UserId("a"))));
  EXPECT_TRUE(key.starts_with(keys::user_prefix(UserId("ab"))));
}

TEST(Keys, OrderIsTimeOrder) {
  UserId user("u");
  EXPECT_LT(keys::conversation(user, conversation_id(255)),
            keys::conversation(user, conversation_id(256)));
  EXPECT_LT(keys::expiry(255, "z"), keys::expiry(256, "a"));
  EXPECT_LT(keys::expiry(255, "z"), keys::timed_upper_bound(keys::kExpiryPrefix, 255));
  EXPECT_GE(keys::expiry(256, ""), keys::timed_upper_bound(keys::kExpiryPrefix, 255));
}

TEST(Keys, WhatWasPutTogetherComesApart) {
  UserId user(std::string(256, 'u'));
  auto id = conversation_id(77);
  auto key = keys::conversation(user, id);
  auto parsed = keys::parse_conversation(key);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->user, user);
  EXPECT_EQ(parsed->id, id);
  auto timed_key = keys::expiry(9, key);
  auto timed = keys::parse_timed(timed_key);
  ASSERT_TRUE(timed);
  EXPECT_EQ(timed->at_s, 9);
  EXPECT_EQ(timed->key, key);
  EXPECT_EQ(keys::parse_purge(keys::purge(id)), id);
  MessageId message(Uuid::make_v7(5, 5, 5));
  EXPECT_EQ(keys::parse_message(keys::message(id, message)), message);
}

TEST(Keys, WhatIsNotAKeyIsRefused) {
  auto key = keys::conversation(UserId("u"), conversation_id(1));
  EXPECT_FALSE(keys::parse_conversation(key + "x"));
  EXPECT_FALSE(keys::parse_conversation(key.substr(1)));
  EXPECT_FALSE(keys::parse_conversation(""));
  EXPECT_FALSE(keys::parse_timed("E123"));
  EXPECT_FALSE(keys::parse_purge("P123"));
  EXPECT_FALSE(keys::parse_message("short"));
}

TEST(Keys, TheEndOfAPrefixIsBehindEveryKeyWithIt) {
  EXPECT_EQ(keys::after_prefix("ab"), "ac");
  EXPECT_EQ(keys::after_prefix("a\xff"), "b");
  EXPECT_EQ(keys::after_prefix("\xff\xff"), "");
}

}  // namespace
}  // namespace colloquy::store
