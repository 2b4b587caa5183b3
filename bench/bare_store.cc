// What a durable write is measured against: RocksDB, opened as the store opens
// it, given the rows that the server would write, and nothing else. No request is
// parsed, no id looked up, no condition checked.
//
//   bench_bare_store --data DIR --clients 64 --seconds 2 --write message --shape loop
//   rate=101000 p50_us=590 p99_us=900 cpu_us=6.2
//
// Each client has one write on its way at a time. Shape `loop`: one thread that
// writes one batch of all clients' rows after another, with one sync each. Shape
// `queue`: the clients' threads queue their writes, a writer thread takes whatever
// waits, commits it with one sync and wakes each thread once.
//
// Write `message`: a message, its conversation's record and (once a batch) the
// counters. Write `turn`: a prompt and the place of its answer, then in a second
// commit the answer; it counts as one.
#include <rocksdb/write_batch.h>
#include <sys/resource.h>

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "percentiles.h"
#include "program.h"
#include "store/rocksdb/database.h"
#include "store/rocksdb/keys.h"
#include "store/rocksdb/status.h"
#include "store/rocksdb/value_codec.h"

namespace colloquy::bench {
namespace {

using store::Database;

struct Settings {
  std::string data;
  std::size_t clients = 1;
  std::size_t client_threads = 2;
  std::size_t conversations = 512;
  std::size_t content_bytes = 200;
  std::size_t prompt_bytes = 200;
  double seconds = 2;
  bool turn = false;
  bool queue = false;

  std::size_t commits_a_write() const { return turn ? 2 : 1; }
};

// One client's place in its conversations, and in the write on its way.
struct Client {
  std::size_t conversation = 0;
  std::size_t step = 0;  // which commit of the write comes next
  SteadyClock::time_point started;
};

// Makes batches of the rows that the server would write. The values are made before.
class RowWriter {
 public:
  RowWriter(Database& database, const Settings& settings)
      : database_(database), settings_(settings) {
    for (std::size_t i = 0; i < settings.conversations; ++i) add_conversation(i);
    message_ = encoded_message(settings.content_bytes, store::MessageStatus::kComplete);
    prompt_ = encoded_message(settings.prompt_bytes, store::MessageStatus::kComplete);
    place_ = encoded_message(0, store::MessageStatus::kRunning);
    store::Counters counters;
    counters.conversations = settings.conversations;
    counters.messages = 1'000'000;
    counters.last_commit_ms = kTimeMs;
    encode(counters, counters_);
  }

  void begin() { batch_.Clear(); }

  // Adds one commit's part of the client's write.
  void add(Client& client) {
    auto& conversation = conversations_[client.conversation];
    if (!settings_.turn) {
      put_message(conversation, message_);
    } else if (client.step == 0) {
      put_message(conversation, prompt_);
      put_message(conversation, place_);
    } else {
      put(database_.messages(), message_key(conversation), message_);  // over its place
    }
    put(database_.conversations(), conversation.key, conversation.value);
    ++client.step;
  }

  void commit() {
    put(database_.derived(), std::string(store::keys::kCounters), counters_);
    batch_.PutLogData("01234567");
    rocksdb::WriteOptions durable;
    durable.sync = true;
    store::check(database_.db().Write(durable, &batch_), "committing");
  }

  // The client's write is done: on to its next one.
  void start_next(Client& client) const {
    client.step = 0;
    client.conversation = (client.conversation + settings_.clients) % conversations_.size();
    client.started = SteadyClock::now();
  }

 private:
  static constexpr std::int64_t kTimeMs = 1'700'000'000'000;

  struct Conversation {
    std::string key;
    std::string value;
    ConversationId id;
    Uuid last_message;
  };

