#include "store/dynamodb/dynamodb_store.h"

#include <algorithm>
#include <random>
#include <utility>

#include "base/error.h"
#include "base/pause.h"
#include "base/side_by_side.h"
#include "store/dynamodb/background.h"
#include "store/dynamodb/conversation_reader.h"
#include "store/dynamodb/message_reader.h"
#include "store/dynamodb/message_writer.h"
#include "store/dynamodb/placer.h"
#include "store/dynamodb/purger.h"
#include "store/dynamodb/renewer.h"
#include "store/dynamodb/retention_pass.h"
#include "store/dynamodb/table_sizes.h"
#include "store/dynamodb/taker.h"
#include "store/dynamodb/turn_writer.h"
#include "store/dynamodb/user_eraser.h"
#include "store/dynamodb/write_steps.h"
#include "store/instruments/operation_metrics.h"

namespace colloquy::store {
namespace {

// What is under way in the background at the end, a call of the service at most, may take so long.
constexpr auto kCloseBound = std::chrono::seconds(8);
constexpr int kUpdateTries = 40;
constexpr std::int64_t kUpdatePauseMs = 60;

Error changed_meanwhile() {
  return {ErrorCode::kPreconditionFailed, "The conversation has changed in the meantime."};
}

// Those who change one conversation at once come by one after the other.
Task<> pause_at_random() {
  thread_local std::minstd_rand random(std::random_device{}());
  std::uniform_int_distribution<std::int64_t> anything(0, kUpdatePauseMs);
  co_await pause(std::chrono::milliseconds(anything(random)));
}

}  // namespace

struct DynamoDbStore::Impl {
  Impl(const DynamoDbOptions& options, dynamodb::Client& client, Clock& clock_in, IdSource& ids_in,
       telemetry::Metrics& metrics)
      : updated_index(options.updated_index),
        clock(clock_in),
        ids(ids_in),
        operations(metrics),
        rows(std::make_shared<dynamodb::Rows>(client, options.tables, options.retention_seconds)),
        reader(*rows, clock),
        conversations(*rows, reader, clock, options.sealed_contents),
        renewer(std::make_shared<dynamodb::Renewer>(rows, clock, metrics)),
        steps(*rows, clock, ids),
        placer(*rows, reader),
        messages(steps, placer, *rows, reader, *renewer, clock),
        taker(*rows, clock, ids),
        turns(steps, placer, *rows, reader, *renewer, clock,
              options.owner.empty() ? ids.next(clock.now_ms()).to_string() : options.owner),
        purger(std::make_shared<dynamodb::Purger>(
            rows, dynamodb::PartsRecords(client, options.tables), renewer, clock,
            options.longest_turn, options.sweep_interval, options.removal_rate, metrics)),
        user_eraser(rows, client, clock, ids.next(clock.now_ms()).to_string(),
                    options.longest_turn),
        retention(std::make_shared<dynamodb::RetentionPass>(
            rows, renewer, purger, clock, ids, options.removal_rate, options.on_expired, metrics)),
        sizes(std::make_shared<dynamodb::TableSizes>(client, options.tables, metrics)) {}

  void stop() {
    purger->stop();
    renewer->stop();
    retention->stop();
    sizes->stop();
  }

