// UserFiles whose files are encrypted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>

#include "base/error.h"
#include "base/testing/failing_file_system.h"
#include "base/testing/run_task.h"
#include "files/sealed_file.h"
#include "files/user_files.h"
#include "keyring/folder_key_storage.h"
#include "keyring/keyring.h"
#include "store/testing/temporary_folder.h"

namespace colloquy::files {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

const UserId kAlice("alice");
const UserId kBob("bob");

std::string bytes_like(std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text.push_back(static_cast<char>(i * 7 + i / 251));
  return text;
}

Task<Stored> write(UserFiles& files, UserId user, std::string path, std::string content,
                   std::size_t at_a_time, Checksums checksums) {
  NewFile file;
  file.user = std::move(user);
  file.path = std::move(path);
  file.bytes = content.size();
  file.checksums = std::move(checksums);
  auto upload = co_await files.begin(std::move(file));
  for (std::size_t i = 0; i < content.size(); i += at_a_time) {
    co_await upload->write(content.substr(i, at_a_time));
  }
  co_return co_await upload->finish();
}

Task<std::string> read(UserFiles& files, UserId user, std::string path, std::uint64_t offset,
                       std::size_t bytes) {
  auto reader = co_await files.open(std::move(user), std::move(path));
  if (!reader) co_return "(none)";
  auto content = co_await reader->read(offset, bytes);
  const bool whole = co_await reader->is_unchanged();
  co_return whole ? content : "(changed)";
}

class SealedFilesTest : public testing::Test {
 protected:
  SealedFilesTest() { open(true); }

