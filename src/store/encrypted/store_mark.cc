#include "store/encrypted/store_mark.h"

#include <optional>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace colloquy::store {
namespace {

constexpr std::string_view kMark = "encrypted with keyring ";
constexpr std::size_t kMarksMax = 10;
// Some 30,000 years, so that neither a retention nor a clock that is wrong takes it for expired.
constexpr std::int64_t kForEverSeconds = 1'000'000'000'000;

// A token's user has no control characters (auth/user_id.h).
UserId nobody() {
  return UserId(
      "\x01"
      "encryption");
}

std::optional<std::string> keyring_of(const Conversation& conversation) {
  return keyring_of_title(conversation.title);
}

Task<std::vector<Conversation>> read_marks(Store& store) {
  auto page = co_await store.list_conversations(nobody(), kMarksMax, std::nullopt);
  std::erase_if(page.conversations,
                [](const Conversation& conversation) { return !keyring_of(conversation); });
  co_return std::move(page.conversations);
}

Task<> make_mark(Store& store, std::string id) {
  NewConversation mark;
  mark.title = std::string(kMark) + id;
  mark.ttl_seconds = kForEverSeconds;
  co_await store.create_conversation(nobody(), std::move(mark), std::nullopt);
}

// Marks were made for ten years before.
Task<> keep_for_ever(Store& store, const Conversation& mark) {
  if (mark.ttl_seconds == kForEverSeconds) co_return;
  ConversationPatch patch;
  patch.ttl_seconds = std::optional<std::int64_t>(kForEverSeconds);
  co_await store.update_conversation(nobody(), mark.id, std::move(patch), std::nullopt);
}

// Whether the master key wraps and unwraps is known now, and not with the first request.
Task<> try_master_key(keyring::Keyring& keyring) {
  auto there = co_await keyring.find(nobody());
  if (there) co_return;
  co_await keyring.find_or_make(nobody());
  keyring.forget(nobody());
  co_await keyring.find(nobody());
}

}  // namespace

UserId owner_of_marks() { return nobody(); }

std::optional<std::string> keyring_of_title(const std::string& title) {
  if (!title.starts_with(kMark)) return std::nullopt;
  return title.substr(kMark.size());
}

Task<std::vector<std::string>> find_marks(Store& store) {
  auto marks = co_await read_marks(store);
  std::vector<std::string> ids;
  ids.reserve(marks.size());
  for (const auto& mark : marks) ids.push_back(*keyring_of(mark));
  co_return ids;
}

Task<std::unique_ptr<keyring::Keyring>> open_keyring(Store& store, keyring::KeyStorage& storage,
                                                     keyring::MasterKeys& masters,
                                                     const Clock& clock) {
  auto marks = co_await read_marks(store);
  auto id = co_await storage.id(marks.empty());
  for (const auto& mark : marks) {
    auto other = *keyring_of(mark);
    if (other == id) continue;
    throw Error(ErrorCode::kInvalid, "the store was encrypted with the keyring " + other +
                                         ", and this one is " + (id.empty() ? "empty" : id) +
                                         ": without the other nobody can read what is in it");
  }
  auto keyring = std::make_unique<keyring::Keyring>(id, storage, masters, clock);
  co_await try_master_key(*keyring);
  if (marks.empty()) co_await make_mark(store, id);
  for (const auto& mark : marks) co_await keep_for_ever(store, mark);
  co_return std::move(keyring);
}

}  // namespace colloquy::store
