#include "store/encrypted/text_sealer.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "store/sealed_sizes.h"

namespace colloquy::store {
namespace {

class TextSealerTest : public testing::Test {
 protected:
  std::shared_ptr<const keyring::DataKey> make_key(char seed) const {
    return std::make_shared<const keyring::DataKey>(std::string(keyring::kKeyIdBytes, seed),
                                                    std::string(keyring::kSecretBytes, seed), 0);
  }
  TextPlace place() const {
    return {TextKind::kContent, Role::kUser, conversation_, MessageId(Uuid::make_v7(2, 2, 2))};
  }

  const std::string prefix_ = seal_prefix("AAAAAAAAAAAA");
  const ConversationId conversation_{Uuid::make_v7(1, 1, 1)};
  const TextSealer alice_{prefix_, UserId("alice"), make_key('a')};
};

TEST_F(TextSealerTest, WhatIsSealedIsOpenedAgainAndShowsNothing) {
  for (const std::string& text : {std::string("hello"), std::string(1, '\0'), std::string("é", 2),
                                  std::string(100'000, 'x')}) {
    auto sealed = alice_.seal(text, place());
    EXPECT_EQ(alice_.open(sealed, place()), text);
    EXPECT_TRUE(sealed.starts_with(prefix_));
    EXPECT_EQ(sealed.find(text), std::string::npos);
    EXPECT_LE(sealed.size(), sealed_bytes(text.size(), 1));
    EXPECT_NE(sealed, alice_.seal(text, place()));
    EXPECT_EQ(data_key_of(prefix_, sealed), alice_.key().id());
  }
  EXPECT_EQ(alice_.seal("", place()), "");
}

TEST_F(TextSealerTest, ElsewhereItCannotBeOpened) {
  auto sealed = alice_.seal("hello", place());
  auto expect_refused = [&](const TextSealer& sealer, const TextPlace& elsewhere) {
    EXPECT_THROW(sealer.open(sealed, elsewhere), Error);
  };
  auto other = place();
  other.kind = TextKind::kTitle;
  expect_refused(alice_, other);
  other = place();
  other.role = Role::kAssistant;
  expect_refused(alice_, other);
  other = place();
  other.conversation = ConversationId(Uuid::make_v7(1, 1, 2));
  expect_refused(alice_, other);
  other = place();
  other.message = MessageId(Uuid::make_v7(2, 2, 3));
  expect_refused(alice_, other);
  other.message.reset();
  expect_refused(alice_, other);
  expect_refused(TextSealer(prefix_, UserId("bob"), make_key('a')), place());
  expect_refused(TextSealer(prefix_, UserId("alice"), make_key('b')), place());
  auto keyring = seal_prefix("BBBBBBBBBBBB");
  sealed.replace(0, keyring.size(), keyring);
  expect_refused(TextSealer(keyring, UserId("alice"), make_key('a')), place());
}

TEST_F(TextSealerTest, WhatWasChangedOrCutCannotBeOpened) {
  const auto sealed = alice_.seal("hello", place());
  for (auto size = prefix_.size(); size < sealed.size(); ++size) {
    EXPECT_THROW(alice_.open(sealed.substr(0, size), place()), Error) << size;
  }
  // The very last letters have bits that stand for nothing.
  for (auto at = prefix_.size(); at + 3 < sealed.size(); ++at) {
    for (char letter : {'A', 'z', '/', '\0', '='}) {
      auto changed = sealed;
      if (changed[at] == letter) continue;
      changed[at] = letter;
      EXPECT_THROW(alice_.open(changed, place()), Error) << at << letter;
      data_key_of(prefix_, changed);
    }
  }
  EXPECT_THROW(alice_.open(sealed + "AAAA", place()), Error);
}

TEST_F(TextSealerTest, MetadataIsOneText) {
  const Metadata pairs{{"", "no name"}, {"name", ""}, {"long", std::string(3000, 'v')}};
  auto text = joined(pairs);
  EXPECT_EQ(split(text), pairs);
  EXPECT_EQ(split(""), Metadata());
  for (std::size_t size = 1; size < 15; ++size) EXPECT_THROW(split(text.substr(0, size)), Error);
}

}  // namespace
}  // namespace colloquy::store
