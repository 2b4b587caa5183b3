#include "store/encrypted/encrypted_store.h"

#include <chrono>
#include <utility>

#include "base/error.h"
#include "base/pause.h"
#include "store/encrypted/sealed_records.h"
#include "store/encrypted/turns_of_work.h"
#include "store/sealed_sizes.h"
#include "telemetry/log.h"

namespace colloquy::store {
namespace {

constexpr int kUpdateTries = 40;
constexpr auto kUpdatePause = std::chrono::milliseconds(20);
// Of a user who seems to be new.
constexpr std::size_t kLookedAt = 20;

bool has_text(const ConversationPatch& patch) {
  return patch.title || patch.system_prompt || patch.metadata || patch.if_title ||
         (patch.summary && *patch.summary);
}

// The patch of the sealed conversation `kept`, which is `open` when it is opened. What would change
// nothing is left out, since sealed again it is another text.
ConversationPatch sealed_patch(const TextSealer& sealer, ConversationPatch patch,
                               const Conversation& kept, const Conversation& open) {
  if (patch.if_title) {
    if (*patch.if_title != open.title) {
      throw Error(ErrorCode::kPreconditionFailed, "The title has changed in the meantime.");
    }
    patch.if_title = kept.title;
  }
  Conversation texts;
  texts.id = kept.id;
  if (patch.title && *patch.title == open.title) patch.title.reset();
  if (patch.system_prompt && *patch.system_prompt == open.system_prompt) {
    patch.system_prompt.reset();
  }
  texts.title = patch.title.value_or("");
  texts.system_prompt = patch.system_prompt.value_or("");
  if (patch.summary) texts.summary = *patch.summary;
  bool other_pairs = false;
  if (patch.metadata) {
    texts.metadata = patched(open.metadata, *patch.metadata);
    other_pairs = texts.metadata != open.metadata;
  }
  seal(sealer, texts);
  if (patch.title) patch.title = std::move(texts.title);
  if (patch.system_prompt) patch.system_prompt = std::move(texts.system_prompt);
  if (patch.summary) patch.summary = std::move(texts.summary);
  patch.metadata.reset();
  if (other_pairs) {
    patch.metadata.emplace();
    patch.metadata->clear_first = true;
    for (auto& [name, value] : texts.metadata) patch.metadata->pairs[name] = std::move(value);
  }
  return patch;
}

// As a store ends a page, by the bytes of its contents.
void cut_to(MessagePage& page, const MessageRange& range) {
  auto& messages = page.messages;
  std::size_t bytes = 0;
  std::size_t fit = 0;
  for (; fit < messages.size(); ++fit) {
    const auto& message = range.after ? messages[fit] : messages[messages.size() - 1 - fit];
    bytes += message.content.size();
    if (bytes > range.max_bytes && fit > 0) break;
  }
  if (fit == messages.size()) return;
  page.more = true;
  if (range.after) {
    messages.resize(fit);
  } else {
    messages.erase(messages.begin(), messages.end() - static_cast<std::ptrdiff_t>(fit));
  }
}

void cut_to(RecentMessages& recent, const RecentRange& range) {
  auto& messages = recent.messages;
  std::size_t bytes = 0;
  auto first = messages.end();
  while (first != messages.begin() && bytes < range.content_bytes) {
    --first;
    bytes += first->content.size();
  }
  if (first == messages.begin()) return;
  messages.erase(messages.begin(), first);
  recent.whole = false;
}

template <class Items>
std::vector<Conversation*> pointers(Items& conversations) {
  std::vector<Conversation*> all;
  all.reserve(conversations.size());
  for (auto& conversation : conversations) all.push_back(&conversation);
  return all;
}

void clear_texts(Conversation& conversation) {
  conversation.title.clear();
  conversation.system_prompt.clear();
  conversation.metadata.clear();
  conversation.summary.reset();
}

// The id of the data key that texts of this user were sealed with lately; empty: none was.
Task<std::string> find_data_key(Store& store, std::string prefix, UserId user) {
  auto page = co_await store.list_conversations(user, kLookedAt, std::nullopt);
  for (const auto& conversation : page.conversations) {
    auto sealed = find_sealed(prefix, conversation);
    if (!sealed.empty()) co_return data_key_of(prefix, sealed);
  }
  if (page.conversations.empty()) co_return std::string();
  MessageRange range;
  range.limit = kLookedAt;
  std::optional<MessagePage> messages;
  try {
    messages = co_await store.list_messages(user, page.conversations.front().id, range);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNotFound) throw;
    co_return std::string();
  }
  for (const auto& message : messages->messages) {
    auto sealed = find_sealed(prefix, message);
    if (!sealed.empty()) co_return data_key_of(prefix, sealed);
  }
  co_return std::string();
}

}  // namespace

