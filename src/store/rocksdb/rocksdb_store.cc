#include "store/rocksdb/rocksdb_store.h"

#include <algorithm>
#include <limits>
#include <map>
#include <mutex>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/thread_pool.h"
#include "store/instruments/operation_metrics.h"
#include "store/rocksdb/backup_source.h"
#include "store/rocksdb/change_log.h"
#include "store/rocksdb/database.h"
#include "store/rocksdb/erase_operations.h"
#include "store/rocksdb/keys.h"
#include "store/rocksdb/operations.h"
#include "store/rocksdb/reader.h"
#include "store/rocksdb/rocksdb_change_feed.h"
#include "store/rocksdb/status.h"
#include "store/rocksdb/sweeper.h"
#include "store/rocksdb/take_operation.h"
#include "store/rocksdb/writer.h"

namespace colloquy::store {
namespace {

constexpr std::size_t kErasedConversations = 256;  // in one commit
constexpr std::size_t kErasedIdempotency = 512;
constexpr std::size_t kErasedMessages = 512;
constexpr std::size_t kErasedUsersPage = 1000;

Message to_message(NewMessage from) {
  Message message;
  message.role = from.role;
  message.content = std::move(from.content);
  message.metadata = std::move(from.metadata);
  message.client_message_id = std::move(from.client_message_id);
  message.attachments = std::move(from.attachments);
  return message;
}

// False when it is to be looked up (Placed).
bool set_parent(Message& message, const std::optional<MessageId>& parent) {
  if (parent && *parent != MessageId()) message.parent = parent;
  return parent.has_value();
}

Idempotency idempotency_of(const UserId& user, std::optional<IdempotencyKey> key) {
  if (!key) return std::nullopt;
  return IdempotentRequest(user, std::move(*key));
}

}  // namespace

struct RocksDbStore::Impl {
  Impl(const RocksDbOptions& options, Clock& clock_in, IdSource& ids, telemetry::Metrics& metrics)
      : clock(clock_in),
        sealed_contents(options.sealed_contents),
        instance(ids.next(clock_in.now_ms())),
        operations(metrics),
        database(options),
        change_sequence(change_log::begin(database, ids.next(clock_in.now_ms()))),
        pool(options.reader_threads, options.read_queue_limit,
             "The store has too many reads waiting."),
        writer(database, clock_in, ids, instance,
               {options.write_queue_limit, options.write_queue_bytes}, metrics),
        sweeper(database, writer, clock_in, options, metrics) {}

  Reader reader(Database::Access access) const {
    // Where the clock was set back, what had expired does not come back.
    auto now_ms = std::max(clock.now_ms(), writer.last_commit_ms());
    return {database, std::move(access), instance, now_ms / 1000};
  }

  // `function(const Reader&)`, or nullopt when it needs more than is in memory. Does not block.
  template <class Function>
  auto read_memory(Function& function)
      -> std::optional<std::invoke_result_t<Function&, const Reader&>> {
    Database::Access access(database, false);
    if (!access.granted()) return std::nullopt;
    MemoryOnly memory;
    try {
      auto result = function(reader(std::move(access)));
      if (!memory.refused()) return result;
    } catch (const Error&) {
      if (!memory.refused()) throw;
    }
    return std::nullopt;
  }

  // `function(const Reader&)`, from memory here, else on the pool. Callers move a named lambda in:
  // gcc 12 destroys a temporary one twice when it stands in a co_await.
  template <class Function>
  Task<std::invoke_result_t<Function&, const Reader&>> read(Function function) {
    auto result = read_memory(function);
    if (result) co_return std::move(*result);
    auto job = [this, function = std::move(function)]() mutable {
      return function(reader(Database::Access(database, true)));
    };
    co_return co_await pool.run(std::move(job));
  }

  // Answers for a conversation that is not there without the writer, and has its record in memory
  // when the writer looks.
  Task<> require(const UserId& user, const ConversationId& id) {
    auto look = [user, id](const Reader& reader) { return reader.exists(user, id); };
    bool there = co_await read(std::move(look));
    if (!there) throw not_found();
  }

