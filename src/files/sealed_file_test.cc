#include "files/sealed_file.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"

namespace colloquy::files {
namespace {

const UserId kAlice("alice");

class SealedFileTest : public testing::Test {
 protected:
  std::string sealed(const std::string& text, std::size_t at_a_time) const {
    FileSealer sealer(form_.make_header(key_.id()), kAlice, key_);
    std::string all;
    for (std::size_t i = 0; i < text.size(); i += at_a_time) {
      all += sealer.add(std::string_view(text).substr(i, at_a_time));
    }
    return all + sealer.end();
  }

  const keyring::DataKey key_{"12345678", std::string(keyring::kSecretBytes, 'k'), 1};
  const SealedForm form_{"a keyring"};
};

TEST_F(SealedFileTest, LengthsAreThoseOfWhatIsWritten) {
  for (std::size_t around : {0U, 1U, 2U, 7U}) {
    for (int by = -30; by <= 30; ++by) {
      const auto bytes = static_cast<std::int64_t>(around * kPlainPieceBytes) + by;
      if (bytes < 0) continue;
      const std::string text(static_cast<std::size_t>(bytes), 'x');
      if (by % 10 == 0 || by * by == 1) {
        EXPECT_EQ(sealed(text, 40'000).size(), sealed_file_bytes(text.size()));
      }
      EXPECT_EQ(plain_file_bytes(sealed_file_bytes(text.size())), text.size());
    }
  }
}

TEST_F(SealedFileTest, NoOtherLengthsAreThere) {
  std::uint64_t next = 0;  // the plain length that comes next
  for (std::uint64_t bytes = 0; bytes < 3 * kSealedPieceBytes; ++bytes) {
    const auto plain = plain_file_bytes(bytes);
    if (bytes == sealed_file_bytes(next)) {
      ASSERT_EQ(plain, next++) << bytes;
    } else {
      ASSERT_EQ(plain, std::nullopt) << bytes;
    }
  }
}

TEST_F(SealedFileTest, HoweverItComesItIsOneFile) {
  std::string text;
  for (std::size_t i = 0; i < 2 * kPlainPieceBytes + 10; ++i) text.push_back(static_cast<char>(i));
  for (std::size_t at_a_time : {1'000U, 65'536U, 100'000U, 200'000U}) {
    const auto all = sealed(text, at_a_time);
    const FileCipher cipher(form_.find_header(all).value(), kAlice, key_);
    std::string opened;
    for (std::uint64_t number = 0; number < 3; ++number) {
      const auto piece = std::string_view(all).substr(
          kSealedHeaderBytes + number * kSealedPieceBytes, kSealedPieceBytes);
      opened += cipher.open(piece, number, number == 2);
    }
    EXPECT_EQ(opened, text);
  }
}

TEST_F(SealedFileTest, APieceOpensNowhereButWhereItWas) {
  const auto all = sealed(std::string(2 * kPlainPieceBytes, 'x'), 10'000);
  const auto header = form_.find_header(all).value();
  const auto piece = std::string_view(all).substr(kSealedHeaderBytes, kSealedPieceBytes);
  const FileCipher cipher(header, kAlice, key_);
  EXPECT_EQ(cipher.open(piece, 0, false), std::string(kPlainPieceBytes, 'x'));
  EXPECT_THROW(cipher.open(piece, 1, false), Error);
  EXPECT_THROW(cipher.open(piece, 0, true), Error);
  EXPECT_THROW(FileCipher(header, UserId("bob"), key_).open(piece, 0, false), Error);
  const auto other = form_.make_header(key_.id());
  EXPECT_THROW(FileCipher(other, kAlice, key_).open(piece, 0, false), Error);
  // Also a byte of it that says nothing.
  auto changed = header;
  changed.back() = '\1';
  EXPECT_THROW(FileCipher(changed, kAlice, key_).open(piece, 0, false), Error);
}

TEST_F(SealedFileTest, NoBitOfTheHeaderCanBeChangedAndNoneOfItMakesItPlain) {
  const auto all = sealed("text", 4);
  for (std::size_t bit = 0; bit < 8 * kSealedHeaderBytes; ++bit) {
    auto changed = all;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_TRUE(form_.begins_as_sealed(changed)) << bit;
    try {
      const FileCipher cipher(form_.find_header(changed).value(), kAlice, key_);
      const bool same_key = data_key_of_header(changed) == key_.id();
      if (same_key) cipher.open(std::string_view(changed).substr(kSealedHeaderBytes), 0, true);
      EXPECT_FALSE(same_key) << bit;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kConflict);
    }
  }
}

TEST_F(SealedFileTest, PlainFilesAreToldFromCutOnes) {
  for (const char* text : {"", "a", "text", "\x88PNG", "~sealed:"}) {
    EXPECT_EQ(form_.find_header(text), std::nullopt) << text;
  }
  EXPECT_EQ(form_.find_header(std::string(kSealedHeaderBytes, 'x')), std::nullopt);
  const auto header = form_.make_header(key_.id());
  for (std::size_t bytes = 1; bytes < kSealedHeaderBytes; ++bytes) {
    EXPECT_THROW(form_.find_header(header.substr(0, bytes)), Error) << bytes;
  }
  EXPECT_THROW(SealedForm("another keyring").find_header(header), Error);
}

}  // namespace
}  // namespace colloquy::files
