// What erasing a user (store/erasure.h) reads and writes, as operations of the Writer. Each is safe
// to repeat.
//
// Rows of `derived`: kErasingPrefix and the user id: the erasure is under way; the value is its
// moment, 0 while it has none. kErasedPrefix and the SHA-256 of the user id: the moment of the last
// one.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "store/erasure.h"
#include "store/rocksdb/database.h"
#include "store/rocksdb/writer.h"

namespace colloquy::store {

class BeginErasure final : public AwaitedOperation<bool> {
 public:
  explicit BeginErasure(UserId user) : user_(std::move(user)) {}
  void apply(WriteGroup& group) override;

 private:
  UserId user_;
};

// By keys::conversation; also those whose records are damaged.
class EraseConversations final : public AwaitedOperation<bool> {
 public:
  EraseConversations(const Database& database, std::vector<std::string> keys)
      : database_(database), keys_(std::move(keys)) {}
  void apply(WriteGroup& group) override;

 private:
  const Database& database_;
  std::vector<std::string> keys_;
};

// By keys::idempotency; also damaged ones.
class EraseIdempotency final : public AwaitedOperation<bool> {
 public:
  explicit EraseIdempotency(std::vector<std::string> keys) : keys_(std::move(keys)) {}
  void apply(WriteGroup& group) override;

 private:
  std::vector<std::string> keys_;
};

// Messages of a deleted conversation, by keys::message.
struct DeletedMessages {
  ConversationId conversation;
  std::vector<std::string> keys;
  bool last = false;  // there are no more
};

class EraseMessages final : public AwaitedOperation<bool> {
 public:
  explicit EraseMessages(std::vector<DeletedMessages> pieces) : pieces_(std::move(pieces)) {}
  void apply(WriteGroup& group) override;

 private:
  std::vector<DeletedMessages> pieces_;
};

// kUnavailable where the user is not being erased.
class SealErasure final : public AwaitedOperation<std::int64_t> {
 public:
  explicit SealErasure(UserId user) : user_(std::move(user)) {}
  void apply(WriteGroup& group) override;

 private:
  UserId user_;
};

class EndErasure final : public AwaitedOperation<bool> {
 public:
  EndErasure(UserId user, std::int64_t at_ms) : user_(std::move(user)), at_ms_(at_ms) {}
  void apply(WriteGroup& group) override;

 private:
  UserId user_;
  std::int64_t at_ms_;
};

// Puts one onto the list, unless it is there with a later time.
void add_erased(WriteGroup& group, const ErasedUser& erased);

// Reads; with an Access to the database. Each throws Error.
// The first `limit` keys with a prefix, from `begin` on where that is given.
std::vector<std::string> keys_with(const Database& database, rocksdb::ColumnFamilyHandle* family,
                                   const std::string& prefix, std::size_t limit,
                                   const std::string& begin = {});
// Those of the keys that are still there.
std::vector<std::string> still_there(const Database& database, rocksdb::ColumnFamilyHandle* family,
                                     std::vector<std::string> keys);
// Keys of what is still to be removed of deleted conversations.
struct Purges {
  std::vector<std::string> theirs;
  std::vector<std::string> anybodys;  // of earlier versions, which do not say whose they are
};
Purges purges_of(const Database& database, const UserId& user);
// So many messages at most of the next of `theirs`; takes those away of which it finds the last.
std::vector<DeletedMessages> next_messages(const Database& database, Purges& purges,
                                           std::size_t limit);
std::vector<UserId> erasing_users(const Database& database);
bool is_erasing(const Database& database, const UserId& user);
std::vector<ErasedUser> erased_users(const Database& database, const std::string& after,
                                     std::size_t limit);

}  // namespace colloquy::store