  void add_conversation(std::size_t number) {
    store::ConversationRecord record;
    auto& conversation = record.conversation;
    auto random = static_cast<std::uint64_t>(number) * 0x9e3779b97f4a7c15ULL;
    conversation.user_id = UserId("user-" + std::to_string(number % 64));
    conversation.id = ConversationId(Uuid::make_v7(kTimeMs, 0, random));
    conversation.title = "A conversation of the benchmark";
    conversation.created_at_s = conversation.updated_at_s = kTimeMs / 1000;
    conversation.message_count = conversation.version = 1000;
    record.last_message_id = MessageId(Uuid::make_v7(kTimeMs, 1, random));
    Conversation made{store::keys::conversation(conversation.user_id, conversation.id), "",
                      conversation.id, record.last_message_id.uuid()};
    encode(record, made.value);
    conversations_.push_back(std::move(made));
  }

  static std::string encoded_message(std::size_t bytes, store::MessageStatus status) {
    store::MessageRecord record;
    // Not one letter over and over: text compresses to about a half.
    for (std::size_t i = 0; i < bytes; ++i) {
      record.message.content.push_back(static_cast<char>('a' + (i * i * 31 + i * 7) % 26));
    }
    record.message.timestamp_s = kTimeMs / 1000;
    record.message.status = status;
    std::string out;
    encode(record, out);
    return out;
  }

  static std::string message_key(const Conversation& conversation) {
    return store::keys::message(conversation.id, MessageId(conversation.last_message));
  }
  void put_message(Conversation& conversation, const std::string& value) {
    conversation.last_message = conversation.last_message.successor();
    put(database_.messages(), message_key(conversation), value);
  }
  void put(rocksdb::ColumnFamilyHandle* family, const std::string& key, const std::string& value) {
    batch_.Put(family, key, value);
  }

  Database& database_;
  const Settings& settings_;
  rocksdb::WriteBatch batch_;
  std::vector<Conversation> conversations_;
  std::string message_;
  std::string prompt_;
  std::string place_;
  std::string counters_;
};

std::vector<Client> make_clients(const Settings& settings) {
  std::vector<Client> clients(settings.clients);
  for (std::size_t i = 0; i < clients.size(); ++i) {
    clients[i].conversation = i % settings.conversations;
    clients[i].started = SteadyClock::now();
  }
  return clients;
}

Times run_loop(RowWriter& rows, const Settings& settings, SteadyClock::time_point end) {
  Times times;
  auto clients = make_clients(settings);
  while (SteadyClock::now() < end) {
    rows.begin();
    for (auto& client : clients) rows.add(client);
    rows.commit();
    for (auto& client : clients) {
      if (client.step < settings.commits_a_write()) continue;
      times.add(SteadyClock::now() - client.started);
      rows.start_next(client);
    }
  }
  return times;
}

// The same with clients that wait on threads of their own.
class Queue {
 public:
  Queue(RowWriter& rows, const Settings& settings) : rows_(rows), settings_(settings) {}

  Times run(SteadyClock::time_point end) {
    auto clients = make_clients(settings_);
    auto count = std::min(settings_.client_threads, clients.size());
    std::vector<ClientThread> threads(count);
    for (std::size_t i = 0; i < clients.size(); ++i) {
      threads[i % count].ready.push_back({&clients[i], i % count});
    }
    std::thread writer([&] { write(threads); });
    std::vector<std::thread> running;
    running.reserve(count);
    for (auto& thread : threads) running.emplace_back([&] { submit(thread, end); });
    for (auto& thread : running) thread.join();
    {
      std::scoped_lock lock(mutex_);
      stopping_ = true;
    }
    work_.notify_one();
    writer.join();
    Times times;
    for (auto& thread : threads) times.add(thread.times);
    return times;
  }

 private:
  struct Waiting {
    Client* client;
    std::size_t thread;
  };
  struct ClientThread {
    std::mutex mutex;
    std::condition_variable committed;
    std::vector<Waiting> ready;  // guarded by mutex; to go on with
    Times times;
  };