EncryptedStore::EncryptedStore(Store& store, SealedWrites& writes, Intake& intake,
                               keyring::Keyring& keyring, const Clock& clock)
    : store_(store),
      writes_(writes),
      intake_(intake),
      keyring_(keyring),
      clock_(clock),
      prefix_(seal_prefix(keyring.id())) {
  keyring_.before_making([&store, prefix = prefix_](UserId user) {
    return find_data_key(store, prefix, std::move(user));
  });
}

Task<TextSealer> EncryptedStore::sealer_for(UserId user) {
  auto key = co_await keyring_.find_or_make(user);
  co_return TextSealer(prefix_, std::move(user), std::move(key));
}

Task<std::optional<TextSealer>> EncryptedStore::find_sealer(UserId user) {
  auto key = co_await keyring_.find(user);
  if (!key) co_return std::nullopt;
  co_return TextSealer(prefix_, std::move(user), std::move(key));
}

Task<TextSealer> EncryptedStore::sealer_of(UserId user, std::string data_key) {
  auto key = co_await keyring_.find(user, std::move(data_key));
  if (!key) {
    throw internal_error("a text cannot be decrypted: the key of its user is not in the keyring " +
                         keyring_.id());
  }
  co_return TextSealer(prefix_, std::move(user), std::move(key));
}

Task<> EncryptedStore::open_all(UserId user, ConversationId id,
                                std::vector<Conversation*> conversations,
                                std::vector<Message*> messages) {
  std::string_view sealed;
  for (auto* conversation : conversations) {
    if (sealed.empty()) sealed = find_sealed(prefix_, *conversation);
  }
  for (auto* message : messages) {
    if (sealed.empty()) sealed = find_sealed(prefix_, *message);
  }
  if (sealed.empty()) co_return;
  auto sealer = co_await sealer_of(std::move(user), data_key_of(prefix_, sealed));
  for (auto* conversation : conversations) open(sealer, prefix_, *conversation);
  TurnsOfWork turns;
  for (auto* message : messages) {
    if (turns.over(*message)) co_await pause(std::chrono::milliseconds(0));
    open(sealer, prefix_, id, *message);
  }
}

// One that is damaged does not take the others with it: it has no texts. Nor has any, where the
// user's key is gone.
Task<> EncryptedStore::open_listed(UserId user, std::vector<Conversation*> conversations) {
  std::string_view sealed;
  for (auto* conversation : conversations) {
    if (sealed.empty()) sealed = find_sealed(prefix_, *conversation);
  }
  if (sealed.empty()) co_return;
  std::optional<TextSealer> sealer;
  try {
    sealer = co_await sealer_of(std::move(user), data_key_of(prefix_, sealed));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInternal) throw;
    telemetry::log_error("text.unreadable", {{"detail", error.detail()}});
  }
  for (auto* conversation : conversations) {
    if (!sealer) {
      if (!find_sealed(prefix_, *conversation).empty()) clear_texts(*conversation);
      continue;
    }
    try {
      open(*sealer, prefix_, *conversation);
    } catch (const Error& error) {
      telemetry::log_error("text.unreadable", {{"detail", error.detail()}});
      clear_texts(*conversation);
    }
  }
}

Task<Conversation> EncryptedStore::opened(UserId user, Conversation conversation) {
  std::vector<Conversation*> one{&conversation};
  co_await open_all(std::move(user), conversation.id, std::move(one), {});
  co_return conversation;
}

Task<CreatedConversation> EncryptedStore::create_conversation(UserId user,
                                                              NewConversation conversation,
                                                              std::optional<IdempotencyKey> key) {
  auto sealer = co_await sealer_for(user);
  if (key) key = sealed(sealer, std::move(*key));
  auto created = co_await writes_.create_sealed(user, std::move(conversation), std::move(key),
                                                make_sealing(std::move(sealer)));
  created.conversation = co_await opened(std::move(user), std::move(created.conversation));
  co_return created;
}

Task<std::optional<Conversation>> EncryptedStore::get_conversation(UserId user, ConversationId id) {
  auto found = co_await store_.get_conversation(user, id);
  if (found) found = co_await opened(std::move(user), std::move(*found));
  co_return found;
}

