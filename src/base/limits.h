// Every fixed limit of the product, and how they hang together. What an
// operator may change is a setting (config/config.h); its default stands here.
#pragma once

#include <cstddef>
#include <cstdint>

namespace colloquy::limits {

inline constexpr std::size_t kKiB = 1024;
inline constexpr std::size_t kMiB = 1024 * kKiB;

inline constexpr std::size_t kUserIdBytes = 256;
inline constexpr std::size_t kTitleBytes = 1024;
inline constexpr std::size_t kSystemPromptBytes = 64 * kKiB;
inline constexpr std::size_t kMetadataPairs = 16;
inline constexpr std::size_t kMetadataKeyBytes = 64;
inline constexpr std::size_t kMetadataValueBytes = 2 * kKiB;
inline constexpr std::size_t kAttachments = 32;  // of a message
inline constexpr std::size_t kIdempotencyKeyBytes = 255;
inline constexpr std::int64_t kIdempotencySeconds = 24LL * 60 * 60;
inline constexpr std::size_t kStopSequences = 4;
inline constexpr std::size_t kStopSequenceBytes = 256;
inline constexpr std::int64_t kTtlSecondsMax = 10LL * 365 * 24 * 60 * 60;

// Of a conversation, beside the one that it begins with. They are stored with it, 40 bytes each.
inline constexpr std::size_t kBranches = 128;

inline constexpr std::size_t kContentBytesDefault = kMiB;
inline constexpr std::size_t kPageDefault = 50;
inline constexpr std::size_t kPageMax = 200;
// Of how many of the newest conversations a store without an index for it finds the last active.
inline constexpr std::size_t kActivityScanned = 1000;

// A page of messages ends early once its contents exceed this many bytes, so
// that memory stays bounded whatever the messages' size.
inline constexpr std::size_t kPageBytes = 4 * kMiB;

inline constexpr std::size_t kContextMessagesDefault = 5;  // the source document's number
inline constexpr std::size_t kContextMessagesMax = 1000;
inline constexpr std::size_t kContextTokensMax = 100'000'000;
// With a budget of tokens no more of a conversation is read than could fit it: texts have fewer
// bytes for a token than this, whatever the tokenizer, but for white space.
inline constexpr std::size_t kBytesPerToken = 6;
inline constexpr std::size_t kContextBytesMax = 16 * kMiB;
// Of a summary of what fell out of the context. It is stored with the conversation.
inline constexpr std::size_t kSummaryBytes = 2000;

static_assert(kPageBytes >= kContentBytesDefault, "a page must hold at least one message");
static_assert(kPageDefault <= kPageMax);

}  // namespace colloquy::limits