  // Sets the parents of what a write has made, or found; the messages are the caller's.
  Task<> find_parents(const UserId& user, const ConversationId& id,
                      std::vector<Message*> messages) {
    if (messages.empty()) co_return;
    auto look = [user, id, messages](const Reader& reader) {
      reader.find_parents(user, id, messages);
      return true;
    };
    co_await read(std::move(look));
  }

  // On the pool, never from memory alone.
  template <class Function>
  Task<std::invoke_result_t<Function&, const Database&>> look(Function function) {
    auto job = [this, function = std::move(function)]() mutable {
      Database::Access access(database, true);
      return function(database);
    };
    co_return co_await pool.run(std::move(job));
  }

  // Messages of the user's deleted conversations, a piece at a time: nobody else's deletions are
  // waited for, nor for how fast those may be.
  Task<Erasures::Left> erase_messages(UserId user) {
    std::shared_ptr<Purges> left;
    {
      std::scoped_lock lock(erasing_mutex);
      left = std::exchange(erasing[user], nullptr);
    }
    auto find = [user, left = std::move(left)](const Database& all) mutable {
      if (!left) left = std::make_shared<Purges>(purges_of(all, user));
      auto found = next_messages(all, *left, kErasedMessages);
      if (found.empty()) left->anybodys = still_there(all, all.derived(), left->anybodys);
      return std::pair(std::move(left), std::move(found));
    };
    auto [purges, messages] = co_await look(std::move(find));
    auto outcome = purges->anybodys.empty() ? Erasures::Left::kNothing : Erasures::Left::kLater;
    if (!messages.empty()) {
      auto operation = submit<EraseMessages>(std::move(messages));
      co_await operation->wait();
      outcome = Erasures::Left::kMore;
    }
    // Where it has failed, they are looked for again.
    std::scoped_lock lock(erasing_mutex);
    erasing[user] = std::move(purges);
    co_return outcome;
  }

  std::uint64_t ended_erasures() {
    std::scoped_lock lock(erasing_mutex);
    return erasures_ended;
  }

  // nullopt: one has ended since there were so many, and may be among them.
  std::optional<std::vector<Erasure>> name_erasures(std::vector<UserId> users,
                                                    std::uint64_t ended) {
    std::vector<Erasure> erasures;
    std::scoped_lock lock(erasing_mutex);
    if (erasures_ended != ended) return std::nullopt;
    for (auto& user : users) {
      auto& name = erasure_names[user];
      if (name.empty()) name = instance.to_string() + "-" + std::to_string(++erasures_named);
      erasures.push_back({std::move(user), name});
    }
    return erasures;
  }

  bool is_named(const Erasure& erasure) {
    std::scoped_lock lock(erasing_mutex);
    auto found = erasure_names.find(erasure.user);
    return found != erasure_names.end() && found->second == erasure.name;
  }

  void require_room() const {
    if (sweeper.disk_full()) throw disk_full("less free room than min_free_disk_bytes");
  }

  // Would a write be refused now? Then a repeat of one that was made is still answered, by reading.
  bool refuses_writes() const { return sweeper.disk_full() || writer.broken(); }

  template <class Operation, class... Arguments>
  std::shared_ptr<Operation> submit(Arguments&&... arguments) {
    auto operation = std::make_shared<Operation>(std::forward<Arguments>(arguments)...);
    writer.submit(operation);
    return operation;
  }