Task<ConversationPage> EncryptedStore::list_conversations(UserId user, std::size_t limit,
                                                          std::optional<ConversationId> after) {
  auto page = co_await store_.list_conversations(user, limit, after);
  auto all = pointers(page.conversations);
  co_await open_listed(std::move(user), std::move(all));
  co_return page;
}

Task<ActivityPage> EncryptedStore::list_by_activity(UserId user, std::size_t limit,
                                                    std::optional<ActivityPosition> after) {
  auto page = co_await store_.list_by_activity(user, limit, after);
  auto all = pointers(page.conversations);
  co_await open_listed(std::move(user), std::move(all));
  co_return page;
}

Task<Conversation> EncryptedStore::update_conversation(UserId user, ConversationId id,
                                                       ConversationPatch patch,
                                                       std::optional<std::uint64_t> if_version) {
  if (!has_text(patch)) {
    auto changed = co_await store_.update_conversation(user, id, std::move(patch), if_version);
    co_return co_await opened(std::move(user), std::move(changed));
  }
  std::optional<TextSealer> sealer;
  for (int tries = 0; tries < kUpdateTries; ++tries) {
    auto kept = co_await store_.get_conversation(user, id);
    if (!kept) throw not_found();
    auto open = co_await opened(user, *kept);
    if (!sealer) sealer = co_await sealer_for(user);
    auto next = sealed_patch(*sealer, patch, *kept, open);
    // All pairs are one text: nobody else's change of them may get lost.
    auto expected = if_version;
    if (next.metadata && !expected) expected = kept->version;
    bool repeats = !if_version && (next.metadata || next.if_title);
    std::optional<Conversation> changed;
    try {
      changed = co_await store_.update_conversation(user, id, std::move(next), expected);
    } catch (const Error& error) {
      if (!repeats || error.code() != ErrorCode::kPreconditionFailed) throw;
    }
    if (changed) co_return co_await opened(std::move(user), std::move(*changed));
    co_await pause(kUpdatePause);
  }
  throw unavailable("The conversation is being changed too often right now.");
}

Task<> EncryptedStore::delete_conversation(UserId user, ConversationId id,
                                           std::optional<std::uint64_t> if_version) {
  return store_.delete_conversation(std::move(user), id, if_version);
}

Task<MessagePage> EncryptedStore::list_messages(UserId user, ConversationId id,
                                                MessageRange range) {
  auto wider = range;
  wider.max_bytes = sealed_bytes(range.max_bytes, range.limit + 1);
  auto page = co_await store_.list_messages(user, id, wider);
  std::vector<Conversation*> conversation{&page.conversation};
  co_await open_listed(user, std::move(conversation));
  std::vector<Message*> messages;
  for (auto& message : page.messages) messages.push_back(&message);
  co_await open_all(std::move(user), id, {}, std::move(messages));
  cut_to(page, range);
  co_return page;
}

Task<> EncryptedStore::recount(UserId user, ConversationId id) {
  return store_.recount(std::move(user), id);
}

Task<std::optional<Message>> EncryptedStore::get_message(UserId user, ConversationId id,
                                                         MessageId message) {
  auto found = co_await store_.get_message(user, id, message);
  if (!found) co_return std::nullopt;
  std::vector<Message*> one{&*found};
  co_await open_all(std::move(user), id, {}, std::move(one));
  co_return found;
}

Task<> EncryptedStore::delete_message(UserId user, ConversationId id, MessageId message) {
  return store_.delete_message(std::move(user), id, message);
}

Task<std::optional<RecentMessages>> EncryptedStore::read_recent(UserId user, ConversationId id,
                                                                ContextSettings usual,
                                                                std::optional<TreePlace> up_to) {
  auto recent = co_await store_.read_recent(user, id, usual, up_to);
  if (!recent) co_return std::nullopt;
  std::vector<Conversation*> conversation{&recent->conversation};
  std::vector<Message*> messages;
  for (auto& message : recent->messages) messages.push_back(&message);
  co_await open_all(std::move(user), id, std::move(conversation), std::move(messages));
  cut_to(*recent, recent_range(resolved(recent->conversation.context, usual)));
  co_return recent;
}

Task<std::optional<std::string>> EncryptedStore::find_owner(UserId user, ConversationId id,
                                                            MessageId reply) {
  return store_.find_owner(std::move(user), id, reply);
}

}  // namespace colloquy::store
