// What the sweeper writes, as operations of the Writer. Each is safe to repeat. A record that is
// damaged stays as it is, and holds up none of the others.
#pragma once

#include <future>
#include <string>
#include <utility>
#include <vector>

#include "store/rocksdb/keys.h"
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
  // Once it is committed: the keys of what it has deleted, and of what is damaged and stays.
  const std::vector<std::string>& deleted() const { return deleted_; }
  const std::vector<std::string>& damaged() const { return damaged_; }

 private:
  std::vector<std::string> index_keys_;
  std::vector<std::string> deleted_;
  std::vector<std::string> damaged_;
};

// Puts conversations into the expiry index, by keys::conversation, where they are not in it or too
// late for the retention.
class IndexExpiry final : public BlockingOperation {
 public:
  explicit IndexExpiry(std::vector<std::string> keys) : keys_(std::move(keys)) {}
  void apply(WriteGroup& group) override;
  const std::vector<std::string>& damaged() const { return damaged_; }

 private:
  std::vector<std::string> keys_;
  std::vector<std::string> damaged_;
};

// Whether IndexExpiry has something to do.
bool needs_index(const ConversationRecord& record);

// Notes, or (false) forgets, that all conversations are indexed for the retention.
class NoteRetention final : public BlockingOperation {
 public:
  explicit NoteRetention(bool indexed) : indexed_(indexed) {}
  void apply(WriteGroup& group) override;

 private:
  bool indexed_;
};

// Takes entries of the idempotency records' expiry index that are due.
class ForgetIdempotency final : public BlockingOperation {
 public:
  explicit ForgetIdempotency(std::vector<std::string> index_keys)
      : index_keys_(std::move(index_keys)) {}
  void apply(WriteGroup& group) override;
  const std::vector<std::string>& damaged() const { return damaged_; }

 private:
  std::vector<std::string> index_keys_;
  std::vector<std::string> damaged_;
};

// Removes what commits have changed, once nobody needs it any more, and notes how far.
class ForgetChanges final : public BlockingOperation {
 public:
  // `last` is keys::changes of the last number that is forgotten.
  ForgetChanges(std::vector<std::string> change_keys, std::string last)
      : change_keys_(std::move(change_keys)), last_(std::move(last)) {}
  void apply(WriteGroup& group) override {
    for (const auto& key : change_keys_) group.remove_derived(key);
    group.put_derived(keys::kChangesForgotten, last_);
  }

 private:
  std::vector<std::string> change_keys_;
  std::string last_;
};

}  // namespace colloquy::store
