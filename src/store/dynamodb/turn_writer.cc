#include "store/dynamodb/turn_writer.h"

#include <chrono>
#include <utility>

#include "base/error.h"
#include "base/pause.h"
#include "base/side_by_side.h"

namespace colloquy::store::dynamodb {

namespace {

constexpr auto kWithOlder = MessageReader::Look::kWithOlder;

std::optional<TreePlace> place_of(const NewTurn& turn) {
  if (turn.answered) return TreePlace{turn.answered->branch, turn.answered->id};
  return turn.prompt.place;
}

// The message that is written first.
const MessageId& first_of(const KeyedItem& made) {
  return made.has_prompt() ? made.message_id : made.reply_id;
}

RunningTurn running_turn(const KeyedItem& made, const Conversation& conversation) {
  RunningTurn running;
  running.user = conversation.user_id;
  running.conversation = conversation.id;
  if (made.has_prompt()) {
    running.prompt = made.message_id;
  } else {
    running.answers = made.message_id;
    running.idempotency = made.hash_key;
  }
  running.lease_until_s = made.lease_until_s;
  running.lifetime_seconds = conversation.lifetime_seconds();
  running.holds = conversation.held_until_s != 0 && conversation.held_until_s == made.lease_until_s;
  return running;
}

Error no_id() { return unavailable("The message could not be given an id. Send it again."); }

}  // namespace

// The prompt, whose row says that an answer is to come; nullopt when another server has written it.
Task<std::optional<StartedTurn>> TurnWriter::write_turn(const KeyedItem& made,
                                                        Placer::Placed placed, const NewTurn& turn,
                                                        SealedWrites::SealingPointer sealing) {
  auto& conversation = placed.conversation;
  auto prompt =
      steps_.message_item(conversation, placed.branch, made.message_id, turn.prompt, sealing);
  prompt.idempotency = made.hash_key;
  prompt.reply = PendingReply{made.reply_id, made.owner, made.lease_until_s, turn.model};
  prompt.ttl = steps_.removal_time(conversation.lifetime_seconds(), made.lease_until_s);
  StartedTurn started;
  started.prompt = prompt.message;
  started.prompt.parent = co_await placer_.parent(placed, made.message_id);
  started.reply = answer_to_come(prompt, clock_.now_s()).message;
  started.reply.parent = started.prompt.id;
  bool inserted = co_await rows_.insert_message(prompt, Rows::Insert::kNew);
  if (!inserted && made.hash_key.empty()) throw no_id();
  if (!inserted) {
    auto there = co_await rows_.message(conversation.id, made.message_id);
    bool ours = there && there->reply && there->reply->owner == owner_;
    if (!ours) co_return std::nullopt;
    // Its turn may have been run, and have ended, since this request looked for it.
    auto answer = co_await reader_.find(conversation.id, made.reply_id);
    if (answer.is_written) co_return std::nullopt;
  }
  started.conversation = std::move(conversation);
  started.conversation.message_count += 2;
  started.conversation.updated_at_s = started.prompt.timestamp_s;
  co_return started;
}

// The place of another answer to a message that is there; nullopt when another server has it.
Task<std::optional<StartedTurn>> TurnWriter::write_answer(const KeyedItem& made,
                                                          Placer::Placed placed,
                                                          const NewTurn& turn) {
  auto& conversation = placed.conversation;
  MessageItem answer;
  answer.conversation_id = conversation.id;
  answer.user_id = conversation.user_id;
  answer.idempotency = made.hash_key;
  answer.answers = made.message_id;
  answer.ttl = steps_.removal_time(conversation.lifetime_seconds(), made.lease_until_s);
  answer.running = PendingReply{made.reply_id, made.owner, made.lease_until_s, turn.model};
  auto& message = answer.message;
  message.id = made.reply_id;
  message.role = Role::kAssistant;
  message.status = MessageStatus::kRunning;
  message.model = turn.model;
  message.timestamp_s = clock_.now_s();
  message.branch = placed.branch;
  StartedTurn started;
  started.prompt = *turn.answered;
  started.reply = message;
  started.reply.parent = turn.answered->id;
  bool inserted = co_await rows_.insert_message(answer, Rows::Insert::kNew);
  if (!inserted && made.hash_key.empty()) throw no_id();
  if (!inserted) {
    auto there = co_await rows_.message(conversation.id, made.reply_id);
    bool ours = there && there->running && there->running->owner == owner_;
    if (!ours) co_return std::nullopt;
  }
  started.conversation = std::move(conversation);
  started.conversation.message_count += 1;
  started.conversation.updated_at_s = started.reply.timestamp_s;
  co_return started;
}

// `repeats`: an earlier attempt may have written the turn already.
Task<Placer::Placed> TurnWriter::place_turn(Conversation conversation, const NewTurn& turn,
                                            KeyedItem made, std::optional<MessageId> newest,
                                            bool repeats) {
  if (repeats) {
    auto found = co_await reader_.find(conversation.id, first_of(made));
    if (found.is_written && found.item) {
      Placer::Placed placed;
      placed.branch = found.item->message.branch;
      placed.newest = newest;
      placed.conversation = std::move(conversation);
      co_return placed;
    }
  }
  co_return co_await placer_.place(std::move(conversation), place_of(turn), first_of(made), newest);
}

Task<StartedTurn> TurnWriter::start_turn(UserId user, NewTurn turn,
                                         std::optional<IdempotencyKey> key,
                                         SealedWrites::SealingPointer sealing) {
  std::optional<Conversation> conversation = std::move(turn.seen);
  std::optional<MessageId> newest = turn.newest_seen;
  if (turn.conversation_id && !conversation) {
    auto both = co_await side_by_side(steps_.require(user, *turn.conversation_id),
                                      reader_.newest(*turn.conversation_id, Path::all()));
    conversation = std::move(both.first);
    newest = both.second;
  }
  auto place = place_of(turn);
  auto next = steps_.next_message_id(conversation ? Placer::greatest(*conversation, place, newest)
                                                  : newest);
  KeyedItem made;
  made.kind = KeyedKind::kTurn;
  made.made_at_s = clock_.now_s();
  made.conversation_id = conversation ? conversation->id : steps_.next_conversation_id();
  made.message_id = turn.answered ? turn.answered->id : next;
  made.reply_id = turn.answered ? next : next.successor();
  made.owner = owner_;
  made.lease_until_s = turn.lease_until_s;
  if (conversation) {
    auto refusal = Placer::refusal(*conversation, place, next, newest);
    co_await steps_.refuse_unless_repeat(user, key, std::move(refusal));
  }
  bool repeats = false;
  if (key) {
    WriteSteps::set_key(made, user, *key);
    auto earlier = co_await steps_.claim(*key, made);
    if (earlier) {
      if (conversation && earlier->conversation_id != conversation->id) throw key_reused(*key);
      auto replayed = co_await replay_turn(user, turn.conversation_id, *earlier);
      if (replayed) co_return std::move(*replayed);
      if (!conversation && steps_.had_expired(*turn.new_conversation, earlier->made_at_s)) {
        throw result_deleted();
      }
      // Whoever came first did not get as far as writing it. It is this server's turn now.
      repeats = true;
      made = std::move(*earlier);
      made.owner = owner_;
      made.lease_until_s = turn.lease_until_s;
    }
  }
  if (!conversation) {
    conversation = co_await steps_.insert_conversation(made, user, *turn.new_conversation,
                                                       made.lease_until_s, sealing);
  } else if (must_hold(*conversation, made.lease_until_s)) {
    conversation = co_await rows_.hold(user, conversation->id, made.lease_until_s, clock_.now_s());
    if (!conversation) throw not_found();
  }
  auto placed = co_await place_turn(std::move(*conversation), turn, made, newest, repeats);
  bool is_first = running_.begin(made.reply_id, running_turn(made, placed.conversation));
  std::optional<StartedTurn> started;
  if (is_first) {
    try {
      if (made.has_prompt()) {
        started = co_await write_turn(made, std::move(placed), turn, sealing);
      } else {
        started = co_await write_answer(made, std::move(placed), turn);
      }
    } catch (...) {
      running_.forget(made.reply_id);
      throw;
    }
    if (started) co_return std::move(*started);
    running_.forget(made.reply_id);
  }
  co_return co_await await_turn(std::move(user), turn.conversation_id, std::move(made));
}

// The turn of a key, which another request is about to begin at this moment.
Task<StartedTurn> TurnWriter::await_turn(UserId user, std::optional<ConversationId> named,
                                         KeyedItem made) {
  constexpr int kLooks = 100;
  constexpr auto kBetween = std::chrono::milliseconds(50);
  for (int look = 0; look < kLooks; ++look) {
    // Before the look: it may begin, and end, while that is under way.
    const bool failed = made.owner == owner_ && !running_.contains(made.reply_id);
    auto begun = co_await replay_turn(user, named, made);
    if (begun) co_return std::move(*begun);
    if (failed) break;
    co_await pause(kBetween);
  }
  throw unavailable("The answer is being begun by another request.");
}

// What an earlier request has begun, as it is by now; nullopt when it did not get as far as that.
Task<std::optional<StartedTurn>> TurnWriter::replay_turn(UserId user,
                                                         std::optional<ConversationId> named,
                                                         const KeyedItem& earlier) {
  auto id = earlier.conversation_id;
  auto both = co_await side_by_side(rows_.conversation(user, id),
                                    reader_.find(id, earlier.reply_id, kWithOlder));
  auto& [conversation, found] = both;
  if (!conversation || conversation->conversation.expired(clock_.now_s())) {
    if (named) throw not_found();
    if (earlier.deleted || conversation) throw result_deleted();
    co_return std::nullopt;
  }
  auto prompt = co_await reader_.find(id, earlier.message_id, kWithOlder);
  // Written between the two looks.
  bool owes = prompt.item && prompt.item->reply && prompt.item->reply->id == earlier.reply_id;
  if (!found.item && owes) found = co_await reader_.find(id, earlier.reply_id, kWithOlder);
  bool begun = found.item.has_value() || (earlier.has_prompt() && prompt.item.has_value());
  if (!begun && !earlier.deleted) co_return std::nullopt;
  // It was written, but this server never learned that it was.
  bool was_given_up = found.item && found.item->running &&
                      found.item->message.status == MessageStatus::kRunning &&
                      found.item->running->owner == owner_ && !running_.contains(earlier.reply_id);
  if (was_given_up) co_return std::nullopt;
  if (!found.item || !prompt.item) throw result_deleted();
  StartedTurn started;
  started.conversation = std::move(conversation->conversation);
  prompt.item->message.parent = co_await reader_.parent(started.conversation, prompt);
  found.item->message.parent = co_await reader_.parent(started.conversation, found);
  started.prompt = std::move(prompt.item->message);
  started.reply = std::move(found.item->message);
  started.replayed = true;
  co_return started;
}

Task<std::optional<StartedTurn>> TurnWriter::find_turn(UserId user,
                                                       std::optional<ConversationId> id,
                                                       IdempotencyKey key) {
  if (id) co_await steps_.require(user, *id);
  auto earlier = co_await rows_.keyed(keyed_hash_key(user, key.key));
  if (!earlier || earlier->expires_at_s <= clock_.now_s()) co_return std::nullopt;
  bool same = earlier->fingerprint == key.fingerprint && earlier->kind == KeyedKind::kTurn &&
              (!id || earlier->conversation_id == *id);
  if (!same) throw key_reused(key);
  co_return co_await replay_turn(std::move(user), id, *earlier);
}

Task<TurnWriter::LateTurn> TurnWriter::look_up_turn(UserId user, ConversationId id,
                                                    MessageId reply) {
  auto both = co_await side_by_side(steps_.require(user, id), reader_.find(id, reply, kWithOlder));
  auto& [conversation, found] = both;
  if (!found.item) throw not_found();
  LateTurn late;
  late.turn.user = std::move(user);
  late.turn.conversation = id;
  late.turn.answers = found.item->answers;
  if (late.turn.answers) {
    late.turn.idempotency = found.item->idempotency;
  } else {
    late.turn.prompt = reply.predecessor();
  }
  late.turn.lease_until_s = found.item->running ? found.item->running->lease_until_s : 0;
  late.turn.lifetime_seconds = conversation.lifetime_seconds();
  late.turn.holds =
      conversation.held_until_s != 0 && conversation.held_until_s == late.turn.lease_until_s;
  bool finished = found.is_written && !found.item->running;
  if (finished) {
    found.item->message.parent = co_await reader_.parent(conversation, found);
    late.saved = std::move(found.item->message);
  }
  late.conversation = std::move(conversation);
  co_return late;
}

// The conversation was deleted while the model answered: nothing of the turn may stay.
Task<> TurnWriter::take_back(const RunningTurn& turn, const MessageItem& reply) {
  co_await rows_.erase_message(turn.conversation, reply.message.id, reply.parts);
  if (turn.prompt) co_await rows_.erase_message(turn.conversation, *turn.prompt, 0);
}

Task<bool> TurnWriter::save_partial(UserId user, ConversationId id, Message reply) {
  auto running = running_.find(user, id, reply.id);
  if (!running) co_return false;
  if (reply.content.size() > Rows::kPartBytes) co_return true;
  // The condition of the write itself cannot see that the conversation was deleted.
  auto conversation = co_await rows_.conversation(user, id);
  if (!conversation || conversation->conversation.expired(clock_.now_s())) co_return false;
  MessageItem item;
  item.message = std::move(reply);
  item.message.status = MessageStatus::kRunning;
  item.conversation_id = id;
  item.user_id = std::move(user);
  item.running = PendingReply{item.message.id, owner_, running->lease_until_s, item.message.model};
  item.answers = running->answers;
  item.idempotency = running->idempotency;
  item.ttl = steps_.removal_time(running->lifetime_seconds, running->lease_until_s);
  co_return co_await rows_.insert_message(item, Rows::Insert::kInPlaceOfRunning);
}

std::optional<std::string> TurnWriter::owner_elsewhere(const MessageItem& answer) const {
  bool running = answer.message.status == MessageStatus::kRunning && answer.running;
  if (!running || answer.running->owner == owner_) return std::nullopt;
  return answer.running->owner;
}

Task<FinishedTurn> TurnWriter::finish_turn(UserId user, ConversationId id, Message reply) {
  auto running = running_.find(user, id, reply.id);
  if (!running) {
    auto late = co_await look_up_turn(user, id, reply.id);
    if (late.saved) co_return FinishedTurn{std::move(late.conversation), std::move(*late.saved)};
    running = std::move(late.turn);
  }
  MessageItem item;
  item.message = std::move(reply);
  item.message.timestamp_s = clock_.now_s();
  item.conversation_id = id;
  item.user_id = user;
  item.idempotency = running->idempotency;
  item.ttl = steps_.removal_time(running->lifetime_seconds, 0);
  auto reply_id = item.message.id;
  // It goes out of the item and into parts.
  std::string long_content;
  if (item.message.content.size() > Rows::kPartBytes) long_content = item.message.content;
  bool inserted = co_await rows_.insert_message(item, Rows::Insert::kInPlaceOfRunning);
  if (item.parts > 0) item.message.content = std::move(long_content);
  if (!inserted) {
    // It is there already, from an attempt before.
    auto saved = co_await reader_.find(id, reply_id);
    auto parent = item.message.parent;
    if (saved.item) item.message = std::move(saved.item->message);
    item.message.parent = parent;
  }
  Touch touch;
  touch.change = running->first(reply_id).to_string();
  touch.count_change = running->prompt ? 2 : 1;
  touch.updated_at_s = item.message.timestamp_s;
  touch.lifetime_seconds = running->lifetime_seconds;
  if (running->holds) touch.release = running->lease_until_s;
  auto after = co_await rows_.touch(user, id, std::move(touch));
  if (!after) {
    co_await take_back(*running, item);
    throw not_found();
  }
  running_.forget(reply_id);
  renewer_.after_activity(*after);
  // A time to live was set while it ran.
  auto held_until_s = after->conversation.held_until_s;
  bool held = !running->holds && held_until_s != 0 && held_until_s == running->lease_until_s;
  if (held) {
    Touch release;
    release.change = "released " + reply_id.to_string();
    release.updated_at_s = clock_.now_s();
    release.lifetime_seconds = after->conversation.lifetime_seconds();
    release.release = running->lease_until_s;
    auto released = co_await rows_.touch(user, id, std::move(release));
    if (released) after = std::move(released);
  }
  co_return FinishedTurn{std::move(after->conversation), std::move(item.message)};
}

}  // namespace colloquy::store::dynamodb
