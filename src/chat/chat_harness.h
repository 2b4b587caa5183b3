// What the tests of turns, titles, summaries and branches stand on.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/testing/run_task.h"
#include "chat/background_model.h"
#include "chat/observed_store.h"
#include "chat/summaries.h"
#include "chat/titles.h"
#include "chat/turns.h"
#include "store/testing/model_store.h"

namespace colloquy::chat {

inline const UserId kAlice("alice");

// Answers turns with a number, and titles and summaries with words of their own; waits, and fails
// in what it makes in the background, where it is told to.
class ThreeVoices final : public llm::Provider {
 public:
  const std::vector<std::string>& models() const override { return models_; }
  Task<llm::CompletionResult> complete(llm::CompletionRequest request, const llm::TextSink& sink,
                                       llm::Cancellation& cancellation) override {
    if (request.background) ++marked_background;
    const auto& first = request.messages.front().content;
    bool is_title = first.find("titles") != std::string::npos;
    bool is_summary = first.starts_with("You keep the summary");
    bool is_turn = !is_title && !is_summary;
    if (is_title) ++titles;
    if (is_summary) ++summaries;
    if (is_turn) {
      given.clear();
      for (const auto& message : request.messages) given.push_back(message.content);
    } else {
      background_prompt = request.messages.back().content;
    }
    bool waits = is_turn ? turns_wait : is_title ? titles_wait : summaries_wait;
    auto ticket = go.ticket();
    while (waits && !cancellation.requested() && go.ticket() == ticket) {
      co_await go.wait(ticket, std::chrono::milliseconds(5));
    }
    if (!is_turn && background_fails) throw unavailable("The model is out.");
    sink(is_title ? title : is_summary ? summary : "answer " + std::to_string(++answers));
    co_return llm::CompletionResult{llm::StopReason::kStop, 7, 2};
  }
  int background_calls() const { return titles + summaries; }

  std::string title = "\"Trains to Lisbon.\"";
  std::string summary = "They spoke of trains.";
  bool turns_wait = false;
  bool titles_wait = false;
  bool summaries_wait = false;
  bool background_fails = false;
  int answers = 0;
  int titles = 0;
  int summaries = 0;
  int marked_background = 0;       // of all calls
  std::vector<std::string> given;  // to the newest turn
  std::string background_prompt;
  Signal go;

 private:
  std::vector<std::string> models_{"model"};
};

// One event loop, and a clock that the test moves.
class LoopTest : public ::testing::Test {
 protected:
  template <class T>
  T run(Task<T> task) {
    return run_task(loop, std::move(task));
  }
  void run_all() {
    loop.restart();
    loop.run();
  }

  boost::asio::io_context loop;
  ManualClock clock{1'700'000'000'000};
  SeededIdSource ids{1};
  telemetry::Metrics metrics;
  std::int64_t charged = 0;
  Turns::OnUsage charge = [this](const UserId&, std::int64_t tokens) { charged += tokens; };
};

// Turns, and what follows them in the background, on a store in memory.
class FollowedTurnsTest : public LoopTest {
 protected:
  void build(ChatOptions options = {}, bool with_titles = true) {
    contexts = std::make_unique<ContextBuilder>(observed, provider, options);
    model = std::make_unique<BackgroundModel>(provider, metrics, background_options);
    titles = std::make_unique<Titles>(observed, *model);
    summaries = std::make_unique<Summaries>(observed, *contexts, *model);
    if (with_titles) observed.add(*titles);
    observed.add(*summaries);
    turns = std::make_unique<Turns>(observed, provider, clock, metrics, options, charge);
  }
  store::Conversation get(ConversationId id) { return *run(store.get_conversation(kAlice, id)); }

  store::ModelStore store{clock, ids};
  ObservedStore observed{store};
  ThreeVoices provider;
  BackgroundOptions background_options;
  std::unique_ptr<ContextBuilder> contexts;
  std::unique_ptr<BackgroundModel> model;
  std::unique_ptr<Titles> titles;
  std::unique_ptr<Summaries> summaries;
  std::unique_ptr<Turns> turns;
};

}  // namespace colloquy::chat
