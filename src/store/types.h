// What a store keeps. Plain values, free to copy and to move between threads.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "base/limits.h"
#include "store/branches.h"

namespace colloquy::store {

enum class Role : std::uint8_t { kSystem = 0, kUser = 1, kAssistant = 2 };
std::string_view role_name(Role role);  // as on the wire
std::optional<Role> parse_role(std::string_view name);

enum class MessageStatus : std::uint8_t {
  kComplete = 0,
  kRunning = 1,      // the model is still answering
  kInterrupted = 2,  // the server that ran the turn is gone
  kCancelled = 3,
  kFailed = 4,
};
std::string_view status_name(MessageStatus status);

enum class FinishReason : std::uint8_t {
  kNone = 0,
  kStop = 1,
  kLength = 2,
  kCancelled = 3,
  kError = 4
};
std::string_view finish_reason_name(FinishReason reason);  // "" for kNone

using Metadata = std::map<std::string, std::string>;
// Paths of the user's files (files/names.h) in the order given; the files may be gone since.
using Attachments = std::vector<std::string>;

struct Usage {
  std::int64_t prompt_tokens = 0;
  std::int64_t completion_tokens = 0;
  bool operator==(const Usage&) const = default;
};

// How much of a conversation the model is given. What is absent is as the server has it; either
// number takes the place of both of the server's.
struct ContextSettings {
  std::optional<std::uint32_t> messages;  // so many of the newest that have a text
  std::optional<std::uint32_t> tokens;    // at most so many, with everything else it is given
  std::optional<bool> summary;            // what fell out is summarized

  bool empty() const { return !messages && !tokens && !summary; }
  bool operator==(const ContextSettings&) const = default;
};
// What holds in a conversation with `own` settings on a server with `usual` ones.
ContextSettings resolved(const ContextSettings& own, const ContextSettings& usual);

// What the model made of the messages that fell out of the context.
struct ContextSummary {
  std::string text;          // at most limits::kSummaryBytes
  MessageId up_to;           // the newest message that it covers: all on the way to it
  std::uint32_t branch = 0;  // of that message; on another way the summary says nothing
  bool operator==(const ContextSummary&) const = default;
};

struct Conversation {
  UserId user_id;
  ConversationId id;
  std::string title;
  std::int64_t created_at_s = 0;
  std::int64_t updated_at_s = 0;    // of the last message written or title set
  std::uint64_t message_count = 0;  // all messages, a running answer too
  std::uint64_t version = 0;        // rises with every change; the ETag
  bool pinned = false;
  bool archived = false;
  std::string system_prompt;
  Metadata metadata;
  std::optional<std::int64_t> ttl_seconds;        // its own
  std::optional<std::int64_t> retention_seconds;  // the server's, for those without; not stored
  bool temporary = false;                         // it has a time to live, for this reason
  std::int64_t held_until_s = 0;  // an answer is being made; it does not expire before; 0: none is
  ContextSettings context;
  std::optional<ContextSummary> summary;  // gone as soon as a message that it covers is deleted
  BranchTable tree;