  void open(bool encrypt, FileSystem& system = linux_file_system()) {
    files_.reset();
    UserFilesOptions options;
    options.folder = folder_ / "files";
    options.unique = "one";
    options.quota = {1'000'000, 1000};
    options.max_file_bytes = 500'000;
    options.keyring = &keyring_;
    options.encrypt = encrypt;
    fs::create_directories(options.folder);
    files_ = std::make_unique<UserFiles>(std::move(options), system, clock_, metrics_);
  }
  Stored write(const std::string& path, const std::string& content, std::size_t at_a_time = 50'000,
               const UserId& user = kAlice) {
    return run_task(files::write(*files_, user, path, content, at_a_time, {}));
  }
  std::string read(const std::string& path, std::uint64_t offset = 0, std::size_t bytes = 1U << 20U,
                   const UserId& user = kAlice) {
    return run_task(files::read(*files_, user, path, offset, bytes));
  }
  // What is said of reading a file that was tampered with.
  std::string refusal(const std::string& path, std::uint64_t offset = 0,
                      const UserId& user = kAlice) {
    try {
      return "read: " + read(path, offset, 1, user);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kConflict) << error.detail();
      return "refused";
    }
  }
  std::string place(const std::string& path, const UserId& user = kAlice) const {
    return folder_ / ("files/" + user.value() + "/" + path);
  }
  static std::string stored(const std::string& place) {
    std::ifstream file(place, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static void store(const std::string& place, const std::string& bytes) {
    std::ofstream(place, std::ios::binary | std::ios::trunc) << bytes;
  }

  store::TemporaryFolder folder_;
  keyring::FolderKeyStorage storage_{folder_ / "keys"};
  std::string master_keys_ = keyring::make_master_key();
  keyring::LocalMasterKeys masters_{[this] { return master_keys_; }};
  const SystemClock clock_;
  keyring::Keyring keyring_{run_task(storage_.id(true)), storage_, masters_, clock_};
  telemetry::Metrics metrics_;
  FailingFileSystem failing_{linux_file_system()};
  std::unique_ptr<UserFiles> files_;
};

TEST_F(SealedFilesTest, AreReadAsTheyWereWrittenAndStandNowhereAsTheyAre) {
  for (std::size_t bytes : {0U, 1U, 65'535U, 65'536U, 65'537U, 131'072U, 300'000U}) {
    const auto content = bytes_like(bytes);
    const auto path = "f" + std::to_string(bytes);
    const auto written = write(path, content);
    EXPECT_EQ(written.info.bytes, bytes);
    const auto info = run_task(files_->info(kAlice, path)).value();
    EXPECT_EQ(info.bytes, bytes);
    EXPECT_EQ(info.tag, written.info.tag);
    EXPECT_EQ(read(path), content);
    EXPECT_EQ(stored(place(path)).size(), sealed_file_bytes(bytes));
  }
  for (const auto& file : run_task(files_->list(kAlice, {"", "", 100})).files) {
    EXPECT_EQ("f" + std::to_string(file.bytes), file.path);
  }
  write("note", "a secret of alice, " + std::string(100, 's'));
  EXPECT_THAT(stored(place("note")), Not(HasSubstr("secret")));
  EXPECT_EQ(read("note", 0, 1000, kBob), "(none)");
}

TEST_F(SealedFilesTest, AnyPartOfThemCanBeRead) {
  const auto content = bytes_like(200'000);
  write("f", content, 7'777);
  for (std::size_t offset : {0U, 1U, 65'530U, 65'536U, 131'071U, 131'072U, 199'999U}) {
    for (std::size_t bytes : {0U, 1U, 10U, 65'536U, 70'000U, 300'000U}) {
      EXPECT_EQ(read("f", offset, bytes), content.substr(offset, bytes)) << offset << " " << bytes;
    }
  }
  EXPECT_EQ(read("f", 200'000, 10), "");
  EXPECT_EQ(read("f", 900'000, 10), "");
}

TEST_F(SealedFilesTest, NoneThatIsCutIsRead) {
  write("f", bytes_like(100));
  const auto whole = stored(place("f"));
  // Of one that was cut to nothing, nothing is left that could say so.
  for (std::size_t bytes = 1; bytes < whole.size(); ++bytes) {
    store(place("f"), whole.substr(0, bytes));
    EXPECT_EQ(refusal("f"), "refused") << bytes;
  }
  store(place("f"), whole + "x");
  EXPECT_EQ(refusal("f"), "refused");
  store(place("f"), whole);
  EXPECT_EQ(read("f"), bytes_like(100));
}

TEST_F(SealedFilesTest, NoBitOfThemCanBeChanged) {
  write("f", "text");
  const auto whole = stored(place("f"));
  for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    auto changed = whole;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    store(place("f"), changed);
    EXPECT_EQ(refusal("f"), "refused") << bit;
  }
}

TEST_F(SealedFilesTest, PiecesCannotBeCutOffMovedOrMixed) {
  write("f", bytes_like(200'000));
  write("g", bytes_like(200'000));
  const auto f = stored(place("f"));
  const auto g = stored(place("g"));
  const auto piece = [](const std::string& of, std::size_t number) {
    return of.substr(kSealedHeaderBytes + number * kSealedPieceBytes, kSealedPieceBytes);
  };
  const auto header = f.substr(0, kSealedHeaderBytes);
  for (std::size_t pieces = 0; pieces < 4; ++pieces) {
    store(place("f"), f.substr(0, kSealedHeaderBytes + pieces * kSealedPieceBytes));
    EXPECT_EQ(refusal("f"), "refused") << pieces;
  }
  store(place("f"), header + piece(f, 1) + piece(f, 0) + piece(f, 2) + piece(f, 3));
  EXPECT_EQ(refusal("f"), "refused");
  EXPECT_EQ(refusal("f", 70'000), "refused");
  // What is before the damage and behind it is as it was.
  store(place("f"), header + piece(f, 0) + piece(g, 1) + piece(f, 2) + piece(f, 3));
  EXPECT_EQ(read("f", 0, 65'536), bytes_like(200'000).substr(0, 65'536));
  EXPECT_EQ(read("f", 131'072), bytes_like(200'000).substr(131'072));
  EXPECT_EQ(refusal("f", 65'536), "refused");
  EXPECT_THROW(read("f", 0, 65'537), Error);
  store(place("f"), header + piece(f, 0) + piece(f, 1) + piece(f, 2) + piece(f, 3) + piece(g, 3));
  EXPECT_EQ(refusal("f"), "refused");
}

TEST_F(SealedFilesTest, MayBeRenamedButNotGivenToAnother) {
  write("f", "of alice");
  write("f", "of bob", 100, kBob);
  fs::create_directories(place("folder"));
  fs::rename(place("f"), place("folder/g"));
  EXPECT_EQ(read("folder/g"), "of alice");
  fs::copy(place("folder/g"), place("f", kBob), fs::copy_options::overwrite_existing);
  EXPECT_EQ(refusal("f", 0, kBob), "refused");
}

TEST_F(SealedFilesTest, OnesFromBeforeAndOfOtherProgramsAreReadAsTheyAre) {
  open(false);
  write("before", "plain");
  EXPECT_EQ(stored(place("before")), "plain");
  open(true);
  write("after", "secret");
  store(place("beside"), "of another program");
  EXPECT_EQ(read("before"), "plain");
  EXPECT_EQ(read("beside"), "of another program");
  EXPECT_EQ(run_task(files_->info(kAlice, "before"))->bytes, 5U);
  // And back.
  open(false);
  EXPECT_EQ(read("after"), "secret");
  EXPECT_EQ(run_task(files_->info(kAlice, "after"))->bytes, 6U);
  write("after", "plain again");
  EXPECT_EQ(stored(place("after")), "plain again");
}

TEST_F(SealedFilesTest, WhatBeginsAsOneAndIsNoneIsKeptAllTheSame) {
  write("f", "text");
  const auto sealed = stored(place("f"));
  for (bool encrypt : {true, false}) {
    open(encrypt);
    for (std::size_t bytes = 0; bytes <= sealed.size(); ++bytes) {
      const auto content = sealed.substr(0, bytes);
      const auto written = write("g", content, bytes % 2 == 0 ? 7 : 1000);
      EXPECT_EQ(written.info.bytes, bytes);
      EXPECT_EQ(read("g"), content) << bytes;
    }
  }
}

TEST_F(SealedFilesTest, ADigestIsOfWhatWasSent) {
  Checksums checksums;
  checksums.sha256 = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=";  // of "hello"
  run_task(files::write(*files_, kAlice, "f", "hello", 2, checksums));
  EXPECT_EQ(read("f"), "hello");
  EXPECT_THROW(run_task(files::write(*files_, kAlice, "f", "hellO", 2, checksums)), Error);
  EXPECT_EQ(read("f"), "hello");
}

TEST_F(SealedFilesTest, NothingIsReadOnceTheUsersKeyIsGone) {
  write("f", "text");
  write("f", "text", 100, kBob);
  run_task(keyring_.erase(kAlice));
  EXPECT_EQ(refusal("f"), "refused");
  EXPECT_EQ(read("f", 0, 100, kBob), "text");
  // With a new key neither.
  write("g", "new");
  EXPECT_EQ(refusal("f"), "refused");
  EXPECT_EQ(read("g"), "new");
  // It can be told, and taken away.
  EXPECT_EQ(run_task(files_->list(kAlice, {"", "", 100})).files.size(), 2U);
  run_task(files_->remove(kAlice, "f", {}));
  EXPECT_EQ(read("f"), "(none)");
}

TEST_F(SealedFilesTest, ADamagedOneSpoilsNoList) {
  write("f", "text");
  store(place("f"), stored(place("f")).substr(0, 70));
  write("g", "more");
  const auto files = run_task(files_->list(kAlice, {"", "", 100})).files;
  ASSERT_EQ(files.size(), 2U);
  EXPECT_EQ(files[1].bytes, 4U);
}

TEST_F(SealedFilesTest, TheQuotaIsOfWhatIsStoredAndLengthsAreOfWhatWasSent) {
  const std::string large(500'000, 'x');
  write("f", large);
  EXPECT_THROW(write("g", large + "x"), Error);  // too large
  try {
    write("g", large);
    FAIL() << "two headers past the quota";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kQuota);
  }
  write("g", std::string(490'000, 'x'));
}

TEST_F(SealedFilesTest, AFailureAtAnyCallLeavesTheOldOneWhole) {
  open(true, failing_);
  const auto before = bytes_like(70'000);
  const std::string after(80'000, 'n');
  bool done = false;
  for (std::uint64_t call = 1; !done; ++call) {
    ASSERT_LT(call, 100U);
    write("f", before);
    failing_.fail_at(call, EIO);
    try {
      write("f", after);
      done = failing_.calls() < call;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnavailable) << call << error.detail();
    }
    failing_.fail_at(0, 0);
    const auto content = read("f");
    EXPECT_TRUE(content == before || content == after) << call;
  }
}

}  // namespace
}  // namespace colloquy::files
