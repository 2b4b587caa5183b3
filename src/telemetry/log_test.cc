#include "telemetry/log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <csignal>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

namespace colloquy::telemetry {
namespace {

// Standard error, sent through a pipe of ours for the time of a test.
class CapturedStderr {
 public:
  explicit CapturedStderr(int flags = 0) : saved_(dup(STDERR_FILENO)) {
    EXPECT_EQ(pipe2(ends_, flags), 0);
    dup2(ends_[1], STDERR_FILENO);
  }
  ~CapturedStderr() { restore(); }
  std::string finish() {
    restore();
    return read_all();
  }
  // What is in the pipe; where it blocks, all up to its end.
  std::string read_all() {
    std::string text;
    char buffer[4096];
    for (ssize_t n; (n = read(ends_[0], buffer, sizeof(buffer))) > 0;) {
      text.append(buffer, static_cast<std::size_t>(n));
    }
    return text;
  }
  void close_reader() { close(ends_[0]); }
  // Fills the pipe to its last byte; returns how many went in.
  std::size_t fill() {
    std::size_t bytes = 0;
    while (write(ends_[1], "x", 1) == 1) ++bytes;
    return bytes;
  }

 private:
  void restore() {
    if (saved_ < 0) return;
    dup2(saved_, STDERR_FILENO);
    close(saved_);
    close(ends_[1]);
    saved_ = -1;
  }
  int saved_;
  int ends_[2] = {-1, -1};
};

TEST(Log, WritesOneJsonObjectALine) {
  CapturedStderr captured;
  start_log(LogLevel::kInfo);
  log_info("conversation.created", {{"user_id", "al\"ice\n"}, {"rows", 3}, {"ok", true}});
  log_debug("not.wanted");
  stop_log();
  auto text = captured.finish();
  ASSERT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
  auto line = boost::json::parse(text.substr(0, text.size() - 1)).as_object();
  EXPECT_EQ(line.at("event").as_string(), "conversation.created");
  EXPECT_EQ(line.at("level").as_string(), "info");
  EXPECT_EQ(line.at("user_id").as_string(), "al\"ice\n");
  EXPECT_EQ(line.at("rows").as_int64(), 3);
  EXPECT_TRUE(line.at("ok").as_bool());
  EXPECT_EQ(line.at("time").as_string().back(), 'Z');
}

TEST(Log, AReaderThatDoesNotReadCostsLinesAndNeverTime) {
  CapturedStderr captured;
  start_log(LogLevel::kInfo);
  // Far more than a pipe and the queue can hold: a log that blocked would never come back.
  for (int i = 0; i < 200'000; ++i) log_info("line", {{"number", i}});
  EXPECT_GT(dropped_log_lines(), 0U);
  // Reading what is there lets the writing thread end.
  std::thread stopper([] { stop_log(); });
  captured.finish();
  stopper.join();
}

// Reads what is written until that many lines are there.
std::string read_lines(CapturedStderr& captured, std::ptrdiff_t count) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  std::string text;
  while (std::count(text.begin(), text.end(), '\n') < count) {
    if (std::chrono::steady_clock::now() > deadline) break;
    text += captured.read_all();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return text;
}

TEST(Log, AFullPipeThatDoesNotBlockLosesNothingOnceItIsRead) {
  CapturedStderr captured(O_NONBLOCK);
  const std::size_t filling = captured.fill();
  const auto dropped = dropped_log_lines();
  start_log(LogLevel::kInfo);
  // More than the pipe holds, so that writes of a batch end within a line.
  constexpr int kLines = 10'000;
  for (int i = 0; i < kLines; ++i) log_info("line", {{"number", i}});
  auto text = read_lines(captured, kLines);
  stop_log();
  EXPECT_EQ(dropped_log_lines(), dropped);
  text.erase(0, filling);
  for (int i = 0; i < kLines; ++i) {
    const auto end = text.find('\n');
    ASSERT_NE(end, std::string::npos) << i;
    const auto line = boost::json::parse(text.substr(0, end)).as_object();
    ASSERT_EQ(line.at("number").as_int64(), i);
    text.erase(0, end + 1);
  }
}

TEST(Log, ALineThatWasBegunIsEndedBeforeTheNext) {
  // A file that may not grow beyond the middle of a line, until it may.
  const std::string path = ::testing::TempDir() + "colloquy_log_test.txt";
  std::signal(SIGXFSZ, SIG_IGN);
  const int saved = dup(STDERR_FILENO);
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  ASSERT_GE(file, 0);
  dup2(file, STDERR_FILENO);
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &limit), 0);
  const rlimit small{1000, limit.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto dropped = dropped_log_lines();
  start_log(LogLevel::kInfo);
  const std::string padding(600, 'x');
  for (int i = 0; i < 4; ++i) log_info("line", {{"number", i}, {"padding", padding}});
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  // The second line is half written; those after it are lost, and so is a later one.
  while (dropped_log_lines() < dropped + 2 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  log_info("lost", {});
  while (dropped_log_lines() < dropped + 3 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  log_info("after", {});
  stop_log();
  dup2(saved, STDERR_FILENO);
  close(saved);
  close(file);
  std::ifstream written(path);
  std::vector<std::string> events;
  for (std::string line; std::getline(written, line);) {
    events.emplace_back(boost::json::parse(line).as_object().at("event").as_string());
  }
  EXPECT_EQ(events, (std::vector<std::string>{"line", "line", "after"}));
  EXPECT_EQ(dropped_log_lines(), dropped + 3);
}

// Waits until somebody knows what became of a line.
LineFate settled(const LineReceipt& receipt) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (*receipt == LineFate::kWaiting && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return *receipt;
}

TEST(Log, ALineOfMembersIsWrittenAtAnyLevelAndTellsSo) {
  CapturedStderr captured;
  start_log(LogLevel::kError);
  const auto receipt = log_members("metrics", R"("count":3)");
  EXPECT_EQ(settled(receipt), LineFate::kWritten);
  stop_log();
  const auto text = captured.finish();
  const auto line = boost::json::parse(text.substr(0, text.size() - 1)).as_object();
  EXPECT_EQ(line.at("event").as_string(), "metrics");
  EXPECT_EQ(line.at("level").as_string(), "info");
  EXPECT_EQ(line.at("count").as_int64(), 3);
  EXPECT_EQ(*log_members("metrics", ""), LineFate::kDropped);  // nobody writes any more
}

TEST(Log, ALineKnowsWhetherItWasDroppedAndTheOneThatWasBegunWasNot) {
  const std::string path = ::testing::TempDir() + "colloquy_log_receipts_test.txt";
  std::signal(SIGXFSZ, SIG_IGN);
  const int saved = dup(STDERR_FILENO);
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  ASSERT_GE(file, 0);
  dup2(file, STDERR_FILENO);
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &limit), 0);
  const rlimit small{1000, limit.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  start_log(LogLevel::kInfo);
  const std::string padding = "\"padding\":\"" + std::string(600, 'x') + "\"";
  std::vector<LineReceipt> receipts;
  receipts.reserve(5);
  // One at a time, so that the third is a batch behind the rest of the second.
  for (int i = 0; i < 4; ++i) {
    receipts.push_back(log_members("line", padding));
    settled(receipts.back());
  }
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  receipts.push_back(log_members("after", ""));
  settled(receipts.back());
  stop_log();
  dup2(saved, STDERR_FILENO);
  close(saved);
  close(file);
  std::ifstream written(path);
  std::string text;
  std::ptrdiff_t lines = 0;
  while (std::getline(written, text)) ++lines;
  std::vector<LineFate> fates;
  fates.reserve(receipts.size());
  for (const auto& receipt : receipts) fates.push_back(*receipt);
  EXPECT_EQ(fates,
            (std::vector<LineFate>{LineFate::kWritten, LineFate::kWritten, LineFate::kDropped,
                                   LineFate::kDropped, LineFate::kWritten}));
  EXPECT_EQ(lines, std::count(fates.begin(), fates.end(), LineFate::kWritten));
}

TEST(Log, LinesThatCannotBeWrittenAreCounted) {
  const int saved = dup(STDERR_FILENO);
  const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  ASSERT_GE(full, 0);
  dup2(full, STDERR_FILENO);
  close(full);
  const auto dropped = dropped_log_lines();
  start_log(LogLevel::kInfo);
  for (int i = 0; i < 25; ++i) log_info("line", {{"number", i}});
  stop_log();
  dup2(saved, STDERR_FILENO);
  close(saved);
  EXPECT_EQ(dropped_log_lines(), dropped + 25);
}

TEST(Log, AFullPipeThatNobodyReadsHoldsUpNeitherARequestNorTheEnd) {
  std::signal(SIGPIPE, SIG_IGN);  // as the program does
  CapturedStderr captured(O_NONBLOCK);
  captured.fill();
  const auto dropped = dropped_log_lines();
  start_log(LogLevel::kInfo);
  constexpr std::uint64_t kLines = 200'000;
  for (std::uint64_t i = 0; i < kLines; ++i) log_info("line", {{"number", i}});
  const auto begun = std::chrono::steady_clock::now();
  stop_log();
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(4));
  // With the reader gone every line is given up, and each has been counted once.
  captured.close_reader();
  const auto deadline = begun + std::chrono::seconds(30);
  while (dropped_log_lines() < dropped + kLines && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(dropped_log_lines(), dropped + kLines);
}

}  // namespace
}  // namespace colloquy::telemetry
