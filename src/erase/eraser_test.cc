#include "erase/eraser.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "base/boot_clock.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/testing/run_task.h"
#include "keyring/folder_key_storage.h"
#include "store/testing/temporary_folder.h"

namespace colloquy::erase {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

// What several servers have in common of a store. For one event loop.
struct Tables {
  struct Record {
    std::string name;
    std::set<std::string> acknowledged;
    std::string owner;
  };
  std::map<UserId, Record> records;
  std::set<std::string> looking;
  std::map<UserId, int> left;  // pieces of what the user has
  std::set<UserId> failing;
  std::function<void()> sealed = {};  // told of each
  int names = 0;
  // The call to fail, once: which of those of its kind. `after`: what it does is done, and its
  // answer lost.
  struct Failing {
    std::string call = {};
    int which = 1;
    bool after = false;
  };
  Failing fails = {};
  std::map<std::string, int> calls;
  bool failed = false;

  void begin_call(const std::string& name) {
    if (++calls[name] == fails.which && name == fails.call && !fails.after) fail();
  }
  void end_call(const std::string& name) {
    if (calls[name] == fails.which && name == fails.call && fails.after && !failed) fail();
  }
  void fail() {
    failed = true;
    throw unavailable("the store is out");
  }
};

class ServersErasures final : public store::Erasures {
 public:
  ServersErasures(Tables& tables, std::string server)
      : tables_(tables), server_(std::move(server)) {}

  Task<> begin_erasure(UserId user) override {
    tables_.begin_call("begin_erasure");
    auto& record = tables_.records[user];
    if (record.name.empty()) record.name = std::to_string(++tables_.names);
    tables_.end_call("begin_erasure");
    co_return;
  }
  Task<std::vector<store::Erasure>> unfinished_erasures() override {
    tables_.begin_call("unfinished_erasures");
    tables_.looking.insert(server_);
    std::vector<store::Erasure> all;
    for (const auto& [user, record] : tables_.records) all.push_back({user, record.name});
    tables_.end_call("unfinished_erasures");
    co_return all;
  }
  std::optional<milliseconds> lookout() const override { return lookout_; }
  void set_lookout(milliseconds time) { lookout_ = time; }
  Task<> stop_looking() override {
    tables_.begin_call("stop_looking");
    tables_.looking.erase(server_);
    tables_.end_call("stop_looking");
    co_return;
  }
  Task<> acknowledge_erasure(store::Erasure erasure) override {
    tables_.begin_call("acknowledge_erasure");
    if (is_there(erasure)) tables_.records[erasure.user].acknowledged.insert(server_);
    tables_.end_call("acknowledge_erasure");
    co_return;
  }
  Task<bool> claim_erasure(store::Erasure erasure) override {
    tables_.begin_call("claim_erasure");
    if (!is_there(erasure)) co_return false;
    auto& record = tables_.records[erasure.user];
    if (!record.owner.empty() && record.owner != server_) co_return false;
    record.owner = server_;
    for (const auto& server : tables_.looking) {
      if (server != server_ && !record.acknowledged.contains(server)) co_return false;
    }
    tables_.end_call("claim_erasure");
    co_return true;
  }
  Task<Left> erase_some(store::Erasure erasure) override {
    tables_.begin_call("erase_some");
    if (tables_.failing.contains(erasure.user)) throw std::runtime_error("it fails");
    if (!is_ours(erasure)) co_return Left::kLater;
    auto& left = tables_.left[erasure.user];
    const auto answer = left == 0 ? Left::kNothing : Left::kMore;
    left = std::max(left - 1, 0);
    tables_.end_call("erase_some");
    co_return answer;
  }
  Task<std::int64_t> seal_erasure(store::Erasure erasure) override {
    tables_.begin_call("seal_erasure");
    if (!is_ours(erasure)) throw unavailable("another server is at it");
    if (tables_.sealed) tables_.sealed();
    tables_.end_call("seal_erasure");
    co_return 1;
  }
  Task<> end_erasure(store::Erasure erasure, std::int64_t) override {
    tables_.begin_call("end_erasure");
    if (!is_ours(erasure)) throw unavailable("another server is at it");
    tables_.records.erase(erasure.user);
    tables_.end_call("end_erasure");
    co_return;
  }
  Task<std::vector<store::ErasedUser>> erased_users(std::string) override {
    tables_.begin_call("erased_users");
    tables_.end_call("erased_users");
    co_return std::vector<store::ErasedUser>();
  }

