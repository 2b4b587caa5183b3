#include "store/rocksdb/log_check.h"

#include <gtest/gtest.h>

#include <boost/crc.hpp>

namespace colloquy::store {
namespace {

using Verdict = LogCheck::Verdict;

constexpr std::size_t kBlock = 32 * 1024;
constexpr std::size_t kHeader = 7;

// Writes a log as RocksDB does.
class LogBuilder {
 public:
  LogBuilder& add(std::string_view payload) {
    bool first = true;
    do {
      auto room = kBlock - log_.size() % kBlock;
      if (room < kHeader) {
        log_.append(room, '\0');
        room = kBlock;
      }
      auto part = payload.substr(0, room - kHeader);
      payload.remove_prefix(part.size());
      bool last = payload.empty();
      add_fragment(part, static_cast<char>(first ? (last ? 1 : 2) : (last ? 4 : 3)));
      first = false;
    } while (!payload.empty());
    return *this;
  }
  const std::string& log() const { return log_; }

 private:
  void add_fragment(std::string_view part, char type) {
    boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
    crc.process_byte(static_cast<unsigned char>(type));
    crc.process_bytes(part.data(), part.size());
    std::uint32_t sum = crc.checksum();
    sum = ((sum >> 15) | (sum << 17)) + 0xa282ead8U;
    for (int shift = 0; shift < 32; shift += 8) log_.push_back(static_cast<char>(sum >> shift));
    log_.push_back(static_cast<char>(part.size()));
    log_.push_back(static_cast<char>(part.size() >> 8));
    log_.push_back(type);
    log_.append(part);
  }

  std::string log_;
};

std::string sample() {
  LogBuilder builder;
  builder.add("first").add(std::string(3 * kBlock, 'b')).add(std::string(700, 'c')).add("last");
  return builder.log();
}

TEST(LogCheck, AWholeLogIsWhole) {
  EXPECT_EQ(check_log("").verdict, Verdict::kWhole);
  auto log = sample();
  auto result = check_log(log);
  EXPECT_EQ(result.verdict, Verdict::kWhole);
  EXPECT_EQ(result.good_bytes, log.size());
}

TEST(LogCheck, ACutAnywhereIsATornTailThatKeepsTheRecordsBefore) {
  auto log = sample();
  auto first = kHeader + 5;
  for (std::size_t size = 0; size < log.size(); size += 1 + size / 64) {
    auto result = check_log(std::string_view(log).substr(0, size));
    EXPECT_NE(result.verdict, Verdict::kDamaged) << size;
    EXPECT_EQ(result.good_bytes >= first, size >= first) << size;
    EXPECT_LE(result.good_bytes, size);
  }
}

TEST(LogCheck, SectorsOfTheLastRecordThatWereNeverWrittenAreATornTail) {
  LogBuilder builder;
  builder.add("first");
  auto good = builder.log().size();
  builder.add(std::string(3000, 'x'));
  auto log = builder.log();
  std::fill(log.begin() + 1024, log.begin() + 1536, '\0');
  auto result = check_log(log);
  EXPECT_EQ(result.verdict, Verdict::kTornTail);
  EXPECT_EQ(result.good_bytes, good);
}

TEST(LogCheck, AnUnwrittenSectorBeforeAWholeRecordIsDamage) {
  LogBuilder builder;
  builder.add("first").add(std::string(3000, 'x')).add("acknowledged later");
  auto log = builder.log();
  std::fill(log.begin() + 1024, log.begin() + 1536, '\0');
  EXPECT_EQ(check_log(log).verdict, Verdict::kDamaged);
}

TEST(LogCheck, EveryFlippedBitIsDamage) {
  LogBuilder builder;
  builder.add("first record").add(std::string(600, 'y')).add("the last one");
  for (std::size_t at = 0; at < builder.log().size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      auto log = builder.log();
      log[at] = static_cast<char>(log[at] ^ (1 << bit));
      EXPECT_EQ(check_log(log).verdict, Verdict::kDamaged) << at << '.' << bit;
    }
  }
}

}  // namespace
}  // namespace colloquy::store
