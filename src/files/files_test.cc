// Names, digests, types, lists.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <set>

#include "base/error.h"
#include "files/checksum.h"
#include "files/listing.h"
#include "files/media_types.h"
#include "files/names.h"
#include "files/volume.h"
#include "store/testing/temporary_folder.h"

namespace colloquy::files {
namespace {

TEST(FolderOf, AnOrdinaryIdIsItsOwnName) {
  for (const char* id : {"user_123", "alice", "a.b-c@example.com", "_x", "9"}) {
    EXPECT_EQ(folder_of(UserId(id)), id);
  }
}

TEST(FolderOf, NoTwoIdsShareAFolderAndNoneLeadsOut) {
  std::set<std::string> folders;
  std::set<std::string> ids = {
      "",           ".",    "..",   "/",   "a/b",       "a%2Fb", "a%b",
      "%",          "%%",   "%~",   "a b", "-a",        "@a",    ".colloquy-uploads",
      "lost+found", "../x", "a\\b", "ä",   "a\xCC\x88", "A",     "a"};
  for (char c = 1; c < 127; ++c) ids.insert({std::string(1, c), "x" + std::string(1, c)});
  for (std::size_t bytes : {83U, 84U, 85U, 86U, 250U, 255U, 256U}) {
    ids.insert(
        {std::string(bytes, 'x'), std::string(bytes, '/'), std::string(bytes - 1, '/') + "x"});
  }
  for (const auto& id : ids) {
    const auto folder = folder_of(UserId(id));
    EXPECT_TRUE(is_name(folder)) << id;
    EXPECT_NE(folder.front(), '.') << id;
    folders.insert(folder);
  }
  EXPECT_EQ(folders.size(), ids.size());
}

TEST(RefusalOfPath, TakesNamesAsTheyAreAndNothingThatLeadsElsewhere) {
  for (const std::string path :
       {"a", "a/b", "...", ".a", "a b", "ü/東京.txt", "a%2e", "..a", "~", "a:b"}) {
    EXPECT_FALSE(refusal_of_path(path)) << path;
  }
  for (const std::string& path : std::vector<std::string>{"",
                                                          "/",
                                                          "/a",
                                                          "a/",
                                                          "a//b",
                                                          ".",
                                                          "..",
                                                          "a/..",
                                                          "../a",
                                                          "a/./b",
                                                          "a\\b",
                                                          "a\nb",
                                                          "\x7F",
                                                          std::string("a\0b", 3),
                                                          "\xC2\x85",
                                                          "\xE2\x80\xA8",
                                                          "\xFF",
                                                          "\xC0\xAE\xC0\xAE",
                                                          "\xE0\x80\xAE",
                                                          "\xED\xA0\x80",
                                                          "\xF4\x90\x80\x80",
                                                          "\xC3",
                                                          std::string(256, 'a')}) {
    EXPECT_TRUE(refusal_of_path(path)) << path;
  }
  EXPECT_FALSE(refusal_of_path(std::string(255, 'a')));
  std::string deep = "a";
  for (int i = 1; i < 32; ++i) deep += "/a";
  EXPECT_FALSE(refusal_of_path(deep));
  EXPECT_TRUE(refusal_of_path(deep + "/a"));
}

TEST(Digester, KnowsWhatWasDeclared) {
  const std::string sha256 = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";  // of "abc"
  ASSERT_TRUE(is_base64_of(sha256, 32));
  Digester right({sha256, ""});
  right.add("a");
  right.add("bc");
  EXPECT_TRUE(right.matches());
  Digester wrong({sha256, ""});
  wrong.add("abd");
  EXPECT_FALSE(wrong.matches());
  EXPECT_TRUE(Digester({}).matches());
  for (const char* text : {"", "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0",
                           "====", "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa1=",
                           "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="}) {
    EXPECT_FALSE(is_base64_of(text, 32)) << text;
  }
}

TEST(MediaTypeOf, IsByTheEndOfTheName) {
  EXPECT_EQ(media_type_of("a/b.PNG").name, "image/png");
  EXPECT_TRUE(media_type_of("a/b.PNG").is_shown);
  for (const char* path :
       {"a.html", "a.svg", "a.xml", "a.js", "a.pdf", "a", "a.png/b", "a.", ".", "a.xhtml"}) {
    EXPECT_FALSE(media_type_of(path).is_shown) << path;
  }
  EXPECT_EQ(media_type_of("png").name, "application/octet-stream");
}

// Whatever is there, however long the pages, and whatever the prefix.
TEST(List, IsWhatAnOrderedSetWouldSay) {
  const store::TemporaryFolder root;
  Volume volume(linux_file_system(), root.path(), "one");
  const UserId user("alice");
  std::mt19937 random(7);
  std::set<std::string> there;
  const std::string letters = "ab-.0/";
  for (int i = 0; i < 400; ++i) {
    std::string path;
    for (std::size_t n = 1 + random() % 7; n > 0; --n) path += letters[random() % letters.size()];
    if (refusal_of_path(path)) continue;
    auto draft = volume.begin();
    try {
      volume.put(user, path, *draft, {}, [](auto) {});
      there.insert(path);
    } catch (const Error& error) {
      ASSERT_EQ(error.code(), ErrorCode::kConflict) << path;
    }
  }
  ASSERT_GT(there.size(), 50U);
  for (const std::string prefix : {"", "a", "b/", "a/b", ".", "-a", "0", "ab", "zz", "a/b/a"}) {
    for (const std::size_t limit : {1U, 3U, 1000U}) {
      std::vector<std::string> listed;
      ListRequest request{prefix, "", limit};
      do {
        const auto page = list(volume, user, request);
        EXPECT_LE(page.files.size(), limit);
        for (const auto& file : page.files) listed.push_back(file.path);
        request.from = page.next;
      } while (!request.from.empty());
      std::vector<std::string> expected;
      std::copy_if(there.begin(), there.end(), std::back_inserter(expected),
                   [&](const std::string& path) { return path.starts_with(prefix); });
      EXPECT_EQ(listed, expected) << prefix << " " << limit;
    }
  }
}

TEST(List, GoesThroughManyEmptyFoldersAndManyNames) {
  const store::TemporaryFolder root;
  Volume volume(linux_file_system(), root.path(), "one");
  const UserId user("alice");
  const auto folder = root.path() / "alice";
  for (std::size_t i = 0; i < kListedFolders + 10; ++i) {
    std::filesystem::create_directories(folder / ("empty" + std::to_string(i)));
  }
  auto draft = volume.begin();
  volume.put(user, "z", *draft, {}, [](auto) {});
  ListRequest request{"", "", 10};
  const auto first = list(volume, user, request);
  EXPECT_TRUE(first.files.empty());
  ASSERT_FALSE(first.next.empty());
  request.from = first.next;
  const auto second = list(volume, user, request);
  ASSERT_EQ(second.files.size(), 1U);
  EXPECT_EQ(second.files.front().path, "z");
  EXPECT_TRUE(second.next.empty());
}

TEST(Info, ATagIsOfOneContent) {
  const store::TemporaryFolder root;
  Volume volume(linux_file_system(), root.path(), "one");
  const UserId user("alice");
  std::set<std::string> tags;
  for (int i = 0; i < 200; ++i) {
    auto draft = volume.begin();
    draft->append(std::to_string(i % 10));
    const auto stored = volume.put(user, "same", *draft, {}, [](auto) {});
    EXPECT_EQ(stored.info.tag, volume.info(user, "same")->tag);
    tags.insert(stored.info.tag);
  }
  EXPECT_EQ(tags.size(), 200U);
}

}  // namespace
}  // namespace colloquy::files
