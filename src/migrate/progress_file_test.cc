#include "migrate/progress_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "store/testing/temporary_folder.h"

namespace colloquy::migrate {
namespace {

std::string refusal(const std::string& path, const std::string& to) {
  try {
    ProgressFile file(path, "a", to, 1);
  } catch (const Error& error) {
    return error.message();
  }
  return "";
}

TEST(ProgressFile, GivesBackWhatWasSaved) {
  store::TemporaryFolder folder;
  auto path = folder / "progress";
  Progress saved;
  {
    ProgressFile file(path, "rocksdb:/a b", "dynamodb:c,d", 77);
    EXPECT_FALSE(file.resumed());
    EXPECT_EQ(file.progress().begun_at_s, 77);
    saved = file.progress();
    saved.phase = Progress::Phase::kComparing;
    saved.position = R"({"user_id":{"S":"x y"}})";
    saved.copied = {1, 2, 3, 0};
    saved.from = {4, 5, 6, ~std::uint64_t{0}};
    saved.to = {7, 8, 9, 10};
    file.save(saved);
  }
  ProgressFile file(path, "rocksdb:/a b", "dynamodb:c,d", 99);
  EXPECT_TRUE(file.resumed());
  EXPECT_EQ(file.progress(), saved);
  file.remove();
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_FALSE(ProgressFile(path, "a", "b", 1).resumed());
}

TEST(ProgressFile, AnEmptyPositionIsKept) {
  store::TemporaryFolder folder;
  auto path = folder / "progress";
  ProgressFile(path, "a", "b", 5).save(Progress{});
  EXPECT_EQ(ProgressFile(path, "a", "b", 6).progress(), Progress{});
}

TEST(ProgressFile, OfAnotherMoveOrGarbledIsRefusedByName) {
  store::TemporaryFolder folder;
  auto path = folder / "progress";
  ProgressFile(path, "a", "b", 5).save(Progress{});
  EXPECT_THAT(refusal(path, "c"), ::testing::HasSubstr(path + " is of another move, from a to b"));
  for (const char* text : {"", "x\n", "colloquy migrate 1\nfrom a\nto b\n",
                           "colloquy migrate 1\nfrom a\nto b\nphase sleeping\nbegun-at 1\n"
                           "copied 0 0 0 0\ncompared-from 0 0 0 0\ncompared-to 0 0 0 0\n",
                           "colloquy migrate 1\nfrom a\nto b\nphase copying\nbegun-at 1\n"
                           "copied 0 0 0\ncompared-from 0 0 0 0\ncompared-to 0 0 0 0\n"}) {
    std::ofstream(path, std::ios::trunc) << text;
    EXPECT_THAT(refusal(path, "b"), ::testing::HasSubstr(path)) << text;
  }
}

}  // namespace
}  // namespace colloquy::migrate
