// For tests: stands between a client and a DynamoDB service, and spoils chosen calls. Thread-safe.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <functional>
#include <mutex>
#include <string>
#include <utility>

#include "base/testing/run_task.h"
#include "net/http_client.h"
#include "net/testing/scripted_server.h"

namespace colloquy::store::dynamodb {

class FaultyService {
 public:
  enum class Fault {
    kNotDone,     // the connection ends, and nothing was done
    kAnswerLost,  // it was done, and the connection ends
  };
  enum class Lasting { kOnce, kAndAllAfterIt };

  explicit FaultyService(std::string url)
      : target_(std::move(url)), server_([this](net::testing::Peer& peer) { serve(peer); }) {}

  std::string url() const { return server_.url(""); }
  // The `nth` call from now on (from 1) suffers the fault; those after it, where it lasts, are not
  // done.
  void spoil(std::size_t nth, Fault fault, Lasting lasting) {
    std::scoped_lock lock(mutex_);
    calls_ = 0;
    spoiled_ = nth;
    fault_ = fault;
    lasting_ = lasting;
  }
  // Before the `nth` call from now on, on a thread of the service's: `act`, once.
  void interrupt(std::size_t nth, std::function<void()> act) {
    std::scoped_lock lock(mutex_);
    calls_ = 0;
    interrupted_ = nth;
    act_ = std::move(act);
  }
  void heal() { spoil(0, Fault::kNotDone, Lasting::kOnce); }
  // Since spoil() or heal().
  std::size_t calls() const {
    std::scoped_lock lock(mutex_);
    return calls_;
  }

 private:
  enum class Way { kThrough, kNotDone, kAnswerLost };

  Way next() {
    std::scoped_lock lock(mutex_);
    ++calls_;
    if (spoiled_ == 0 || calls_ < spoiled_) return Way::kThrough;
    bool first = calls_ == spoiled_;
    if (first && fault_ == Fault::kAnswerLost) return Way::kAnswerLost;
    return first || lasting_ == Lasting::kAndAllAfterIt ? Way::kNotDone : Way::kThrough;
  }

  std::function<void()> take_interruption() {
    std::scoped_lock lock(mutex_);
    if (interrupted_ == 0 || calls_ < interrupted_) return {};
    interrupted_ = 0;
    return std::exchange(act_, {});
  }

  void serve(net::testing::Peer& peer) {
    while (auto request = peer.read_request()) {
      auto way = next();
      if (auto act = take_interruption()) act();
      std::string answer;
      if (way != Way::kNotDone) answer = carry_out(*request);
      if (way != Way::kThrough) {
        peer.reset();
        return;
      }
      if (!peer.send(answer)) return;
    }
  }

  std::string carry_out(const net::testing::ScriptedRequest& request) const {
    constexpr std::size_t kMostBytes = 32U << 20;
    net::HttpRequest forwarded;
    forwarded.method = "POST";
    forwarded.url = target_;
    forwarded.body = request.body;
    for (const char* name : {"X-Amz-Target", "X-Amz-Date", "Authorization", "Content-Type"}) {
      if (auto value = request.header(name)) forwarded.headers.push_back({name, *value});
    }
    boost::asio::io_context loop;
    net::HttpClient http({});
    auto answer = run_task(loop, http.fetch(std::move(forwarded), kMostBytes));
    return net::testing::response(answer.status, answer.body, "application/x-amz-json-1.0");
  }

  const std::string target_;
  mutable std::mutex mutex_;
  std::size_t calls_ = 0;        // guarded by mutex_, as the next
  std::size_t spoiled_ = 0;      // 0: none
  std::size_t interrupted_ = 0;  // as well
  std::function<void()> act_;
  Fault fault_ = Fault::kNotDone;
  Lasting lasting_ = Lasting::kOnce;
  net::testing::ScriptedServer server_;  // the last one: its threads use the others
};

}  // namespace colloquy::store::dynamodb