  // How long it lives after its last activity; nullopt: for ever.
  std::optional<std::int64_t> lifetime_seconds() const {
    return ttl_seconds ? ttl_seconds : retention_seconds;
  }
  // Unix seconds at which it expires: its lifetime after its last activity, and not while it is
  // held.
  std::optional<std::int64_t> expires_at_s() const {
    auto lifetime = lifetime_seconds();
    if (!lifetime) return std::nullopt;
    return std::max(updated_at_s + *lifetime, held_until_s);
  }
  bool expired(std::int64_t now_s) const {
    auto at = expires_at_s();
    return at && *at <= now_s;
  }
  bool operator==(const Conversation&) const = default;
};

// A turn has begun, and has ended, in the conversation; both with the lease that it began with.
// Where turns run side by side, the hold ends only by itself, when the last lease is over.
void hold(Conversation& conversation, std::int64_t lease_until_s, std::int64_t now_s);
void release(Conversation& conversation, std::int64_t lease_until_s);

struct Message {
  MessageId id;
  Role role = Role::kUser;
  std::string content;  // UTF-8
  std::int64_t timestamp_s = 0;
  MessageStatus status = MessageStatus::kComplete;
  FinishReason finish_reason = FinishReason::kNone;
  Metadata metadata;
  std::string model;           // answers only
  std::optional<Usage> usage;  // answers only
  std::string client_message_id;
  std::uint32_t branch = 0;  // the branch it belongs to (branches.h)
  // The message before it on the way to it; nullopt: it is the first. Found by the store.
  std::optional<MessageId> parent = {};
  Attachments attachments = {};
  bool operator==(const Message&) const = default;
};

struct NewConversation {
  std::string title;
  std::string system_prompt;
  Metadata metadata;
  std::optional<std::int64_t> ttl_seconds;
  ContextSettings context = {};
  bool temporary = false;  // with ttl_seconds only
};

// A change of metadata: pairs to set or (empty) to take away; the others stay.
struct MetadataPatch {
  bool clear_first = false;
  std::map<std::string, std::optional<std::string>> pairs;
};

// A change of context settings. A field that is present and empty is taken away.
struct ContextPatch {
  bool clear_first = false;
  std::optional<std::optional<std::uint32_t>> messages;
  std::optional<std::optional<std::uint32_t>> tokens;
  std::optional<std::optional<bool>> summary;
};

// Absent fields stay as they are. `ttl_seconds` present and empty leaves the expiry to the server's
// retention; what has no time to live of its own is not temporary.
struct ConversationPatch {
  std::optional<std::string> title;
  std::optional<bool> pinned;
  std::optional<bool> archived;
  std::optional<std::string> system_prompt;
  std::optional<MetadataPatch> metadata;
  std::optional<std::optional<std::int64_t>> ttl_seconds;
  std::optional<bool> temporary = {};
  std::optional<ContextPatch> context;
  std::optional<std::optional<ContextSummary>> summary;
  // A message that has been read: the newest of the ways through it becomes the active one.
  std::optional<TreePlace> active;
  // The title that it must have, for a change that nobody asked for: else kPreconditionFailed.
  std::optional<std::string> if_title;
};

// What `current` is after the patch. kInvalid, naming "metadata", when too many pairs would be
// left.
Metadata patched(Metadata current, const MetadataPatch& patch);
ContextSettings patched(ContextSettings current, const ContextPatch& patch);
// What a store's update_conversation makes of `before`: everything but the version and what holds
// the expiry off. kInvalid as above; kPreconditionFailed when the patch is for another title.
Conversation patched(Conversation before, const ConversationPatch& patch, std::int64_t now_s);

struct NewMessage {
  Role role = Role::kUser;
  std::string content;
  Metadata metadata;
  std::string client_message_id;
  // After which message, which has been read; nullopt: at the end of the active way. Elsewhere it
  // begins a branch; at the very end only where a store does not know that this is it.
  std::optional<TreePlace> place = {};
  Attachments attachments = {};  // at most limits::kAttachments
};

// Makes a write happen at most once. Scoped to the user by the store.
struct IdempotencyKey {
  std::string key;  // what the client sent, with a prefix per kind of call
  std::array<std::uint8_t, 32> fingerprint{};  // SHA-256 of the request that it stands for
  std::int64_t expires_at_s = 0;
  std::string field = "Idempotency-Key";  // what the client sent it as, for errors
};
// Why a repeat is refused: the key stands for another request (kInvalid, naming its field), or what
// it made is gone (kConflict).
Error key_reused(const IdempotencyKey& key);
Error result_deleted();

// The prompt and the place of its answer, written together; or, to answer a message once more, the
// place of another answer alone.
struct NewTurn {
  // Exactly one of the two: an existing conversation, or a new one made in the same commit.
  std::optional<ConversationId> conversation_id;
  std::optional<NewConversation> new_conversation;
  NewMessage prompt;
  // The message that is answered once more, as it was read; then `prompt` is not used.
  std::optional<Message> answered = {};
  std::string model;               // recorded on the answer
  std::int64_t lease_until_s = 0;  // after this an unfinished answer is interrupted; 0: never
  // What the caller has read of the conversation a moment ago: hints, which save a store a read.
  std::optional<Conversation> seen;
  std::optional<MessageId> newest_seen;  // of all its messages
};

struct CreatedConversation {
  Conversation conversation;
  bool replayed = false;  // an earlier write with the same key made it
};
struct AppendedMessage {
  Message message;  // where others write at the same time, its parent may be one of theirs
  bool replayed = false;
};
struct StartedTurn {
  Conversation conversation;
  Message prompt;
  Message reply;  // status kRunning and no content; on a replay, as it is by now
  bool replayed = false;
};

struct FinishedTurn {
  Conversation conversation;  // after the change
  Message reply;              // as it was saved
};

struct ConversationPage {
  std::vector<Conversation> conversations;  // newest first
  std::optional<ConversationId> next;       // pass as `after` for the next page; nullopt: the last
};

// A place in the list of conversations by their last activity.
struct ActivityPosition {
  std::int64_t updated_at_s = 0;
  ConversationId id;
};
struct ActivityPage {
  std::vector<Conversation> conversations;  // the last active first
  std::optional<ActivityPosition> next;     // pass as `after` for the next page; nullopt: the last
};

// Which messages of a conversation. Without before and after: the newest `limit`.
// With `before`: the newest `limit` of those older than it. With `after`: the
// oldest `limit` of those newer than it. Not both. Of the messages on the active way, or of all.
struct MessageRange {
  std::size_t limit = limits::kPageDefault;
  std::size_t max_bytes = limits::kPageBytes;  // the page ends early past this, never empty for it
  std::optional<MessageId> before;
  std::optional<MessageId> after;
  bool all_branches = false;
};

struct MessagePage {
  Conversation conversation;      // as it was when the page was read
  std::vector<Message> messages;  // oldest first, whatever the direction
  bool more = false;              // there are more in the direction of the range
};

// A conversation and the newest of its messages on one way that have a text and are no running
// answers, read side by side.
struct RecentMessages {
  Conversation conversation;
  // Oldest first; none with an empty content; parents are not looked up.
  std::vector<Message> messages;
  std::optional<MessageId> newest;  // of all its messages, with a text or not; nullopt: it has none
  std::optional<MessageId> tip;     // of all on the way; nullopt: there is none
  bool whole = false;               // it is certain that there is no older message
};
// How much of them: it ends with the message that reaches either.
struct RecentRange {
  std::size_t messages = 0;
  std::size_t content_bytes = 0;
  bool operator==(const RecentRange&) const = default;
};
// What the context may need by settings that are `resolved`: with a budget of tokens alone at most
// limits::kContextMessagesMax messages and limits::kBytesPerToken bytes a token; never much more
// than limits::kContextBytesMax.
RecentRange recent_range(const ContextSettings& settings);
// How many of the newest messages are looked at for `limit` with a text, so that the cost of a read
// stays bounded where many answers have failed.
constexpr std::size_t recent_rows(std::size_t limit) { return 4 * limit + 16; }

struct StoreStats {
  std::uint64_t conversations = 0;
  std::uint64_t messages = 0;
  std::uint64_t disk_bytes = 0;
};

}  // namespace colloquy::store
