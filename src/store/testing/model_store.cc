#include "store/testing/model_store.h"

#include <algorithm>

#include "base/error.h"
#include "store/parents.h"

namespace colloquy::store {

void ModelStore::use_ids(std::optional<ConversationId> conversation,
                         std::vector<MessageId> messages) {
  std::scoped_lock lock(mutex_);
  given_conversation_ = conversation;
  std::reverse(messages.begin(), messages.end());
  given_messages_ = std::move(messages);
}

ModelStore::Held* ModelStore::find(const UserId& user, const ConversationId& id) {
  auto found = held_.find({user, id});
  if (found == held_.end() || found->second.conversation.expired(clock_.now_s())) return nullptr;
  return &found->second;
}

ModelStore::Held& ModelStore::get(const UserId& user, const ConversationId& id) {
  auto* held = find(user, id);
  if (held == nullptr) throw not_found();
  return *held;
}

Message ModelStore::seen(const Kept& kept) const {
  auto message = kept.message;
  bool lease_passed = kept.lease_until_s != 0 && kept.lease_until_s <= clock_.now_s();
  if (message.status == MessageStatus::kRunning && lease_passed) {
    message.status = MessageStatus::kInterrupted;
  }
  return message;
}

std::vector<Message> ModelStore::all(const Held& held) const {
  std::vector<Message> all;
  for (const auto& [id, kept] : held.messages) all.push_back(seen(kept));
  link_parents(held.conversation.tree, all);
  return all;
}

Message ModelStore::seen(Held& held, const MessageId& id) {
  for (auto& message : all(held)) {
    if (message.id == id) return message;
  }
  throw not_found();
}

ModelStore::Held& ModelStore::get_made(const UserId& user, const ConversationId& id) {
  auto* held = find(user, id);
  if (held == nullptr) throw result_deleted();
  return *held;
}

Message ModelStore::seen_made(Held& held, const MessageId& id) {
  if (!held.messages.contains(id)) throw result_deleted();
  return seen(held, id);
}

ModelStore::Remembered* ModelStore::earlier(const UserId& user,
                                            const std::optional<IdempotencyKey>& key,
                                            const std::optional<ConversationId>& conversation) {
  if (!key) return nullptr;
  auto found = remembered_.find({user, key->key});
  if (found == remembered_.end() || found->second.request.expires_at_s <= clock_.now_s()) {
    return nullptr;
  }
  bool same = found->second.request.fingerprint == key->fingerprint &&
              (!conversation || *conversation == found->second.conversation);
  if (!same) throw key_reused(*key);
  return &found->second;
}

void ModelStore::remember(const UserId& user, const std::optional<IdempotencyKey>& key,
                          Remembered made) {
  if (!key) return;
  made.request = *key;
  remembered_[{user, key->key}] = std::move(made);
}

ModelStore::Held& ModelStore::add(const UserId& user, NewConversation from) {
  auto id = ids_.next(clock_.now_ms());
  if (id <= last_conversation_.uuid()) id = last_conversation_.uuid().successor();
  if (given_conversation_) id = std::exchange(given_conversation_, std::nullopt)->uuid();
  last_conversation_ = ConversationId(id);
  auto& held = held_[{user, last_conversation_}];
  auto& conversation = held.conversation;
  conversation.user_id = user;
  conversation.id = last_conversation_;
  conversation.title = std::move(from.title);
  conversation.system_prompt = std::move(from.system_prompt);
  conversation.metadata = std::move(from.metadata);
  conversation.ttl_seconds = from.ttl_seconds;
  conversation.temporary = from.temporary;
  conversation.context = from.context;
  conversation.created_at_s = clock_.now_s();
  conversation.updated_at_s = clock_.now_s();
  conversation.version = 1;
  return held;
}

ModelStore::Kept& ModelStore::append(Held& held, NewMessage from) {
  auto id = ids_.next(clock_.now_ms());
  if (id <= held.last.uuid()) id = held.last.uuid().successor();
  if (!given_messages_.empty()) {
    id = given_messages_.back().uuid();
    given_messages_.pop_back();
  }
  std::optional<MessageId> tip = MessageId();
  auto way = Path::active(held.conversation.tree);
  for (const auto& [earlier, kept] : held.messages) {
    if (way.contains(kept.message.branch, earlier)) tip = earlier;
  }
  auto& tree = held.conversation.tree;
  auto branch = from.place ? branch_after(tree, *from.place, MessageId(id), tip)
                           : branch_at_end(tree, MessageId(id));
  held.last = MessageId(id);
  auto& kept = held.messages[held.last];
  kept.message.branch = branch;
  kept.message.id = held.last;
  kept.message.role = from.role;
  kept.message.content = std::move(from.content);
  kept.message.metadata = std::move(from.metadata);
  kept.message.client_message_id = std::move(from.client_message_id);
  kept.message.attachments = std::move(from.attachments);
  kept.message.timestamp_s = clock_.now_s();
  held.conversation.updated_at_s = clock_.now_s();
  ++held.conversation.message_count;
  return kept;
}

Task<CreatedConversation> ModelStore::create_conversation(UserId user, NewConversation conversation,
                                                          std::optional<IdempotencyKey> key) {
  std::scoped_lock lock(mutex_);
  if (auto* made = earlier(user, key, std::nullopt)) {
    co_return CreatedConversation{get_made(user, made->conversation).conversation, true};
  }
  auto& held = add(user, std::move(conversation));
  remember(user, key, {{}, held.conversation.id, {}, {}});
  co_return CreatedConversation{held.conversation, false};
}

Task<std::optional<Conversation>> ModelStore::get_conversation(UserId user, ConversationId id) {
  std::scoped_lock lock(mutex_);
  auto* held = find(user, id);
  if (held == nullptr) co_return std::nullopt;
  co_return held->conversation;
}

Task<ConversationPage> ModelStore::list_conversations(UserId user, std::size_t limit,
                                                      std::optional<ConversationId> after) {
  std::scoped_lock lock(mutex_);
  ConversationPage page;
  for (auto at = held_.rbegin(); at != held_.rend(); ++at) {
    const auto& [place, held] = *at;
    if (place.first != user || (after && place.second >= *after)) continue;
    if (held.conversation.expired(clock_.now_s())) continue;
    if (page.conversations.size() == limit) {
      page.next = page.conversations.back().id;
      break;
    }
    page.conversations.push_back(held.conversation);
  }
  co_return page;
}

std::int64_t ModelStore::last_lease(const UserId& user, const ConversationId& id) {
  std::int64_t lease = 0;
  for (const auto& [message_id, kept] : get(user, id).messages) {
    if (seen(kept).status == MessageStatus::kRunning) lease = std::max(lease, kept.lease_until_s);
  }
  return lease;
}

Task<Conversation> ModelStore::update_conversation(UserId user, ConversationId id,
                                                   ConversationPatch patch,
                                                   std::optional<std::uint64_t> if_version) {
  std::scoped_lock lock(mutex_);
  auto& conversation = get(user, id).conversation;
  if (if_version && *if_version != conversation.version) {
    throw Error(ErrorCode::kPreconditionFailed, "The conversation has changed in the meantime.");
  }
  auto before = conversation;
  auto lease = counts_at_once_ ? 0 : last_lease(user, id);
  conversation = patched(before, patch, clock_.now_s());
  if (!counts_at_once_ && conversation.ttl_seconds && !before.ttl_seconds) {
    hold(conversation, lease, clock_.now_s());
  }
  if (conversation != before) ++conversation.version;
  co_return conversation;
}

Task<> ModelStore::delete_conversation(UserId user, ConversationId id,
                                       std::optional<std::uint64_t> if_version) {
  std::scoped_lock lock(mutex_);
  auto& held = get(user, id);
  if (if_version && *if_version != held.conversation.version) {
    throw Error(ErrorCode::kPreconditionFailed, "The conversation has changed in the meantime.");
  }
  held_.erase({user, id});
  co_return;
}

Task<AppendedMessage> ModelStore::append_message(UserId user, ConversationId id, NewMessage message,
                                                 std::optional<IdempotencyKey> key) {
  std::scoped_lock lock(mutex_);
  auto& held = get(user, id);
  if (auto* made = earlier(user, key, id)) {
    co_return AppendedMessage{seen_made(held, made->message), true};
  }
  auto& kept = append(held, std::move(message));
  ++held.conversation.version;
  remember(user, key, {{}, id, kept.message.id, {}});
  co_return AppendedMessage{seen(held, kept.message.id), false};
}

Task<std::optional<AppendedMessage>> ModelStore::find_appended(UserId user, ConversationId id,
                                                               IdempotencyKey key) {
  std::scoped_lock lock(mutex_);
  auto& held = get(user, id);
  auto* made = earlier(user, key, id);
  if (made == nullptr) co_return std::nullopt;
  co_return AppendedMessage{seen_made(held, made->message), true};
}

Task<MessagePage> ModelStore::list_messages(UserId user, ConversationId id, MessageRange range) {
  std::scoped_lock lock(mutex_);
  auto& held = get(user, id);
  auto way = range.all_branches ? Path::all() : Path::active(held.conversation.tree);
  auto all = this->all(held);
  std::erase_if(all, [&](const Message& message) {
    return (range.before && message.id >= *range.before) ||
           (range.after && message.id <= *range.after) || !way.contains(message.branch, message.id);
  });
  if (!range.after) std::reverse(all.begin(), all.end());
  MessagePage page;
  page.conversation = held.conversation;
  std::size_t bytes = 0;
  for (auto& message : all) {
    bytes += message.content.size();
    bool full =
        page.messages.size() == range.limit || (bytes > range.max_bytes && !page.messages.empty());
    if (full) {
      page.more = true;
      break;
    }
    page.messages.push_back(std::move(message));
  }
  if (!range.after) std::reverse(page.messages.begin(), page.messages.end());
  co_return page;
}

Task<std::optional<Message>> ModelStore::get_message(UserId user, ConversationId id,
                                                     MessageId message) {
  std::scoped_lock lock(mutex_);
  auto* held = find(user, id);
  if (held == nullptr || !held->messages.contains(message)) co_return std::nullopt;
  co_return seen(*held, message);
}

Task<> ModelStore::delete_message(UserId user, ConversationId id, MessageId message) {
  std::scoped_lock lock(mutex_);
  auto& held = get(user, id);
  if (seen(held, message).status == MessageStatus::kRunning) {
    throw Error(ErrorCode::kConflict, "The message is an answer that is still being written.");
  }
  held.messages.erase(message);
  auto& summary = held.conversation.summary;
  if (summary && message <= summary->up_to) summary.reset();
  --held.conversation.message_count;
  ++held.conversation.version;
  co_return;
}

Task<std::optional<RecentMessages>> ModelStore::read_recent(UserId user, ConversationId id,
                                                            ContextSettings usual,
                                                            std::optional<TreePlace> up_to) {
  std::scoped_lock lock(mutex_);
  auto* held = find(user, id);
  if (held == nullptr) co_return std::nullopt;
  RecentMessages recent;
  recent.conversation = held->conversation;
  const auto& tree = held->conversation.tree;
  auto range = recent_range(resolved(held->conversation.context, usual));
  std::size_t bytes = 0;
  if (!held->messages.empty()) recent.newest = held->messages.rbegin()->first;
  auto way = up_to ? Path::to(tree, *up_to) : Path::active(tree);
  auto on_way = all(*held);
  std::erase_if(on_way, [&](const Message& each) { return !way.contains(each.branch, each.id); });
  if (!on_way.empty()) recent.tip = on_way.back().id;
  auto left = recent_rows(range.messages);
  for (; !on_way.empty() && left > 0; on_way.pop_back(), --left) {
    if (recent.messages.size() == range.messages || bytes >= range.content_bytes) break;
    auto& message = on_way.back();
    if (message.content.empty() || message.status == MessageStatus::kRunning) continue;
    bytes += message.content.size();
    message.parent.reset();
    recent.messages.insert(recent.messages.begin(), std::move(message));
  }
  recent.whole = on_way.empty();
  co_return recent;
}

StartedTurn ModelStore::replay(const UserId& user, const Remembered& made) {
  auto& held = get_made(user, made.conversation);
  return {held.conversation, seen_made(held, made.message), seen_made(held, made.reply), true};
}

Task<StartedTurn> ModelStore::start_turn(UserId user, NewTurn turn,
                                         std::optional<IdempotencyKey> key) {
  std::scoped_lock lock(mutex_);
  if (turn.conversation_id) get(user, *turn.conversation_id);
  if (auto* made = earlier(user, key, turn.conversation_id)) co_return replay(user, *made);
  bool is_new = turn.new_conversation.has_value();
  auto& held =
      is_new ? add(user, std::move(*turn.new_conversation)) : get(user, *turn.conversation_id);
  auto updated_at_s = held.conversation.updated_at_s;
  NewMessage answer;
  answer.role = Role::kAssistant;
  Message prompt;
  if (turn.answered) {
    prompt = *turn.answered;
    answer.place = TreePlace{prompt.branch, prompt.id};
  } else {
    auto prompt_id = append(held, std::move(turn.prompt)).message.id;
    prompt = seen(held, prompt_id);
    if (given_messages_.empty()) given_messages_.push_back(prompt.id.successor());
  }
  auto& reply = append(held, std::move(answer));
  reply.message.status = MessageStatus::kRunning;
  reply.message.model = turn.model;
  reply.lease_until_s = turn.lease_until_s;
  if (counts_at_once_ || held.conversation.ttl_seconds) {
    hold(held.conversation, turn.lease_until_s, clock_.now_s());
  }
  if (!is_new) ++held.conversation.version;
  remember(user, key, {{}, held.conversation.id, prompt.id, reply.message.id});
  StartedTurn started{held.conversation, prompt, seen(held, reply.message.id), false};
  // Holding the expiry off is a change of the conversation in itself.
  if (!counts_at_once_ && !held.conversation.ttl_seconds) {
    held.conversation.updated_at_s = updated_at_s;
  }
  co_return started;
}

Task<std::optional<StartedTurn>> ModelStore::find_turn(UserId user,
                                                       std::optional<ConversationId> id,
                                                       IdempotencyKey key) {
  std::scoped_lock lock(mutex_);
  if (id) get(user, *id);
  auto* made = earlier(user, key, id);
  if (made == nullptr) co_return std::nullopt;
  co_return replay(user, *made);
}

Task<FinishedTurn> ModelStore::finish_turn(UserId user, ConversationId id, Message reply) {
  std::scoped_lock lock(mutex_);
  auto& held = get(user, id);
  auto found = held.messages.find(reply.id);
  if (found == held.messages.end()) throw not_found();
  if (found->second.message.status == MessageStatus::kRunning) {
    reply.timestamp_s = clock_.now_s();
    reply.branch = found->second.message.branch;
    found->second.message = std::move(reply);
    held.conversation.updated_at_s = clock_.now_s();
    release(held.conversation, found->second.lease_until_s);
    ++held.conversation.version;
  }
  co_return FinishedTurn{held.conversation, found->second.message};
}

Task<bool> ModelStore::save_partial(UserId user, ConversationId id, Message reply) {
  std::scoped_lock lock(mutex_);
  auto* held = find(user, id);
  if (held == nullptr) co_return false;
  auto found = held->messages.find(reply.id);
  if (found == held->messages.end()) co_return false;
  if (seen(found->second).status != MessageStatus::kRunning) co_return false;
  found->second.message.content = std::move(reply.content);
  co_return true;
}

StoreStats ModelStore::stats() {
  std::scoped_lock lock(mutex_);
  StoreStats stats;
  for (const auto& [place, held] : held_) {
    ++stats.conversations;
    stats.messages += held.messages.size();
  }
  return stats;
}

}  // namespace colloquy::store
