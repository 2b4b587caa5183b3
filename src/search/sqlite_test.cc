#include "search/sqlite.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "search/index_reader.h"
#include "search/index_writer.h"
#include "store/testing/temporary_folder.h"

namespace colloquy::search {
namespace {

class SqliteTest : public testing::Test {
 protected:
  SqliteTest() { IndexWriter(path_, IndexState{}); }

  // Does an error say damage? Otherwise it asks to try again.
  template <class Function>
  static bool says_damage(Function function) {
    try {
      function();
    } catch (const IndexDamaged&) {
      return true;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnavailable) << error.detail();
      return false;
    }
    ADD_FAILURE() << "nothing was thrown";
    return false;
  }
  void write(const std::string& bytes) const {
    std::filesystem::remove(path_ + "-wal");
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes;
  }

  store::TemporaryFolder folder_;
  const std::string path_ = folder_ / "index-1.db";
};

TEST_F(SqliteTest, AFileThatIsNotWhatWasWrittenIsDamaged) {
  auto open = [this] { IndexWriter writer(path_); };
  auto read = [this] { IndexReader reader(path_); };
  for (const auto& bytes : {std::string(), std::string(100, 'x'), std::string(100'000, 'x')}) {
    write(bytes);
    EXPECT_TRUE(says_damage(open)) << bytes.size();
    EXPECT_TRUE(says_damage(read)) << bytes.size();
  }
  std::filesystem::remove(path_);
  EXPECT_TRUE(says_damage(open));
  EXPECT_TRUE(says_damage(read));
}

TEST_F(SqliteTest, AStatementThatFailsSaysNothingOfTheFile) {
  Connection connection(path_, Connection::Mode::kRead);
  EXPECT_FALSE(says_damage([&] { connection.run("SELECT nothing FROM nowhere"); }));
  EXPECT_FALSE(says_damage([&] { connection.run("DELETE FROM users"); })) << "it may only read";
}

TEST_F(SqliteTest, WithoutDescriptorsTheFileIsNotTakenForDamaged) {
  const auto path = path_;
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  auto none = before;
  none.rlim_cur = 0;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  // The sanitizers would need descriptors too, to look at `this`.
  bool damaged = says_damage([&path] { Connection connection(path, Connection::Mode::kRead); });
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_FALSE(damaged);
  IndexWriter writer(path_);
}

TEST_F(SqliteTest, AFullDiskIsNotTakenForDamage) {
  Connection connection(path_, Connection::Mode::kWrite);
  connection.run("PRAGMA max_page_count = 1");
  EXPECT_FALSE(says_damage([&] {
    for (int i = 0; i < 1000; ++i) {
      Statement add(connection.get(), "INSERT INTO users(user) VALUES(randomblob(4000))");
      add.run();
    }
  }));
}

TEST_F(SqliteTest, DamageIsFoundByALookAtTheWholeFile) {
  std::atomic<bool> cancelled{false};
  EXPECT_EQ(find_damage(path_, cancelled), "");
  {
    Connection connection(path_, Connection::Mode::kWrite);
    connection.run("PRAGMA wal_checkpoint(TRUNCATE)");
  }
  std::fstream bytes(path_, std::ios::in | std::ios::out | std::ios::binary);
  bytes.seekp(-100, std::ios::end);
  bytes.put('\x5a');
  bytes.close();
  EXPECT_NE(find_damage(path_, cancelled), "");
}

}  // namespace
}  // namespace colloquy::search
