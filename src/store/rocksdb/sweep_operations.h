// What the sweeper writes, as operations of the Writer. Each is safe to repeat.
#pragma once

#include <future>
#include <string>
#include <utility>
#include <vector>

#include "store/rocksdb/writer.h"

namespace colloquy::store {

// One that a thread waits for.
class BlockingOperation : public WriteOperation {
 public:
  std::future<void> future() { return done_.get_future(); }
  void succeed(WakeList& /*wakes*/) final { done_.set_value(); }
  void fail(std::exception_ptr error, WakeList& /*wakes*/) final { done_.set_exception(error); }

 private:
  std::promise<void> done_;
};

// Removes messages of a conversation that is gone, and with the last of them its purge record.
class PurgeMessages final : public BlockingOperation {
 public:
  PurgeMessages(ConversationId id, std::vector<std::string> message_keys, bool last)
      : id_(id), message_keys_(std::move(message_keys)), last_(last) {}
  void apply(WriteGroup& group) override;

 private:
  ConversationId id_;
  std::vector<std::string> message_keys_;
  bool last_;
};

// Takes entries of the expiry index that are due: deletes the conversations that have expired, and
// moves the entries of those that have been active since.
class ExpireConversations final : public BlockingOperation {
 public:
  explicit ExpireConversations(std::vector<std::string> index_keys)
      : index_keys_(std::move(index_keys)) {}
  void apply(WriteGroup& group) override;

 private:
  std::vector<std::string> index_keys_;
};

// Takes entries of the idempotency records' expiry index that are due.
class ForgetIdempotency final : public BlockingOperation {
 public:
  explicit ForgetIdempotency(std::vector<std::string> index_keys)
      : index_keys_(std::move(index_keys)) {}
  void apply(WriteGroup& group) override;

 private:
  std::vector<std::string> index_keys_;
};

}  // namespace colloquy::store