  const bool updated_index;
  Clock& clock;
  IdSource& ids;
  OperationMetrics operations;
  std::shared_ptr<dynamodb::Rows> rows;
  dynamodb::MessageReader reader;
  dynamodb::ConversationReader conversations;
  std::shared_ptr<dynamodb::Renewer> renewer;
  dynamodb::WriteSteps steps;
  dynamodb::Placer placer;
  dynamodb::MessageWriter messages;
  dynamodb::Taker taker;
  dynamodb::TurnWriter turns;
  std::shared_ptr<dynamodb::Purger> purger;
  dynamodb::UserEraser user_eraser;
  std::shared_ptr<dynamodb::RetentionPass> retention;
  std::shared_ptr<dynamodb::TableSizes> sizes;
  std::shared_ptr<dynamodb::Background> background = std::make_shared<dynamodb::Background>();
};

DynamoDbStore::DynamoDbStore(DynamoDbOptions options, dynamodb::Client& client, Clock& clock,
                             IdSource& ids, telemetry::Metrics& metrics)
    : impl_(std::make_unique<Impl>(options, client, clock, ids, metrics)) {
  if (options.background) {
    using dynamodb::Background;
    const auto& executor = *options.background;
    Background::start(impl_->background, executor, dynamodb::Purger::run(impl_->purger));
    Background::start(impl_->background, executor, dynamodb::Renewer::run(impl_->renewer));
    Background::start(impl_->background, executor, dynamodb::RetentionPass::run(impl_->retention));
    Background::start(impl_->background, executor,
                      dynamodb::TableSizes::run(impl_->sizes, options.sizes_interval));
  }
}

DynamoDbStore::~DynamoDbStore() { impl_->stop(); }

Task<> DynamoDbStore::prepare() { return impl_->retention->note(); }

Task<bool> DynamoDbStore::close() {
  impl_->stop();
  co_return co_await impl_->background->wait_until_ended(kCloseBound);
}

Task<CreatedConversation> DynamoDbStore::create_conversation(UserId user,
                                                             NewConversation conversation,
                                                             std::optional<IdempotencyKey> key) {
  return create_sealed(std::move(user), std::move(conversation), std::move(key), nullptr);
}

Task<CreatedConversation> DynamoDbStore::create_sealed(UserId user, NewConversation conversation,
                                                       std::optional<IdempotencyKey> key,
                                                       SealingPointer sealing) {
  OperationTimer timer(impl_->operations.create_conversation);
  co_return co_await impl_->messages.create_conversation(std::move(user), std::move(conversation),
                                                         std::move(key), std::move(sealing));
}

Task<std::optional<Conversation>> DynamoDbStore::get_conversation(UserId user, ConversationId id) {
  OperationTimer timer(impl_->operations.get_conversation);
  co_return co_await impl_->conversations.conversation(std::move(user), id);
}

Task<ConversationPage> DynamoDbStore::list_conversations(UserId user, std::size_t limit,
                                                         std::optional<ConversationId> after) {
  OperationTimer timer(impl_->operations.list_conversations);
  ConversationPage page;
  if (limit == 0) co_return page;
  bool more = true;
  while (more && page.conversations.size() <= limit) {
    // One more than asked for, to know whether there are more.
    auto rows = co_await impl_->rows->conversations(user, after, limit + 1);
    for (auto& item : rows.items) {
      after = item.conversation.id;
      if (item.conversation.expired(impl_->clock.now_s())) continue;
      page.conversations.push_back(std::move(item.conversation));
    }
    more = rows.more;
  }
  if (page.conversations.size() > limit) {
    page.conversations.resize(limit);
    page.next = page.conversations.back().id;
  }
  co_return page;
}

Task<ActivityPage> DynamoDbStore::list_by_activity(UserId user, std::size_t limit,
                                                   std::optional<ActivityPosition> after) {
  if (!impl_->updated_index) co_return co_await Store::list_by_activity(user, limit, after);
  OperationTimer timer(impl_->operations.list_conversations);
  ActivityPage page;
  bool more = limit > 0;
  while (more && page.conversations.size() <= limit) {
    auto rows = co_await impl_->rows->conversations_by_activity(
        user, after, limit + 1 - page.conversations.size());
    for (auto& item : rows.items) {
      if (item.conversation.expired(impl_->clock.now_s())) continue;
      page.conversations.push_back(std::move(item.conversation));
    }
    after = rows.next;
    more = rows.next.has_value();
  }
  if (page.conversations.size() > limit) {
    page.conversations.resize(limit);
    const auto& last = page.conversations.back();
    page.next = ActivityPosition{last.updated_at_s, last.id};
  }
  co_return page;
}

Task<Conversation> DynamoDbStore::update_conversation(UserId user, ConversationId id,
                                                      ConversationPatch patch,
                                                      std::optional<std::uint64_t> if_version) {
  OperationTimer timer(impl_->operations.update_conversation);
  for (int tries = 0; tries < kUpdateTries; ++tries) {
    auto found = co_await impl_->rows->conversation(user, id);
    if (!found || found->conversation.expired(impl_->clock.now_s())) throw not_found();
    auto before = found->conversation;
    if (if_version && *if_version != before.version) throw changed_meanwhile();
    found->conversation = patched(before, patch, impl_->clock.now_s());
    auto& after = found->conversation;
    if (after == before) co_return before;
    if (patch.ttl_seconds && *patch.ttl_seconds && !before.ttl_seconds) {
      auto lease = co_await impl_->reader.running_lease(id);
      hold(after, lease, impl_->clock.now_s());
    }
    ++after.version;
    // Its messages are to have another removal time, or none.
    bool retimed = after.lifetime_seconds() != before.lifetime_seconds();
    if (retimed) found->mark_removals_pending();
    if (found->removals_pending()) {
      co_await impl_->rows->put_purge(user, id, impl_->clock.now_s());
    }
    auto change = impl_->ids.next(impl_->clock.now_ms()).to_string();
    bool replaced = co_await impl_->rows->replace_conversation(*found, before, change);
    if (replaced && retimed) impl_->renewer->after_activity(*found);
    if (replaced) co_return std::move(after);
    co_await pause_at_random();
  }
  throw unavailable("The conversation is being changed too often right now.");
}

Task<> DynamoDbStore::delete_conversation(UserId user, ConversationId id,
                                          std::optional<std::uint64_t> if_version) {
  OperationTimer timer(impl_->operations.delete_conversation);
  auto& rows = *impl_->rows;
  auto found = co_await rows.conversation(user, id);
  if (!found || found->conversation.expired(impl_->clock.now_s())) throw not_found();
  if (if_version && *if_version != found->conversation.version) throw changed_meanwhile();
  // First the promise that its messages go, then its own end.
  co_await rows.put_purge(user, id, impl_->clock.now_s());
  bool erased = co_await rows.erase_conversation(user, id, if_version);
  if (!erased) {
    auto now = co_await rows.conversation(user, id);
    if (!now) throw not_found();
    // The promise stays until a purge finds the conversation: it may be another deletion's by now.
    throw changed_meanwhile();
  }
  if (!found->idempotency.empty()) co_await rows.mark_deleted(found->idempotency);
  impl_->purger->wake();
}

Task<AppendedMessage> DynamoDbStore::append_message(UserId user, ConversationId id,
                                                    NewMessage message,
                                                    std::optional<IdempotencyKey> key) {
  return append_sealed(std::move(user), id, std::move(message), std::move(key), nullptr);
}

Task<AppendedMessage> DynamoDbStore::append_sealed(UserId user, ConversationId id,
                                                   NewMessage message,
                                                   std::optional<IdempotencyKey> key,
                                                   SealingPointer sealing) {
  OperationTimer timer(impl_->operations.append_message);
  co_return co_await impl_->messages.append(std::move(user), id, std::move(message), std::move(key),
                                            std::move(sealing));
}

Task<std::optional<AppendedMessage>> DynamoDbStore::find_appended(UserId user, ConversationId id,
                                                                  IdempotencyKey key) {
  OperationTimer timer(impl_->operations.find_appended);
  co_return co_await impl_->messages.find_appended(std::move(user), id, std::move(key));
}

Task<MessagePage> DynamoDbStore::list_messages(UserId user, ConversationId id, MessageRange range) {
  OperationTimer timer(impl_->operations.list_messages);
  co_return co_await impl_->conversations.list(std::move(user), id, range);
}

Task<> DynamoDbStore::recount(UserId user, ConversationId id) {
  OperationTimer timer(impl_->operations.list_messages);
  co_await impl_->conversations.recount(std::move(user), id);
}

Task<std::optional<Message>> DynamoDbStore::get_message(UserId user, ConversationId id,
                                                        MessageId message) {
  OperationTimer timer(impl_->operations.get_message);
  co_return co_await impl_->conversations.message(std::move(user), id, message);
}

Task<> DynamoDbStore::delete_message(UserId user, ConversationId id, MessageId message) {
  OperationTimer timer(impl_->operations.delete_message);
  co_await impl_->messages.delete_message(std::move(user), id, message);
}

Task<std::optional<RecentMessages>> DynamoDbStore::read_recent(UserId user, ConversationId id,
                                                               ContextSettings usual,
                                                               std::optional<TreePlace> up_to) {
  OperationTimer timer(impl_->operations.read_recent);
  co_return co_await impl_->conversations.recent(std::move(user), id, usual, up_to);
}

Task<StartedTurn> DynamoDbStore::start_turn(UserId user, NewTurn turn,
                                            std::optional<IdempotencyKey> key) {
  return start_sealed(std::move(user), std::move(turn), std::move(key), nullptr);
}

Task<StartedTurn> DynamoDbStore::start_sealed(UserId user, NewTurn turn,
                                              std::optional<IdempotencyKey> key,
                                              SealingPointer sealing) {
  OperationTimer timer(impl_->operations.start_turn);
  if (turn.conversation_id.has_value() == turn.new_conversation.has_value()) {
    throw internal_error("a turn needs a conversation, either new or not");
  }
  co_return co_await impl_->turns.start_turn(std::move(user), std::move(turn), std::move(key),
                                             std::move(sealing));
}

Task<std::optional<StartedTurn>> DynamoDbStore::find_turn(UserId user,
                                                          std::optional<ConversationId> id,
                                                          IdempotencyKey key) {
  OperationTimer timer(impl_->operations.find_turn);
  co_return co_await impl_->turns.find_turn(std::move(user), id, std::move(key));
}

Task<FinishedTurn> DynamoDbStore::finish_turn(UserId user, ConversationId id, Message reply) {
  OperationTimer timer(impl_->operations.finish_turn);
  if (reply.status == MessageStatus::kRunning) {
    throw internal_error("a finished answer cannot be running");
  }
  co_return co_await impl_->turns.finish_turn(std::move(user), id, std::move(reply));
}

Task<bool> DynamoDbStore::save_partial(UserId user, ConversationId id, Message reply) {
  OperationTimer timer(impl_->operations.save_partial);
  co_return co_await impl_->turns.save_partial(std::move(user), id, std::move(reply));
}

Task<std::optional<std::string>> DynamoDbStore::find_owner(UserId user, ConversationId id,
                                                           MessageId reply) {
  OperationTimer timer(impl_->operations.find_owner);
  auto both = co_await side_by_side(impl_->conversations.conversation(user, id),
                                    impl_->reader.find(id, reply));
  auto& [conversation, found] = both;
  if (!conversation || !found.item) co_return std::nullopt;
  co_return impl_->turns.owner_elsewhere(*found.item);
}

Task<bool> DynamoDbStore::take(Conversation conversation, std::vector<Message> messages) {
  OperationTimer timer(impl_->operations.take);
  co_return co_await impl_->taker.take(std::move(conversation), std::move(messages));
}

Task<> DynamoDbStore::begin_erasure(UserId user) {
  co_await impl_->user_eraser.begin(std::move(user));
}

Task<std::vector<Erasure>> DynamoDbStore::unfinished_erasures() {
  co_return co_await impl_->user_eraser.unfinished();
}

std::optional<std::chrono::milliseconds> DynamoDbStore::lookout() const {
  return dynamodb::UserEraser::kLookout;
}

Task<> DynamoDbStore::stop_looking() { co_await impl_->user_eraser.stop_looking(); }

Task<> DynamoDbStore::acknowledge_erasure(Erasure erasure) {
  co_await impl_->user_eraser.acknowledge(std::move(erasure));
}

Task<bool> DynamoDbStore::claim_erasure(Erasure erasure) {
  co_return co_await impl_->user_eraser.claim(std::move(erasure));
}

Task<Erasures::Left> DynamoDbStore::erase_some(Erasure erasure) {
  co_return co_await impl_->user_eraser.erase_some(std::move(erasure));
}

Task<std::int64_t> DynamoDbStore::seal_erasure(Erasure erasure) {
  co_return co_await impl_->user_eraser.seal(std::move(erasure));
}

Task<> DynamoDbStore::end_erasure(Erasure erasure, std::int64_t at_ms) {
  co_await impl_->user_eraser.end(std::move(erasure), at_ms);
}

Task<std::vector<ErasedUser>> DynamoDbStore::erased_users(std::string after) {
  co_return co_await impl_->rows->erased_users(std::move(after));
}

StoreStats DynamoDbStore::stats() { return impl_->sizes->stats(); }

std::string DynamoDbStore::not_ready_reason() { return {}; }

Task<> DynamoDbStore::settle_now() {
  co_await impl_->retention->pass_now();
  co_await impl_->purger->sweep(true);
  co_await impl_->renewer->renew_waiting();
}

}  // namespace colloquy::store
