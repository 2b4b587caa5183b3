#include "telemetry/log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <string>
#include <thread>

namespace colloquy::telemetry {
namespace {

// Standard error, sent through a pipe of ours for the time of a test.
class CapturedStderr {
 public:
  CapturedStderr() : saved_(dup(STDERR_FILENO)) {
    EXPECT_EQ(pipe(ends_), 0);
    dup2(ends_[1], STDERR_FILENO);
  }
  ~CapturedStderr() { restore(); }
  std::string finish() {
    restore();
    std::string text;
    char buffer[4096];
    for (ssize_t n; (n = read(ends_[0], buffer, sizeof(buffer))) > 0;) {
      text.append(buffer, static_cast<std::size_t>(n));
    }
    return text;
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

}  // namespace
}  // namespace colloquy::telemetry
