#include "cluster/sealed.h"

#include <gtest/gtest.h>

#include <string>

#include "base/error.h"

namespace colloquy::cluster {
namespace {

const std::string kKey(32, 'k');

TEST(Sealed, MessagesAreReadInTheirOrderByWhoHasTheKey) {
  Sealer sealer(kKey);
  Unsealer unsealer(kKey);
  for (const std::string& text :
       {std::string("ünd so"), std::string(), std::string(100'000, 'x'), std::string("a\0b", 3)}) {
    auto sealed = sealer.seal(text);
    EXPECT_TRUE(text.empty() || sealed.find(text) == std::string::npos);
    EXPECT_EQ(unsealer.open(sealed), text);
  }
}

TEST(Sealed, WhoHasAnotherKeyReadsNothing) {
  EXPECT_FALSE(Unsealer(std::string(32, 'l')).open(Sealer(kKey).seal("secret")));
  EXPECT_THROW(Sealer("short"), Error);
  EXPECT_THROW(Unsealer(""), Error);
}

TEST(Sealed, NoMessageIsLeftOutRepeatedOrPutElsewhere) {
  Sealer sealer(kKey);
  auto first = sealer.seal("1");
  auto second = sealer.seal("2");
  EXPECT_NE(sealer.seal("1"), first);
  EXPECT_FALSE(Unsealer(kKey).open(second));
  Unsealer unsealer(kKey);
  EXPECT_EQ(unsealer.open(first), "1");
  EXPECT_FALSE(unsealer.open(first));
}

TEST(Sealed, WhatWasChangedIsNotRead) {
  auto sealed = Sealer(kKey).seal("a secret");
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    auto changed = sealed;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(Unsealer(kKey).open(changed)) << i;
    EXPECT_FALSE(Unsealer(kKey).open(sealed.substr(0, i))) << i;
    EXPECT_FALSE(Unsealer(kKey).open(sealed.substr(i + 1))) << i;
  }
  for (const char* other : {"", "=", "====", "AAAA", "\n\n\n\n", "üüüü"}) {
    EXPECT_FALSE(Unsealer(kKey).open(other)) << other;
  }
  EXPECT_FALSE(Unsealer(kKey).open(sealed + "    "));
}

}  // namespace
}  // namespace colloquy::cluster
