#include "store/rocksdb/rocksdb_store.h"

#include <type_traits>
#include <utility>
#include <vector>

#include "store/instruments/operation_metrics.h"
#include "store/rocksdb/database.h"
#include "store/rocksdb/operations.h"
#include "store/rocksdb/reader.h"
#include "store/rocksdb/reader_pool.h"
#include "store/rocksdb/status.h"
#include "store/rocksdb/sweeper.h"
#include "store/rocksdb/writer.h"

namespace colloquy::store {
namespace {

Message to_message(NewMessage from) {
  Message message;
  message.role = from.role;
  message.content = std::move(from.content);
  message.metadata = std::move(from.metadata);
  message.client_message_id = std::move(from.client_message_id);
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
        instance(ids.next(clock_in.now_ms())),
        operations(metrics),
        database(options),
        pool(options.reader_threads, options.read_queue_limit),
        writer(database, clock_in, ids, instance,
               {options.write_queue_limit, options.write_queue_bytes}, metrics),
        sweeper(database, writer, clock_in, options.min_free_disk_bytes, options.sweep_interval,
                metrics) {}

  Reader reader(Database::Access access) const {
    return {database, std::move(access), instance, clock.now_s()};
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
  const Uuid instance;
  OperationMetrics operations;
  Database database;
  ReaderPool pool;
  Writer writer;
  Sweeper sweeper;  // last: its thread uses the writer
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
                                                     std::move(idempotency));
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
      impl_->submit<AppendMessage>(user, id, appended.message, place, std::move(idempotency));
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
  auto look = [user, id, usual, up_to](const Reader& reader) {
    return reader.recent(user, id, usual, up_to);
  };
  co_return co_await impl_->read(std::move(look));
}

Task<StartedTurn> RocksDbStore::start_turn(UserId user, NewTurn turn,
                                           std::optional<IdempotencyKey> key) {
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
                               started.prompt, reply, place, answered, std::move(idempotency));
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

StoreStats RocksDbStore::stats() {
  return {impl_->writer.conversations(), impl_->writer.messages(), impl_->sweeper.disk_bytes()};
}

std::string RocksDbStore::not_ready_reason() {
  if (impl_->sweeper.disk_full()) return "the disk is full";
  if (impl_->writer.broken()) return "commits fail: " + impl_->writer.broken_reason();
  return {};
}

void RocksDbStore::sweep_now() { impl_->sweeper.sweep_now(); }

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