 private:
  bool is_there(const store::Erasure& erasure) const {
    auto found = tables_.records.find(erasure.user);
    return found != tables_.records.end() && found->second.name == erasure.name;
  }
  bool is_ours(const store::Erasure& erasure) const {
    return is_there(erasure) && tables_.records[erasure.user].owner == server_;
  }

  Tables& tables_;
  const std::string server_;
  milliseconds lookout_{15'000};
};

struct Server {
  Server(Tables& tables, const std::string& name, keyring::Keyring* keys = nullptr)
      : Server(tables, name, [keys](EraserParts& parts) { parts.keys = keys; }) {}
  Server(Tables& tables, const std::string& name, const std::function<void(EraserParts&)>& set)
      : store(tables, name) {
    EraserParts parts{store, gate};
    set(parts);
    eraser = std::make_shared<Eraser>(std::move(parts), metrics);
  }
  telemetry::Metrics metrics;
  UserGate gate;
  ServersErasures store;
  std::shared_ptr<Eraser> eraser;
};

// Servers on one event loop, which a thread runs.
class EraserTest : public testing::Test {
 protected:
  ~EraserTest() override {
    guard_.reset();
    if (thread_.joinable()) thread_.join();
  }
  // Until its end, which comes before the server's.
  class Running {
   public:
    Running(EraserTest& test, Server& server) : test_(test), server_(server) {
      test_.await(server_.eraser->look());
      boost::asio::co_spawn(test_.loop_, Eraser::run(server_.eraser), boost::asio::detached);
    }
    ~Running() { EXPECT_TRUE(test_.await(server_.eraser->wait_until_ended(seconds(20)))); }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

   private:
    EraserTest& test_;
    Server& server_;
  };
  template <class T>
  T await(Task<T> task) {
    return boost::asio::co_spawn(loop_, std::move(task), boost::asio::use_future).get();
  }
  static Task<bool> hold(const std::function<bool()>* condition) { co_return (*condition)(); }
  // On the loop.
  bool becomes(const std::function<bool()>& condition) {
    const auto give_up = steady_clock::now() + seconds(20);
    while (steady_clock::now() < give_up) {
      if (await(hold(&condition))) return true;
      std::this_thread::sleep_for(milliseconds(10));
    }
    return false;
  }
  static bool refuses(const std::function<void()>& call, ErrorCode code) {
    try {
      call();
    } catch (const Error& error) {
      return error.code() == code;
    }
    return false;
  }

