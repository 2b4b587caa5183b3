// Flips bytes in every file of a database, one at a time: opening or reading gives an error that
// names the file, or the right data; never wrong data.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "store/rocksdb/faulty_harness.h"

namespace colloquy::store {
namespace {

namespace fs = std::filesystem;

// All that can be read, in one text.
std::string read_all(FaultyHarness& harness) {
  std::ostringstream out;
  for (const char* user : {"alice", "bob"}) {
    auto page = run_task(harness.store().list_conversations(UserId(user), 100, std::nullopt));
    for (const auto& conversation : page.conversations) {
      out << conversation.title << ' ' << conversation.message_count << ' '
          << conversation.system_prompt << '\n';
      for (const auto& message : harness.messages(conversation)) {
        out << message.id.to_string() << ' ' << message.content << '\n';
      }
    }
  }
  auto stats = harness.store().stats();
  out << stats.conversations << ' ' << stats.messages;
  return out.str();
}

// Tables of two levels, and a log with more than one block.
void fill(FaultyHarness& harness) {
  harness.open();
  NewConversation fresh{"with details", std::string(1000, 's'), {}, std::nullopt};
  auto first = run_task(harness.store().create_conversation(UserId("alice"), fresh, {}));
  for (int i = 0; i < 60; ++i) harness.append(first.conversation, "compacted " + std::to_string(i));
  harness.store().flush_and_compact();
  auto second = harness.create(UserId("bob"), "in the log");
  for (int i = 0; i < 50; ++i) {
    harness.append(second, std::to_string(i) + std::string(900, 'l'));
    harness.append(first.conversation, "logged " + std::to_string(i));
  }
}

class Corruption : public testing::Test {
 protected:
  void SetUp() override {
    fill(harness_);
    expected_ = read_all(harness_);
    harness_.close();
    kept_ = harness_.folder() / "kept";
    fs::copy(harness_.options().path, kept_);
  }

  void restore() {
    fs::remove_all(harness_.options().path);
    fs::copy(kept_, harness_.options().path);
  }

  void flip(const std::string& name, std::uintmax_t at, char mask) {
    auto path = fs::path(harness_.options().path) / name;
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(at));
    auto byte = static_cast<char>(file.get() ^ mask);
    file.seekp(static_cast<std::streamoff>(at));
    file.put(byte);
  }

  // True when the damage was seen.
  bool expect_error_or_right_data(const std::string& name, std::uintmax_t at) {
    bool seen = false;
    try {
      harness_.open();
      EXPECT_EQ(read_all(harness_), expected_) << name << " at " << at;
    } catch (const Error& error) {
      seen = true;
      EXPECT_EQ(error.code(), ErrorCode::kInternal) << error.detail();
      EXPECT_NE(error.detail().find(name), std::string::npos)
          << name << " at " << at << ": " << error.detail();
    }
    harness_.close();
    return seen;
  }

  FaultyHarness harness_;
  std::string expected_;
  std::string kept_;
};

TEST_F(Corruption, IsAnErrorThatNamesTheFileOrDoesNoHarm) {
  constexpr std::uintmax_t kPlaces = 12;
  int seen_in_tables = 0;
  for (const auto& entry : fs::directory_iterator(kept_)) {
    auto name = entry.path().filename().string();
    if (name.starts_with("LOG") && name != "LOG") continue;
    auto size = entry.file_size();
    for (std::uintmax_t place = 0; size > 0 && place < kPlaces; ++place) {
      auto at = place * (size - 1) / (kPlaces - 1);
      restore();
      flip(name, at, place % 2 == 0 ? '\x01' : '\x7f');
      bool seen = expect_error_or_right_data(name, at);
      if (seen && name.ends_with(".sst")) ++seen_in_tables;
      if (HasFailure()) return;
    }
  }
  EXPECT_GT(seen_in_tables, 0);
}

// RocksDB takes a wrong length in the last block of a log for its end. We do not.
TEST_F(Corruption, OfTheHeadersOfTheLogIsAlwaysSeen) {
  for (const auto& entry : fs::directory_iterator(kept_)) {
    auto name = entry.path().filename().string();
    if (!name.ends_with(".log") || entry.file_size() == 0) continue;
    std::ifstream in(entry.path(), std::ios::binary);
    std::ostringstream buffer;
    buffer << in.rdbuf();
    auto log = buffer.str();
    std::vector<std::size_t> records;
    for (std::size_t at = 0; at + 7 <= log.size();) {
      constexpr std::size_t kBlock = 32 * 1024;
      if (kBlock - at % kBlock < 7) {
        at += kBlock - at % kBlock;
        continue;
      }
      records.push_back(at);
      at += 7 + static_cast<unsigned char>(log[at + 4]) +
            256U * static_cast<unsigned char>(log[at + 5]);
    }
    ASSERT_GT(records.size(), 10U);
    for (std::size_t record :
         {records[0], records[5], records[records.size() - 3], records.back()}) {
      for (std::size_t byte = 0; byte < 8; ++byte) {
        restore();
        flip(name, record + byte, '\x40');
        EXPECT_TRUE(expect_error_or_right_data(name, record + byte)) << record << '+' << byte;
      }
    }
  }
}

}  // namespace
}  // namespace colloquy::store