  Clock& clock;
  const bool sealed_contents;
  const Uuid instance;
  OperationMetrics operations;
  Database database;
  const Uuid change_sequence;  // before the first write
  ThreadPool pool;             // for reads that must go to the disk
  Writer writer;
  std::mutex erasing_mutex;
  // What is still to be removed of users without a conversation. Guarded by erasing_mutex.
  std::map<UserId, std::shared_ptr<Purges>> erasing;
  // Names of this opening of the store. Guarded by erasing_mutex.
  std::map<UserId, std::string> erasure_names;
  std::uint64_t erasures_named = 0;
  std::uint64_t erasures_ended = 0;  // guarded by erasing_mutex
  Sweeper sweeper;                   // last: its thread uses the writer
};

RocksDbStore::RocksDbStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RocksDbStore::~RocksDbStore() = default;

std::unique_ptr<RocksDbStore> RocksDbStore::open(RocksDbOptions options, Clock& clock,
                                                 IdSource& ids, telemetry::Metrics& metrics) {
  return std::unique_ptr<RocksDbStore>(
      new RocksDbStore(std::make_unique<Impl>(options, clock, ids, metrics)));
}

Task<CreatedConversation> RocksDbStore::create_conversation(UserId user,
                                                            NewConversation conversation,
                                                            std::optional<IdempotencyKey> key) {
  return create_sealed(std::move(user), std::move(conversation), std::move(key), nullptr);
}

Task<CreatedConversation> RocksDbStore::create_sealed(UserId user, NewConversation conversation,
                                                      std::optional<IdempotencyKey> key,
                                                      SealingPointer sealing) {
  OperationTimer timer(impl_->operations.create_conversation);
  auto idempotency = idempotency_of(user, std::move(key));
  if (idempotency && impl_->refuses_writes()) {
    auto look = [user, idempotency](const Reader& reader) {
      return reader.created(user, *idempotency);
    };
    auto earlier = co_await impl_->read(std::move(look));
    if (earlier) co_return std::move(*earlier);
  }
  impl_->require_room();
  auto operation = impl_->submit<CreateConversation>(std::move(user), std::move(conversation),
                                                     std::move(idempotency), std::move(sealing));
  co_return co_await operation->wait();
}

Task<std::optional<Conversation>> RocksDbStore::get_conversation(UserId user, ConversationId id) {
  OperationTimer timer(impl_->operations.get_conversation);
  auto look = [user, id](const Reader& reader) { return reader.conversation(user, id); };
  co_return co_await impl_->read(std::move(look));
}

Task<ConversationPage> RocksDbStore::list_conversations(UserId user, std::size_t limit,
                                                        std::optional<ConversationId> after) {
  OperationTimer timer(impl_->operations.list_conversations);
  auto look = [user, limit, after](const Reader& reader) {
    return reader.conversations(user, limit, after);
  };
  co_return co_await impl_->read(std::move(look));
}

Task<Conversation> RocksDbStore::update_conversation(UserId user, ConversationId id,
                                                     ConversationPatch patch,
                                                     std::optional<std::uint64_t> if_version) {
  OperationTimer timer(impl_->operations.update_conversation);
  impl_->require_room();
  co_await impl_->require(user, id);
  auto operation = impl_->submit<UpdateConversation>(user, id, std::move(patch), if_version);
  co_return co_await operation->wait();
}

Task<> RocksDbStore::delete_conversation(UserId user, ConversationId id,
                                         std::optional<std::uint64_t> if_version) {
  OperationTimer timer(impl_->operations.delete_conversation);
  co_await impl_->require(user, id);
  auto operation = impl_->submit<DeleteConversation>(user, id, if_version);
  co_await operation->wait();
}

Task<AppendedMessage> RocksDbStore::append_message(UserId user, ConversationId id,
                                                   NewMessage message,
                                                   std::optional<IdempotencyKey> key) {
  return append_sealed(std::move(user), id, std::move(message), std::move(key), nullptr);
}

Task<AppendedMessage> RocksDbStore::append_sealed(UserId user, ConversationId id,
                                                  NewMessage message,
                                                  std::optional<IdempotencyKey> key,
                                                  SealingPointer sealing) {
  OperationTimer timer(impl_->operations.append_message);
  if (key && impl_->refuses_writes()) {
    auto earlier = co_await find_appended(user, id, *key);
    if (earlier) co_return std::move(*earlier);
  }
  auto idempotency = idempotency_of(user, std::move(key));
  impl_->require_room();
  co_await impl_->require(user, id);
  AppendedMessage appended;
  auto place = message.place;
  appended.message = to_message(std::move(message));
  auto operation =
      impl_->submit<AppendMessage>(user, id, NewMessageValue(appended.message, std::move(sealing)),
                                   place, std::move(idempotency));
  auto placed = co_await operation->wait();
  if (placed.replayed) {
    appended.message = std::move(*placed.replayed);
    appended.replayed = true;
  } else {
    appended.message.id = placed.id;
    appended.message.branch = placed.branch;
    appended.message.timestamp_s = placed.timestamp_s;
  }
  std::vector<Message*> unplaced;
  if (!set_parent(appended.message, placed.parent)) unplaced.push_back(&appended.message);
  co_await impl_->find_parents(user, id, std::move(unplaced));
  co_return appended;
}

Task<std::optional<AppendedMessage>> RocksDbStore::find_appended(UserId user, ConversationId id,
                                                                 IdempotencyKey key) {
  OperationTimer timer(impl_->operations.find_appended);
  IdempotentRequest request(user, std::move(key));
  auto look = [user, id, request](const Reader& reader) {
    return reader.appended(user, id, request);
  };
  co_return co_await impl_->read(std::move(look));
}

Task<MessagePage> RocksDbStore::list_messages(UserId user, ConversationId id, MessageRange range) {
  OperationTimer timer(impl_->operations.list_messages);
  auto look = [user, id, range](const Reader& reader) { return reader.messages(user, id, range); };
  auto page = co_await impl_->read(std::move(look));
  if (!page) throw not_found();
  co_return std::move(*page);
}

Task<std::optional<Message>> RocksDbStore::get_message(UserId user, ConversationId id,
                                                       MessageId message) {
  OperationTimer timer(impl_->operations.get_message);
  auto look = [user, id, message](const Reader& reader) {
    return reader.message(user, id, message);
  };
  co_return co_await impl_->read(std::move(look));
}

Task<> RocksDbStore::delete_message(UserId user, ConversationId id, MessageId message) {
  OperationTimer timer(impl_->operations.delete_message);
  co_await impl_->require(user, id);
  auto operation = impl_->submit<DeleteMessage>(user, id, message);
  co_await operation->wait();
}

Task<std::optional<RecentMessages>> RocksDbStore::read_recent(UserId user, ConversationId id,
                                                              ContextSettings usual,
                                                              std::optional<TreePlace> up_to) {
  OperationTimer timer(impl_->operations.read_recent);
  auto look = [user, id, usual, up_to, sealed = impl_->sealed_contents](const Reader& reader) {
    return reader.recent(user, id, usual, up_to, sealed);
  };
  co_return co_await impl_->read(std::move(look));
}

Task<StartedTurn> RocksDbStore::start_turn(UserId user, NewTurn turn,
                                           std::optional<IdempotencyKey> key) {
  return start_sealed(std::move(user), std::move(turn), std::move(key), nullptr);
}

Task<StartedTurn> RocksDbStore::start_sealed(UserId user, NewTurn turn,
                                             std::optional<IdempotencyKey> key,
                                             SealingPointer sealing) {
  OperationTimer timer(impl_->operations.start_turn);
  if (turn.conversation_id.has_value() == turn.new_conversation.has_value()) {
    throw internal_error("a turn needs a conversation, either new or not");
  }
  if (key && impl_->refuses_writes()) {
    auto earlier = co_await find_turn(user, turn.conversation_id, *key);
    if (earlier) co_return std::move(*earlier);
  }
  impl_->require_room();
  if (turn.conversation_id) co_await impl_->require(user, *turn.conversation_id);
  StartedTurn started;
  auto place = turn.prompt.place;
  std::optional<MessageId> answered;
  if (turn.answered) {
    place = TreePlace{turn.answered->branch, turn.answered->id};
    answered = turn.answered->id;
    started.prompt = std::move(*turn.answered);
  } else {
    started.prompt = to_message(std::move(turn.prompt));
  }
  MessageRecord reply;
  reply.message.role = Role::kAssistant;
  reply.message.status = MessageStatus::kRunning;
  reply.message.model = std::move(turn.model);
  reply.owner = impl_->instance;
  reply.lease_until_s = turn.lease_until_s;
  auto idempotency = idempotency_of(user, std::move(key));
  auto operation =
      impl_->submit<StartTurn>(user, turn.conversation_id, std::move(turn.new_conversation),
                               NewMessageValue(started.prompt, sealing), reply, place, answered,
                               std::move(idempotency), sealing);
  auto placed = co_await operation->wait();
  started.conversation = std::move(placed.conversation);
  if (placed.replayed_prompt) {
    started.prompt = std::move(*placed.replayed_prompt);
    started.reply = std::move(*placed.replayed_reply);
    started.replayed = true;
    std::vector<Message*> both{&started.prompt, &started.reply};
    co_await impl_->find_parents(user, started.conversation.id, std::move(both));
    co_return started;
  }
  if (!answered) {
    started.prompt.id = placed.prompt_id;
    started.prompt.branch = placed.branch;
    started.prompt.timestamp_s = placed.timestamp_s;
  }
  reply.message.id = placed.reply_id;
  reply.message.branch = placed.branch;
  reply.message.parent = started.prompt.id;
  reply.message.timestamp_s = placed.timestamp_s;
  started.reply = std::move(reply.message);
  std::vector<Message*> unplaced;
  if (!answered && !set_parent(started.prompt, placed.parent)) unplaced.push_back(&started.prompt);
  co_await impl_->find_parents(user, started.conversation.id, std::move(unplaced));
  co_return started;
}

Task<std::optional<StartedTurn>> RocksDbStore::find_turn(UserId user,
                                                         std::optional<ConversationId> id,
                                                         IdempotencyKey key) {
  OperationTimer timer(impl_->operations.find_turn);
  IdempotentRequest request(user, std::move(key));
  auto look = [user, id, request](const Reader& reader) { return reader.turn(user, id, request); };
  co_return co_await impl_->read(std::move(look));
}

Task<FinishedTurn> RocksDbStore::finish_turn(UserId user, ConversationId id, Message reply) {
  OperationTimer timer(impl_->operations.finish_turn);
  if (reply.status == MessageStatus::kRunning) {
    throw internal_error("a finished answer cannot be running");
  }
  impl_->require_room();
  co_await impl_->require(user, id);
  auto operation = impl_->submit<FinishTurn>(user, id, reply);
  auto saved = co_await operation->wait();
  if (saved.earlier) {
    saved.earlier->parent = reply.parent;
    co_return FinishedTurn{std::move(saved.conversation), std::move(*saved.earlier)};
  }
  reply.timestamp_s = saved.timestamp_s;
  co_return FinishedTurn{std::move(saved.conversation), std::move(reply)};
}

Task<bool> RocksDbStore::save_partial(UserId user, ConversationId id, Message reply) {
  OperationTimer timer(impl_->operations.save_partial);
  impl_->require_room();
  auto operation = impl_->submit<SavePartial>(user, id, std::move(reply));
  co_return co_await operation->wait();
}

Task<bool> RocksDbStore::take(Conversation conversation, std::vector<Message> messages) {
  OperationTimer timer(impl_->operations.take);
  impl_->require_room();
  auto operation = impl_->submit<TakeConversation>(std::move(conversation), std::move(messages));
  co_return co_await operation->wait();
}

Task<> RocksDbStore::begin_erasure(UserId user) {
  auto operation = impl_->submit<BeginErasure>(std::move(user));
  co_await operation->wait();
}

Task<std::vector<Erasure>> RocksDbStore::unfinished_erasures() {
  for (;;) {
    const auto ended = impl_->ended_erasures();
    auto job = [](const Database& database) { return erasing_users(database); };
    auto users = co_await impl_->look(std::move(job));
    auto erasures = impl_->name_erasures(std::move(users), ended);
    if (erasures) co_return std::move(*erasures);
  }
}

Task<bool> RocksDbStore::claim_erasure(Erasure erasure) {
  if (!impl_->is_named(erasure)) co_return false;
  auto job = [user = erasure.user](const Database& database) { return is_erasing(database, user); };
  co_return co_await impl_->look(std::move(job));
}

Task<Erasures::Left> RocksDbStore::erase_some(Erasure erasure) {
  const auto user = erasure.user;
  bool claimed = co_await claim_erasure(std::move(erasure));
  if (!claimed) co_return Left::kLater;
  auto find = [user](const Database& database) {
    return keys_with(database, database.conversations(), keys::user_prefix(user),
                     kErasedConversations);
  };
  auto conversations = co_await impl_->look(std::move(find));
  if (!conversations.empty()) {
    {
      std::scoped_lock lock(impl_->erasing_mutex);
      impl_->erasing.erase(user);
    }
    auto operation = impl_->submit<EraseConversations>(impl_->database, std::move(conversations));
    co_await operation->wait();
    co_return Left::kMore;
  }
  auto find_records = [user](const Database& database) {
    return keys_with(database, database.derived(), keys::idempotency(user, {}), kErasedIdempotency);
  };
  auto records = co_await impl_->look(std::move(find_records));
  if (!records.empty()) {
    auto operation = impl_->submit<EraseIdempotency>(std::move(records));
    co_await operation->wait();
    co_return Left::kMore;
  }
  co_return co_await impl_->erase_messages(user);
}

Task<std::int64_t> RocksDbStore::seal_erasure(Erasure erasure) {
  auto operation = impl_->submit<SealErasure>(std::move(erasure.user));
  co_return co_await operation->wait();
}

Task<> RocksDbStore::end_erasure(Erasure erasure, std::int64_t at_ms) {
  const auto& user = erasure.user;
  auto operation = impl_->submit<EndErasure>(user, at_ms);
  co_await operation->wait();
  std::scoped_lock lock(impl_->erasing_mutex);
  impl_->erasing.erase(user);
  impl_->erasure_names.erase(user);
  ++impl_->erasures_ended;
}

Task<std::vector<ErasedUser>> RocksDbStore::erased_users(std::string after) {
  auto job = [after = std::move(after)](const Database& database) {
    return store::erased_users(database, after, kErasedUsersPage);
  };
  co_return co_await impl_->look(std::move(job));
}

StoreStats RocksDbStore::stats() {
  return {impl_->writer.conversations(), impl_->writer.messages(), impl_->sweeper.disk_bytes()};
}

std::string RocksDbStore::not_ready_reason() {
  if (impl_->sweeper.disk_full()) return "the disk is full";
  if (impl_->writer.broken()) return "commits fail: " + impl_->writer.broken_reason();
  return {};
}

std::unique_ptr<ChangeFeed> RocksDbStore::change_feed() {
  return std::make_unique<RocksDbChangeFeed>(impl_->database, impl_->writer, impl_->clock,
                                             impl_->instance, impl_->change_sequence);
}

void RocksDbStore::drop_kept_logs() { impl_->database.drop_kept_logs(); }

void RocksDbStore::sweep_now() { impl_->sweeper.sweep_now(); }

std::unique_ptr<BackupSource> RocksDbStore::backup_source() {
  return std::make_unique<BackupSource>(impl_->database);
}

void RocksDbStore::flush_and_compact() {
  auto& database = impl_->database;
  for (auto* family : {database.conversations(), database.messages(), database.derived()}) {
    check(database.db().Flush(rocksdb::FlushOptions(), family), "flushing");
    rocksdb::CompactRangeOptions options;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
    check(database.db().CompactRange(options, family, nullptr, nullptr), "compacting");
  }
}

}  // namespace colloquy::store
