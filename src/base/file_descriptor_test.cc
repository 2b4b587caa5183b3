#include "base/file_descriptor.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <thread>

namespace colloquy {
namespace {

TEST(FileDescriptor, IsClosedAtTheEnd) {
  int number = -1;
  {
    FileDescriptor file(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    ASSERT_TRUE(file.is_open());
    number = file.number();
  }
  EXPECT_EQ(::fcntl(number, F_GETFD), -1);
  EXPECT_EQ(errno, EBADF);
}

TEST(FileDescriptor, WritesMoreThanOneWriteTakes) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  FileDescriptor from(ends[0]);
  const std::string text(1'000'000, 'x');  // a pipe holds 64 KiB
  std::size_t got = 0;
  std::thread reader([&] {
    std::array<char, 5000> some{};
    while (true) {
      auto bytes = ::read(from.number(), some.data(), some.size());
      if (bytes <= 0) break;
      got += static_cast<std::size_t>(bytes);
    }
  });
  {
    FileDescriptor to(ends[1]);
    EXPECT_FALSE(write_all(to, text));
  }
  reader.join();
  EXPECT_EQ(got, text.size());
}

TEST(FileDescriptor, SaysWhatFailed) {
  FileDescriptor full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  ASSERT_TRUE(full.is_open());
  EXPECT_EQ(write_all(full, "text"), std::errc::no_space_on_device);
  EXPECT_FALSE(write_all(full, ""));
  EXPECT_FALSE(sync_folder(std::filesystem::temp_directory_path()));
  EXPECT_EQ(sync_folder("/dev/null/none"), std::errc::not_a_directory);
  EXPECT_EQ(sync_folder("/none-of-this-name"), std::errc::no_such_file_or_directory);
}

}  // namespace
}  // namespace colloquy
