#include "base/read_file.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <fstream>
#include <optional>

#include "base/error.h"

namespace colloquy {
namespace {

namespace fs = std::filesystem;

class ReadFileTest : public ::testing::Test {
 protected:
  ReadFileTest() : folder_(::testing::TempDir() + "colloquy-read-file-XXXXXX") {
    if (::mkdtemp(folder_.data()) == nullptr) throw internal_error("mkdtemp failed");
  }
  ~ReadFileTest() override { fs::remove_all(folder_); }

  fs::path write(const std::string& text) const {
    std::ofstream(path()) << text;
    return path();
  }
  fs::path path() const { return fs::path(folder_) / "file"; }

 private:
  std::string folder_;
};

std::optional<Error> error_of(const fs::path& path, std::size_t bytes_max = 10) {
  try {
    read_file(path, bytes_max);
    return std::nullopt;
  } catch (const Error& error) {
    return error;
  }
}

TEST_F(ReadFileTest, GivesTheWholeTextAndThePermissions) {
  write("0123456789");
  fs::permissions(path(), fs::perms(0640));
  const auto file = read_file(path(), 10);
  EXPECT_EQ(file.text, "0123456789");
  EXPECT_EQ(file.permissions, 0640U);
  EXPECT_EQ(read_file(write(""), 10).text, "");
}

TEST_F(ReadFileTest, RefusesOneThatIsTooLarge) {
  const auto error = error_of(write("0123456789"), 9);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::kInvalid);
  EXPECT_EQ(error->message(), "The file " + path().string() + " cannot be read: it is too large.");
}

TEST_F(ReadFileTest, OneThatIsNotThereIsNotFound) {
  const auto error = error_of(path());
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::kNotFound);
  write("a file, not a folder");
  EXPECT_EQ(error_of(path() / "below")->code(), ErrorCode::kNotFound);
}

TEST_F(ReadFileTest, RefusesAFolderAndIsNotHeldUpByAPipe) {
  EXPECT_EQ(error_of(path().parent_path())->code(), ErrorCode::kInvalid);
  ASSERT_EQ(::mkfifo(path().c_str(), 0600), 0);
  EXPECT_EQ(error_of(path())->code(), ErrorCode::kInvalid);
}

}  // namespace
}  // namespace colloquy