  const UserId alice_{"alice"};
  const UserId bob_{"bob"};
  Tables tables_;
  boost::asio::io_context loop_;
  std::optional<boost::asio::executor_work_guard<boost::asio::io_context::executor_type>> guard_{
      loop_.get_executor()};
  std::thread thread_{[this] { loop_.run(); }};
};

TEST(UserGate, APassFromBeforeIsVoidAlsoOnceTheGateIsOpenAgain) {
  const UserId alice("alice");
  const UserId bob("bob");
  UserGate gate;
  auto before = gate.enter(alice);
  auto bobs = gate.enter(bob);
  before.check();
  gate.close(alice);
  EXPECT_THROW(before.check(), Error);
  EXPECT_THROW(gate.enter(alice), Error);
  EXPECT_FALSE(gate.is_idle(alice));
  gate.open(alice);
  EXPECT_THROW(before.check(), Error);
  auto after = gate.enter(alice);
  after.check();
  bobs.check();
  gate.void_all();
  EXPECT_THROW(after.check(), Error);
  EXPECT_THROW(bobs.check(), Error);
  gate.admit_until(BootClock::now() - milliseconds(1));
  EXPECT_THROW(gate.enter(bob), Error);
  gate.admit_until(BootClock::now() + seconds(100));
  gate.enter(bob).check();
}

TEST_F(EraserTest, NothingIsRemovedBeforeNothingIsUnderWayOnAnyServer) {
  tables_.left[alice_] = 3;
  Server here(tables_, "here");
  Server there(tables_, "there");
  const Running is_running(*this, here);
  const Running runs_too(*this, there);
  std::optional<UserGate::Pass> pass(there.gate.enter(alice_));
  auto erasing = boost::asio::co_spawn(loop_, here.eraser->erase(alice_, seconds(30)),
                                       boost::asio::use_future);
  ASSERT_TRUE(becomes([&] { return there.gate.is_closed(alice_); }));
  EXPECT_TRUE(refuses([&] { pass->check(); }, ErrorCode::kConflict));
  EXPECT_EQ(erasing.wait_for(milliseconds(700)), std::future_status::timeout);
  EXPECT_TRUE(becomes([&] { return tables_.left[alice_] == 3; }));
  pass.reset();
  EXPECT_TRUE(erasing.get());
  EXPECT_TRUE(becomes([&] { return tables_.left[alice_] == 0 && tables_.records.empty(); }));
  EXPECT_TRUE(becomes([&] { return !there.gate.is_closed(alice_); }));
  there.gate.enter(alice_).check();
}

TEST_F(EraserTest, WhatAnotherServerTookOverBeforeItsEndIsGoneOnWith) {
  Server server(tables_, "here");
  const Running is_running(*this, server);
  // One that dies at once: the claim is nobody's again.
  tables_.sealed = [this, times = 0]() mutable {
    if (++times == 1) tables_.records[alice_].owner.clear();
  };
  EXPECT_TRUE(await(server.eraser->erase(alice_, seconds(20))));
  EXPECT_TRUE(becomes([&] { return tables_.records.empty(); }));
}

TEST_F(EraserTest, AfterATimeWithoutALookEveryPassIsVoidAndNewOnesAreNot) {
  Server server(tables_, "here");
  server.store.set_lookout(milliseconds(1));
  await(server.eraser->look());
  std::optional<UserGate::Pass> pass;
  EXPECT_TRUE(becomes([&] {
    server.gate.admit_until(BootClock::now() + seconds(1));
    pass.emplace(server.gate.enter(bob_));
    return true;
  }));
  std::this_thread::sleep_for(milliseconds(10));
  server.store.set_lookout(seconds(100));
  await(server.eraser->look());
  EXPECT_NO_THROW(pass->check());  // for so long nobody can have been erased unseen
  server.store.set_lookout(milliseconds(1));
  std::this_thread::sleep_for(milliseconds(10));
  await(server.eraser->look());
  server.gate.admit_until(BootClock::now() + seconds(100));
  EXPECT_TRUE(refuses([&] { pass->check(); }, ErrorCode::kUnavailable));
  EXPECT_TRUE(server.gate.is_idle(alice_));
  server.gate.enter(bob_).check();
}

TEST_F(EraserTest, AServerThatLooksNoMoreAdmitsNobody) {
  Server server(tables_, "here");
  server.store.set_lookout(milliseconds(1));
  await(server.eraser->look());
  EXPECT_TRUE(
      becomes([&] { return refuses([&] { server.gate.enter(bob_); }, ErrorCode::kUnavailable); }));
}

TEST_F(EraserTest, OneUserWhoseErasureFailsHoldsUpNobodyElse) {
  tables_.failing.insert(alice_);
  tables_.left[bob_] = 5;
  Server server(tables_, "here");
  const Running is_running(*this, server);
  EXPECT_FALSE(await(server.eraser->erase(alice_, milliseconds(100))));
  EXPECT_TRUE(await(server.eraser->erase(bob_, seconds(20))));
  EXPECT_TRUE(server.eraser->is_erasing(alice_));
  const std::function<bool()> mend = [&] { return tables_.failing.erase(alice_) == 1; };
  EXPECT_TRUE(await(hold(&mend)));
  EXPECT_TRUE(await(server.eraser->erase(alice_, seconds(20))));
}

// A user, a store and a server of whose calls one fails.
struct Case {
  explicit Case(Tables::Failing failing) { tables.fails = std::move(failing); }
  std::string name() const {
    return tables.fails.call + " " + std::to_string(tables.fails.which) +
           (tables.fails.after ? ", done" : ", not done");
  }
  bool is_noted(const UserId& user) {
    const std::scoped_lock lock(mutex);
    return noted.contains(store::erased_name(user));
  }
  Tables tables;
  std::mutex mutex;
  std::set<std::string> noted;
  Server server{tables, "here", [this](EraserParts& parts) {
                  parts.note = [this](const store::ErasedUser& erased) {
                    const std::scoped_lock lock(mutex);
                    noted.insert(erased.user_sha256);
                  };
                }};
};

// Once: nobody is left half erased, locked out, or off the list.
TEST_F(EraserTest, EndsWhateverCallFails) {
  std::vector<std::unique_ptr<Case>> cases;
  for (const bool after : {false, true}) {
    for (const char* call : {"begin_erasure", "acknowledge_erasure", "claim_erasure",
                             "seal_erasure", "end_erasure", "stop_looking"}) {
      cases.push_back(std::make_unique<Case>(Tables::Failing{call, 1, after}));
    }
    // The first is that of the start.
    cases.push_back(std::make_unique<Case>(Tables::Failing{"unfinished_erasures", 2, after}));
    for (int which = 1; which <= 3; ++which) {
      cases.push_back(std::make_unique<Case>(Tables::Failing{"erase_some", which, after}));
    }
  }
  {
    std::vector<std::unique_ptr<Running>> running;
    std::vector<std::future<bool>> erasing;
    for (auto& one : cases) {
      one->tables.left[alice_] = 2;
      running.push_back(std::make_unique<Running>(*this, one->server));
      erasing.push_back(boost::asio::co_spawn(loop_, one->server.eraser->erase(alice_, seconds(20)),
                                              boost::asio::use_future));
    }
    for (std::size_t i = 0; i < cases.size(); ++i) {
      auto& tables = cases[i]->tables;
      auto& server = cases[i]->server;
      SCOPED_TRACE(cases[i]->name());
      try {
        EXPECT_TRUE(erasing[i].get());
      } catch (const Error& error) {
        EXPECT_EQ(tables.fails.call, "begin_erasure") << error.detail();
        EXPECT_TRUE(await(server.eraser->erase(alice_, seconds(20))));
      }
      const bool fails_later = tables.fails.call == "stop_looking";
      EXPECT_TRUE(becomes([&] {
        return tables.left[alice_] == 0 && tables.records.empty() && (tables.failed || fails_later);
      }));
      EXPECT_TRUE(becomes([&] { return !server.gate.is_closed(alice_); }));
      server.gate.enter(alice_).check();
      EXPECT_TRUE(cases[i]->is_noted(alice_));
    }
  }
  for (auto& one : cases) EXPECT_TRUE(one->tables.failed) << one->name();
}

TEST_F(EraserTest, ItHasNotEndedBeforeTheListHasTheUser) {
  std::atomic<bool> out{true};
  std::atomic<int> tried{0};
  std::atomic<int> begun{0};
  tables_.left[alice_] = 3;
  Server server(tables_, "here", [&](EraserParts& parts) {
    parts.note = [&](const store::ErasedUser& erased) {
      ++tried;
      EXPECT_EQ(erased.user_sha256, store::erased_name(alice_));
      if (out) throw unavailable("The list is out.");
    };
    parts.note_begun = [&](const UserId& user) {
      EXPECT_EQ(user, alice_);
      if (out) throw unavailable("The list is out.");
      ++begun;
    };
  });
  const Running is_running(*this, server);
  EXPECT_FALSE(await(server.eraser->erase(alice_, milliseconds(10))));
  EXPECT_TRUE(becomes([&] { return tried > 0; }));
  EXPECT_TRUE(becomes([&] { return tables_.left[alice_] == 0 && tables_.records.size() == 1; }))
      << "what can be removed is";
  EXPECT_TRUE(server.eraser->is_erasing(alice_));
  out = false;
  EXPECT_TRUE(await(server.eraser->erase(alice_, seconds(20))));
  EXPECT_EQ(begun, 1);
  EXPECT_TRUE(becomes([&] { return tables_.records.empty(); }));
}

TEST_F(EraserTest, TheListHasTheUserBeforeAnythingIsRemovedAndOnce) {
  std::atomic<int> begun{0};
  tables_.left[alice_] = 3;
  Server server(tables_, "here",
                [&](EraserParts& parts) { parts.note_begun = [&](const UserId&) { ++begun; }; });
  const Running is_running(*this, server);
  {
    std::optional<UserGate::Pass> writing(server.gate.enter(alice_));
    EXPECT_FALSE(await(server.eraser->erase(alice_, milliseconds(10))));
    EXPECT_TRUE(becomes([&] { return begun == 1; })) << "it waits for a write";
    EXPECT_TRUE(becomes([&] { return tables_.left[alice_] == 3; }));
  }
  EXPECT_TRUE(await(server.eraser->erase(alice_, seconds(20))));
  EXPECT_EQ(begun, 1);
  EXPECT_TRUE(await(server.eraser->erase(alice_, seconds(20))));
  EXPECT_EQ(begun, 2) << "another erasure";
}

TEST_F(EraserTest, TheNewLifeHasANewKeyOnEveryServerAtOnce) {
  const store::TemporaryFolder folder;
  keyring::FolderKeyStorage storage(folder / "keys");
  auto master = keyring::make_master_key();
  keyring::LocalMasterKeys masters([master] { return master; });
  const SystemClock clock;
  const auto id = run_task(storage.id(true));
  keyring::Keyring keys_here(id, storage, masters, clock);
  keyring::Keyring keys_there(id, storage, masters, clock);
  Server here(tables_, "here", &keys_here);
  Server there(tables_, "there", &keys_there);
  const Running is_running(*this, here);
  const Running runs_too(*this, there);
  const auto old = await(keys_here.find_or_make(alice_))->id();
  EXPECT_EQ(await(keys_there.find_or_make(alice_))->id(), old);
  EXPECT_TRUE(await(here.eraser->erase(alice_, seconds(20))));
  ASSERT_TRUE(becomes([&] { return !there.gate.is_closed(alice_); }));
  const auto fresh = await(keys_there.find_or_make(alice_))->id();
  EXPECT_NE(fresh, old);
  EXPECT_EQ(await(keys_here.find_or_make(alice_))->id(), fresh);
}

TEST_F(EraserTest, WhoComesLateToAnErasureLeavesTheFilesOfTheNewLife) {
  const store::TemporaryFolder root;
  files::UserFilesOptions options;
  options.folder = root.path();
  options.unique = "one";
  const SystemClock clock;
  telemetry::Metrics metrics;
  files::UserFiles files(options, linux_file_system(), clock, metrics);
  auto put = [&](const std::string& name) {
    fs::create_directories(root / "alice/deep");
    std::ofstream(root / ("alice/deep/" + name)) << name;
  };
  auto erase = [&](const std::string& erasure) {
    for (int i = 0; i < 100; ++i) {
      if (await(files.remove_some(alice_, erasure))) return true;
    }
    return false;
  };
  auto left = [&] {
    std::size_t count = 0;
    for (const auto& entry : fs::recursive_directory_iterator(root.path())) {
      if (entry.is_regular_file() && entry.path().filename() != "lock") ++count;
    }
    return count;
  };
  put("old");
  EXPECT_TRUE(erase("first"));
  EXPECT_EQ(left(), 0U);
  EXPECT_FALSE(fs::exists(root / "alice"));
  put("new");
  EXPECT_TRUE(erase("first"));
  EXPECT_TRUE(fs::exists(root / "alice/deep/new"));
  EXPECT_TRUE(erase("second"));
  EXPECT_EQ(left(), 0U);
  // Where there was none, too.
  EXPECT_TRUE(erase("third"));
  for (int i = 0; i < 2500; ++i) put(std::to_string(i));
  EXPECT_TRUE(erase("third"));
  EXPECT_EQ(left(), 2500U);
  EXPECT_TRUE(erase("fourth"));
  EXPECT_EQ(left(), 0U);
  // What another program has put in its place.
  put("kept");
  fs::rename(root / "alice", root / "bob");
  fs::create_directory_symlink(root / "bob", root / "alice");
  EXPECT_TRUE(erase("fifth"));
  EXPECT_FALSE(fs::is_symlink(root / "alice"));
  EXPECT_TRUE(fs::exists(root / "bob/deep/kept"));
}

}  // namespace
}  // namespace colloquy::erase