  void submit(ClientThread& self, SteadyClock::time_point end) {
    std::size_t waiting = 0;
    std::vector<Waiting> ready;
    while (true) {
      {
        std::unique_lock lock(self.mutex);
        self.committed.wait(lock, [&] { return !self.ready.empty(); });
        ready.swap(self.ready);
      }
      waiting -= std::min(waiting, ready.size());
      auto now = SteadyClock::now();
      for (auto& entry : ready) {
        if (entry.client->step < settings_.commits_a_write()) continue;
        self.times.add(now - entry.client->started);
        rows_.start_next(*entry.client);
      }
      if (now >= end && waiting == 0) return;
      if (now < end) {
        waiting += ready.size();
        std::scoped_lock lock(mutex_);
        queue_.insert(queue_.end(), ready.begin(), ready.end());
      }
      work_.notify_one();
      ready.clear();
    }
  }

  void write(std::vector<ClientThread>& threads) {
    std::vector<Waiting> group;
    while (true) {
      {
        std::unique_lock lock(mutex_);
        work_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
        if (queue_.empty()) return;
        group.swap(queue_);
      }
      rows_.begin();
      for (auto& entry : group) rows_.add(*entry.client);
      rows_.commit();
      for (std::size_t i = 0; i < threads.size(); ++i) {
        {
          std::scoped_lock lock(threads[i].mutex);
          for (auto& entry : group) {
            if (entry.thread == i) threads[i].ready.push_back(entry);
          }
          if (threads[i].ready.empty()) continue;
        }
        threads[i].committed.notify_one();
      }
      group.clear();
    }
  }

  RowWriter& rows_;
  const Settings& settings_;
  std::mutex mutex_;
  std::condition_variable work_;
  std::vector<Waiting> queue_;  // guarded by mutex_
  bool stopping_ = false;       // guarded by mutex_
};

// User and system time of the process so far.
double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void run(const Settings& settings) {
  store::RocksDbOptions options;
  options.path = settings.data;
  Database database(options);
  RowWriter rows(database, settings);
  auto cpu = cpu_seconds();
  auto start = SteadyClock::now();
  auto end = start + std::chrono::microseconds(static_cast<std::int64_t>(settings.seconds * 1e6));
  Times times = settings.queue ? Queue(rows, settings).run(end) : run_loop(rows, settings, end);
  auto took = std::chrono::duration<double>(SteadyClock::now() - start).count();
  std::cout << "rate=" << static_cast<double>(times.count()) / took << " p50_us=" << times.at(0.5)
            << " p99_us=" << times.at(0.99)
            << " cpu_us=" << (cpu_seconds() - cpu) * 1e6 / static_cast<double>(times.count())
            << "\n";
}

}  // namespace
}  // namespace colloquy::bench

int main(int argc, char** argv) {
  colloquy::bench::Settings settings;
  std::string write = "message";
  std::string shape = "loop";
  CLI::App flags("Writes the server's rows with nothing around it.", "bench_bare_store");
  flags.add_option("--data", settings.data, "Folder of the database; made.")->required();
  flags.add_option("--clients", settings.clients, "Writes on their way at once.");
  flags.add_option("--conversations", settings.conversations, "They are spread over so many.");
  flags.add_option("--content-bytes", settings.content_bytes, "Of the message, or the answer.");
  flags.add_option("--prompt-bytes", settings.prompt_bytes, "Of a turn's prompt.");
  flags.add_option("--seconds", settings.seconds, "For how long.");
  flags.add_option("--write", write, "message or turn.")->check(CLI::IsMember({"message", "turn"}));
  flags.add_option("--shape", shape, "loop or queue.")->check(CLI::IsMember({"loop", "queue"}));
  return colloquy::bench::run_program(flags, argc, argv, [&] {
    settings.turn = write == "turn";
    settings.queue = shape == "queue";
    colloquy::bench::run(settings);
  });
}
