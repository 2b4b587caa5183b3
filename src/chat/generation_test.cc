#include "chat/generation.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <thread>
#include <vector>

namespace colloquy::chat {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;

std::shared_ptr<Generation> new_generation() {
  return std::make_shared<Generation>(UserId("u"), ConversationId(), MessageId());
}

Task<> follow(std::shared_ptr<Generation> generation, std::size_t from, std::string& out) {
  while (true) {
    auto piece = co_await generation->next(from, milliseconds(60'000));
    if (piece.ended) break;
    from += piece.text.size();
    out += piece.text;
  }
  auto outcome = co_await generation->outcome();
  out += "|" + outcome.reply.content;
}

GenerationOutcome outcome_of(std::string text) {
  GenerationOutcome outcome;
  outcome.reply.content = std::move(text);
  return outcome;
}

TEST(Generation, EveryFollowerSeesTheWholeTextWhereverItBegins) {
  auto generation = new_generation();
  asio::io_context loops[2];
  std::string early;
  std::string middle;
  asio::co_spawn(loops[0], follow(generation, 0, early), asio::detached);
  asio::co_spawn(loops[1], follow(generation, 3, middle), asio::detached);
  std::vector<std::jthread> threads;
  for (auto& loop : loops) threads.emplace_back([&loop] { loop.run(); });
  for (int i = 0; i < 1000; ++i) generation->append("ab");
  generation->end(outcome_of("saved"));
  threads.clear();
  std::string whole;
  for (int i = 0; i < 1000; ++i) whole += "ab";
  EXPECT_EQ(early, whole + "|saved");
  EXPECT_EQ(middle, whole.substr(3) + "|saved");
  std::string late;
  loops[0].restart();
  asio::co_spawn(loops[0], follow(generation, 0, late), asio::detached);
  loops[0].run();
  EXPECT_EQ(late, early);
}

Task<> wait_once(std::shared_ptr<Generation> generation, bool& timed_out) {
  auto piece = co_await generation->next(0, milliseconds(1));
  timed_out = piece.text.empty() && !piece.ended;
}

TEST(Generation, AWaitEndsWhenItsTimeIsUp) {
  asio::io_context loop;
  bool timed_out = false;
  asio::co_spawn(loop, wait_once(new_generation(), timed_out), asio::detached);
  loop.run();
  EXPECT_TRUE(timed_out);
}

}  // namespace
}  // namespace colloquy::chat
