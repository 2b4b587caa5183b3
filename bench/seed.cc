// Fills a data folder through the store itself, and lists what a load may ask for.
//
//   bench_seed --data DIR --targets FILE --users 64 --conversations 640 --messages 20
//
// Makes so many conversations, spread over the users, each with so many messages. Each
// line of FILE then holds a bearer token, a tab and a conversation of its user's. May run
// again on the same folder, with another --prefix of the users' names.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "auth/token_key.h"
#include "program.h"
#include "store/rocksdb/rocksdb_store.h"

namespace colloquy::bench {
namespace {

struct Settings {
  std::string data;
  std::string targets;
  std::string prefix = "user";
  std::size_t users = 64;
  std::size_t conversations = 64;
  std::size_t messages = 20;
  std::size_t content_bytes = 200;
  std::size_t targets_limit = 4096;
  std::size_t words = 0;  // made-up ones, the first the most common; 0: a few of English
};

constexpr std::size_t kWritesAtOnce = 1000;

// English enough to compress as conversations do.
std::string make_content(std::mt19937_64& random, std::size_t bytes) {
  static const std::vector<std::string> kWords{
      "about",  "answer", "because", "between", "could",    "data",    "earlier", "every",
      "first",  "from",   "given",   "however", "interest", "journey", "know",    "little",
      "memory", "never",  "often",   "people",  "question", "rather",  "same",    "the",
      "to",     "and",    "a",       "of",      "in",       "it",      "train",   "weather"};
  std::string content;
  while (content.size() < bytes) content += kWords[random() % kWords.size()] + " ";
  content.resize(bytes);
  content.back() = '.';
  return content;
}

// Words w0, w1, … as often as a language's: the n-th about 1/n times as often as the first.
std::string make_numbered(std::mt19937_64& random, std::size_t bytes, std::size_t words) {
  std::uniform_real_distribution<double> share(0, std::log(static_cast<double>(words)));
  std::string content;
  while (content.size() < bytes) {
    auto number = static_cast<std::size_t>(std::exp(share(random))) - 1;
    content += "w" + std::to_string(number) + " ";
  }
  return content;
}

class Seeder {
 public:
  Seeder(const Settings& settings, store::Store& store)
      : settings_(settings), store_(store), made_(settings.conversations) {}

  void run() {
    run_all([this](std::size_t) { return create_conversations(); });
    next_ = 0;
    run_all([this](std::size_t worker) { return append_messages(worker); });
  }

  const std::vector<ConversationId>& made() const { return made_; }
  UserId user_of(std::size_t conversation) const {
    return UserId(settings_.prefix + "-" + std::to_string(conversation % settings_.users));
  }

 private:
  template <class Work>
  void run_all(Work work) {
    boost::asio::io_context loop(1);
    std::exception_ptr failure;
    for (std::size_t i = 0; i < kWritesAtOnce; ++i) {
      boost::asio::co_spawn(loop, work(i), [&failure](std::exception_ptr error) {
        if (error) failure = error;
      });
    }
    loop.run();
    if (failure) std::rethrow_exception(failure);
  }

  Task<> create_conversations() {
    while (next_ < settings_.conversations) {
      auto number = next_++;
      store::NewConversation fresh;
      fresh.title = "Conversation " + std::to_string(number);
      auto created =
          co_await store_.create_conversation(user_of(number), std::move(fresh), std::nullopt);
      made_[number] = created.conversation.id;
    }
  }

  Task<> append_messages(std::size_t worker) {
    std::mt19937_64 random(worker);
    while (next_ < settings_.conversations * settings_.messages) {
      auto number = next_++;
      auto conversation = number % settings_.conversations;
      store::NewMessage message;
      bool asks = number / settings_.conversations % 2 == 0;
      message.role = asks ? store::Role::kUser : store::Role::kAssistant;
      message.content = settings_.words == 0
                            ? make_content(random, settings_.content_bytes)
                            : make_numbered(random, settings_.content_bytes, settings_.words);
      co_await store_.append_message(user_of(conversation), made_[conversation], std::move(message),
                                     std::nullopt);
    }
  }

  const Settings& settings_;
  store::Store& store_;
  std::vector<ConversationId> made_;
  std::size_t next_ = 0;
};

void write_targets(const Settings& settings, const Seeder& seeder, const Clock& clock) {
  constexpr std::int64_t kDay_s = 24LL * 60 * 60;
  auth::TokenKeySource source;
  source.data_folder = settings.data;
  auto key = auth::load_token_key(source);
  std::vector<std::string> tokens;
  for (std::size_t i = 0; i < settings.users; ++i) {
    auto user = seeder.user_of(i);
    tokens.push_back(auth::mint_token(key.secret, user.value(), kDay_s, clock.now_s()));
  }
  std::ofstream out(settings.targets);
  const auto& made = seeder.made();
  auto step = std::max<std::size_t>(1, made.size() / settings.targets_limit);
  for (std::size_t i = 0; i < made.size(); i += step) {
    out << tokens[i % tokens.size()] << "\t" << made[i].to_string() << "\n";
  }
  out.close();
  if (!out) throw std::runtime_error("cannot write " + settings.targets);
}

void run(const Settings& settings) {
  std::filesystem::create_directories(settings.data);
  SystemClock clock;
  RandomIdSource ids;
  telemetry::Metrics metrics;
  store::RocksDbOptions options;
  options.path = (std::filesystem::path(settings.data) / "store").string();
  auto store = store::RocksDbStore::open(options, clock, ids, metrics);
  Seeder seeder(settings, *store);
  seeder.run();
  store->flush_and_compact();
  write_targets(settings, seeder, clock);
  std::cout << "messages=" << store->stats().messages << "\n";
}

}  // namespace
}  // namespace colloquy::bench

int main(int argc, char** argv) {
  colloquy::bench::Settings settings;
  CLI::App flags("Fills a data folder.", "bench_seed");
  flags.add_option("--data", settings.data, "The server's data folder.")->required();
  flags.add_option("--targets", settings.targets, "File to list tokens and ids in.")->required();
  flags.add_option("--prefix", settings.prefix, "Of the users' names.");
  flags.add_option("--users", settings.users)->check(CLI::PositiveNumber);
  flags.add_option("--conversations", settings.conversations)->check(CLI::PositiveNumber);
  flags.add_option("--messages", settings.messages, "Of each conversation.");
  flags.add_option("--content-bytes", settings.content_bytes)->check(CLI::PositiveNumber);
  flags.add_option("--words", settings.words, "Of how many made-up words the messages are.");
  flags.add_option("--targets-limit", settings.targets_limit)->check(CLI::PositiveNumber);
  return colloquy::bench::run_program(flags, argc, argv, [&] { colloquy::bench::run(settings); });
}
