#include "store/rocksdb/operations.h"

#include <utility>

#include "base/error.h"
#include "store/rocksdb/keys.h"
#include "store/sealed_sizes.h"

namespace colloquy::store {
namespace {

std::size_t metadata_bytes(const std::map<std::string, std::optional<std::string>>& pairs) {
  std::size_t sum = 0;
  for (const auto& [name, value] : pairs) sum += 64 + name.size() + (value ? value->size() : 0);
  return sum;
}

std::size_t metadata_bytes(const Metadata& metadata) {
  std::size_t sum = 0;
  for (const auto& [name, value] : metadata) sum += 64 + name.size() + value.size();
  return sum;
}

std::size_t bytes_of(const NewConversation& conversation) {
  return conversation.title.size() + conversation.system_prompt.size() +
         metadata_bytes(conversation.metadata);
}

std::string encoded(const MessageRecord& record) {
  std::string out;
  encode(record, out);
  return out;
}

std::string encoded(const Message& message) {
  std::string out;
  encode(MessageRecord{message, {}, 0}, out);
  return out;
}

// What an earlier request with this key made; nullopt when there was none.
std::optional<IdempotencyRecord> find_earlier(WriteGroup& group, const Idempotency& idempotency,
                                              IdempotentKind kind,
                                              const std::optional<ConversationId>& conversation) {
  if (!idempotency) return std::nullopt;
  auto record = group.find_idempotency(idempotency->record_key);
  if (!record) return std::nullopt;
  check_repeat(*record, idempotency->request, kind, conversation);
  return record;
}

void remember(WriteGroup& group, const Idempotency& idempotency, IdempotencyRecord record) {
  if (!idempotency) return;
  record.fingerprint = idempotency->request.fingerprint;
  record.expires_at_s = idempotency->request.expires_at_s;
  group.put_idempotency(idempotency->record_key, record);
}

ConversationRecord new_record(WriteGroup& group, const UserId& user, NewConversation&& from,
                              const SealedWrites::SealingPointer& sealing) {
  ConversationRecord record;
  auto& conversation = record.conversation;
  conversation.user_id = user;
  conversation.id = group.next_conversation_id();
  conversation.title = std::move(from.title);
  conversation.system_prompt = std::move(from.system_prompt);
  conversation.metadata = std::move(from.metadata);
  conversation.ttl_seconds = from.ttl_seconds;
  conversation.retention_seconds = group.retention_seconds();
  conversation.temporary = from.temporary && from.ttl_seconds;
  conversation.context = from.context;
  conversation.created_at_s = group.now_s();
  conversation.updated_at_s = group.now_s();
  conversation.version = 1;
  record.tip = MessageId();
  if (sealing) sealing->seal(conversation);
  return record;
}

Message find_seen(WriteGroup& group, const ConversationId& conversation, const MessageId& id) {
  auto record = group.find_message(conversation, id);
  if (!record) throw not_found();
  return as_seen(std::move(*record), group.instance(), group.now_s());
}

// Of what an earlier request made.
ConversationCache::Entry& find_made(WriteGroup& group, const UserId& user,
                                    const ConversationId& id) {
  auto* entry = group.find_conversation(keys::conversation(user, id));
  if (entry == nullptr) throw result_deleted();
  return *entry;
}

Message find_made(WriteGroup& group, const ConversationId& conversation, const MessageId& id) {
  auto record = group.find_message(conversation, id);
  if (!record) throw result_deleted();
  return as_seen(std::move(*record), group.instance(), group.now_s());
}

// Where the next message goes, which will have the id `id`: its branch and its parent (as
// Placed's).
struct NextPlace {
  BranchTable tree;  // with its branch
  std::uint32_t branch = 0;
  std::optional<MessageId> parent;
};
NextPlace next_place(WriteGroup& group, const ConversationRecord& record,
                     const std::optional<TreePlace>& place, const MessageId& id) {
  NextPlace next;
  next.tree = record.conversation.tree;
  if (!place) {
    next.branch = branch_at_end(next.tree, id);
    next.parent = record.tip;
    return next;
  }
  next.branch = branch_after(next.tree, *place, id, record.tip);
  bool known = place->after == MessageId() ||
               group.find_message(record.conversation.id, place->after).has_value();
  if (known) next.parent = place->after;
  return next;
}

// `encoded`, which stays where it is, is completed.
void put_new(WriteGroup& group, const ConversationId& conversation, const MessageId& id,
             std::uint32_t branch, std::string& encoded) {
  set_timestamp(encoded, group.now_s());
  if (branch != 0) set_branch(encoded, branch);
  group.put_message(conversation, id, encoded);
  group.count_messages(1);
}

void check_version(const Conversation& conversation, std::optional<std::uint64_t> if_version) {
  if (if_version && *if_version != conversation.version) {
    throw Error(ErrorCode::kPreconditionFailed, "The conversation has changed in the meantime.");
  }
}

}  // namespace

Message as_seen(MessageRecord record, const Uuid& instance, std::int64_t now_s) {
  if (record.message.status == MessageStatus::kRunning) {
    bool lease_passed = record.lease_until_s != 0 && record.lease_until_s <= now_s;
    if (record.owner != instance || lease_passed) {
      record.message.status = MessageStatus::kInterrupted;
    }
  }
  return std::move(record.message);
}

void check_repeat(const IdempotencyRecord& record, const IdempotencyKey& request,
                  IdempotentKind kind, const std::optional<ConversationId>& conversation) {
  bool same = record.fingerprint == request.fingerprint && record.kind == kind &&
              (!conversation || *conversation == record.conversation_id);
  if (!same) throw key_reused(request);
}

IdempotentRequest::IdempotentRequest(const UserId& user, IdempotencyKey key)
    : record_key(keys::idempotency(user, key.key)), request(std::move(key)) {}

NewMessageValue::NewMessageValue(const Message& message, SealedWrites::SealingPointer sealing)
    : sealing_(std::move(sealing)) {
  if (sealing_) {
    message_ = message;
  } else {
    encoded_ = encoded(message);
  }
}

std::string& NewMessageValue::encoded_for(const ConversationId& conversation, const MessageId& id) {
  if (sealing_) {
    message_.id = id;
    sealing_->seal(conversation, message_);
    encoded_ = encoded(message_);
  }
  return encoded_;
}

std::size_t NewMessageValue::bytes() const {
  auto texts = message_.content.size() + message_.client_message_id.size() +
               metadata_bytes(message_.metadata);
  for (const auto& path : message_.attachments) texts += path.size();
  return sealing_ ? sealed_bytes(texts, 4) : encoded_.size();
}

CreateConversation::CreateConversation(UserId user, NewConversation conversation,
                                       Idempotency idempotency,
                                       SealedWrites::SealingPointer sealing)
    : user_(std::move(user)),
      new_(std::move(conversation)),
      idempotency_(std::move(idempotency)),
      sealing_(std::move(sealing)) {}

std::size_t CreateConversation::bytes() const { return 512 + bytes_of(new_); }

void CreateConversation::apply(WriteGroup& group) {
  if (auto earlier = find_earlier(group, idempotency_, IdempotentKind::kConversation, {})) {
    auto& entry = find_made(group, user_, earlier->conversation_id);
    set_result({entry.record.conversation, true});
    return;
  }
  auto record = new_record(group, user_, std::move(new_), sealing_);
  auto id = record.conversation.id;
  auto& entry = group.add_conversation(keys::conversation(user_, id), std::move(record));
  remember(group, idempotency_, {IdempotentKind::kConversation, {}, 0, id, {}, {}});
  set_result({entry.record.conversation, false});
}

AppendMessage::AppendMessage(const UserId& user, ConversationId id, NewMessageValue message,
                             std::optional<TreePlace> place, Idempotency idempotency)
    : key_(keys::conversation(user, id)),
      id_(id),
      message_(std::move(message)),
      place_(place),
      idempotency_(std::move(idempotency)) {}

void AppendMessage::replay(WriteGroup& group, const IdempotencyRecord& record) {
  Placed placed;
  placed.replayed = find_made(group, id_, record.message_id);
  set_result(std::move(placed));
}

void AppendMessage::apply(WriteGroup& group) {
  auto& entry = group.conversation(key_);
  if (auto earlier = find_earlier(group, idempotency_, IdempotentKind::kMessage, id_)) {
    replay(group, *earlier);
    return;
  }
  auto& record = entry.record;
  auto message_id = group.next_message_id(record.last_message_id);
  auto place = next_place(group, record, place_, message_id);
  auto& value = message_.encoded_for(id_, message_id);
  group.change(entry);
  record.last_message_id = message_id;
  record.tip = message_id;
  record.conversation.tree = std::move(place.tree);
  record.conversation.updated_at_s = group.now_s();
  ++record.conversation.message_count;
  ++record.conversation.version;
  put_new(group, id_, message_id, place.branch, value);
  group.note_change(key_, message_id);
  remember(group, idempotency_, {IdempotentKind::kMessage, {}, 0, id_, message_id, {}});
  set_result({message_id, place.branch, place.parent, group.now_s(), std::nullopt});
}

StartTurn::StartTurn(UserId user, std::optional<ConversationId> id,
                     std::optional<NewConversation> conversation, NewMessageValue prompt,
                     const MessageRecord& reply, std::optional<TreePlace> place,
                     std::optional<MessageId> answered, Idempotency idempotency,
                     SealedWrites::SealingPointer sealing)
    : user_(std::move(user)),
      id_(id),
      new_(std::move(conversation)),
      prompt_(std::move(prompt)),
      encoded_reply_(encoded(reply)),
      place_(place),
      answered_(answered),
      lease_until_s_(reply.lease_until_s),
      idempotency_(std::move(idempotency)),
      sealing_(std::move(sealing)) {}

std::size_t StartTurn::bytes() const {
  return 1024 + prompt_.bytes() + encoded_reply_.size() + (new_ ? bytes_of(*new_) : 0);
}

void StartTurn::replay(WriteGroup& group, const IdempotencyRecord& record) {
  auto id = record.conversation_id;
  PlacedTurn placed;
  placed.conversation = find_made(group, user_, id).record.conversation;
  placed.replayed_prompt = find_made(group, id, record.message_id);
  placed.replayed_reply = find_made(group, id, record.reply_id);
  set_result(std::move(placed));
}

void StartTurn::apply(WriteGroup& group) {
  ConversationCache::Entry* entry = nullptr;
  if (id_) entry = &group.conversation(keys::conversation(user_, *id_));
  if (auto earlier = find_earlier(group, idempotency_, IdempotentKind::kTurn, id_)) {
    replay(group, *earlier);
    return;
  }
  ConversationRecord fresh;
  if (!id_) fresh = new_record(group, user_, std::move(*new_), sealing_);
  const auto& last = entry ? entry->record : fresh;
  auto first_id = group.next_message_id(last.last_message_id);
  auto prompt_id = answered_.value_or(first_id);
  auto reply_id = answered_ ? first_id : first_id.successor();
  auto place = next_place(group, last, place_, first_id);
  auto id = last.conversation.id;
  std::string* encoded_prompt = nullptr;
  if (!answered_) encoded_prompt = &prompt_.encoded_for(id, prompt_id);

  if (entry) {
    group.change(*entry);
    ++entry->record.conversation.version;
    entry->record.conversation.updated_at_s = group.now_s();
  } else {
    auto key = keys::conversation(user_, fresh.conversation.id);
    entry = &group.add_conversation(key, std::move(fresh));
  }
  auto& record = entry->record;
  record.last_message_id = reply_id;
  record.tip = reply_id;
  record.conversation.tree = std::move(place.tree);
  record.conversation.message_count += answered_ ? 1 : 2;
  hold(record.conversation, lease_until_s_, group.now_s());
  if (encoded_prompt) put_new(group, id, prompt_id, place.branch, *encoded_prompt);
  put_new(group, id, reply_id, place.branch, encoded_reply_);
  if (!answered_) group.note_change(entry->key, prompt_id);
  group.note_change(entry->key, reply_id);
  remember(group, idempotency_, {IdempotentKind::kTurn, {}, 0, id, prompt_id, reply_id});
  set_result({record.conversation,
              prompt_id,
              reply_id,
              place.branch,
              place.parent,
              group.now_s(),
              {},
              {}});
}

FinishTurn::FinishTurn(const UserId& user, ConversationId id, const Message& reply)
    : key_(keys::conversation(user, id)), id_(id), reply_id_(reply.id), encoded_(encoded(reply)) {}

void FinishTurn::apply(WriteGroup& group) {
  auto& entry = group.conversation(key_);
  auto before = group.find_message(id_, reply_id_);
  if (!before) throw not_found();
  auto& conversation = entry.record.conversation;
  // The second time, or a message that never was the place of an answer: what stands there stays.
  if (before->message.status != MessageStatus::kRunning) {
    set_result({conversation, before->message.timestamp_s, std::move(before->message)});
    return;
  }
  group.change(entry);
  conversation.updated_at_s = group.now_s();
  ++conversation.version;
  release(conversation, before->lease_until_s);
  group.index_expiry(entry);
  set_timestamp(encoded_, group.now_s());
  group.put_message(id_, reply_id_, encoded_);
  group.note_change(key_, reply_id_);
  set_result({conversation, group.now_s(), std::nullopt});
}

SavePartial::SavePartial(const UserId& user, ConversationId id, Message reply)
    : key_(keys::conversation(user, id)), id_(id), reply_(std::move(reply)) {}

void SavePartial::apply(WriteGroup& group) {
  auto record = group.find_conversation(key_) ? group.find_message(id_, reply_.id) : std::nullopt;
  bool running =
      record && as_seen(*record, group.instance(), group.now_s()).status == MessageStatus::kRunning;
  if (running) {
    record->message.content = std::move(reply_.content);
    encode(*record, encoded_);
    group.put_message(id_, reply_.id, encoded_);
  }
  set_result(running);
}

UpdateConversation::UpdateConversation(const UserId& user, ConversationId id,
                                       ConversationPatch patch,
                                       std::optional<std::uint64_t> if_version)
    : key_(keys::conversation(user, id)), patch_(std::move(patch)), if_version_(if_version) {}

std::size_t UpdateConversation::bytes() const {
  return 512 + (patch_.title ? patch_.title->size() : 0) +
         (patch_.system_prompt ? patch_.system_prompt->size() : 0) +
         (patch_.summary && *patch_.summary ? (*patch_.summary)->text.size() : 0) +
         (patch_.metadata ? metadata_bytes(patch_.metadata->pairs) : 0);
}

void UpdateConversation::apply(WriteGroup& group) {
  auto& entry = group.conversation(key_);
  check_version(entry.record.conversation, if_version_);
  const auto& before = entry.record.conversation;
  auto after = patched(before, patch_, group.now_s());
  if (after == before) {
    set_result(std::move(after));
    return;
  }
  ++after.version;
  bool renamed = after.title != before.title;
  bool other_way = after.tree != before.tree;
  bool details = after.system_prompt != before.system_prompt || after.metadata != before.metadata ||
                 after.summary != before.summary;
  group.change(entry);
  entry.record.conversation = after;
  if (other_way) entry.record.tip.reset();
  if (details) group.write_details(entry);
  if (renamed) group.note_change(key_);
  group.index_expiry(entry);
  set_result(std::move(after));
}

DeleteConversation::DeleteConversation(const UserId& user, ConversationId id,
                                       std::optional<std::uint64_t> if_version)
    : key_(keys::conversation(user, id)), if_version_(if_version) {}

void DeleteConversation::apply(WriteGroup& group) {
  auto& entry = group.conversation(key_);
  check_version(entry.record.conversation, if_version_);
  group.remove_conversation(entry);
  set_result({});
}

DeleteMessage::DeleteMessage(const UserId& user, ConversationId id, MessageId message)
    : key_(keys::conversation(user, id)), id_(id), message_(message) {}

void DeleteMessage::apply(WriteGroup& group) {
  auto& entry = group.conversation(key_);
  if (find_seen(group, id_, message_).status == MessageStatus::kRunning) {
    throw Error(ErrorCode::kConflict, "The message is an answer that is still being written.");
  }
  group.change(entry);
  auto& conversation = entry.record.conversation;
  --conversation.message_count;
  ++conversation.version;
  if (conversation.summary && message_ <= conversation.summary->up_to) {
    conversation.summary.reset();
    group.write_details(entry);
  }
  if (entry.record.tip == message_) entry.record.tip.reset();
  group.remove_message(id_, message_);
  group.note_change(key_, message_);
  group.count_messages(-1);
  set_result({});
}

}  // namespace colloquy::store
