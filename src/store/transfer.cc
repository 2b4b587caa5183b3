#include "store/transfer.h"

#include "base/error.h"
#include "base/limits.h"

namespace colloquy::store {
namespace {

constexpr std::size_t kPageMessages = 500;
constexpr std::size_t kPageBytes = limits::kMiB;

}  // namespace

MessageRange range_at(const std::string& position) {
  MessageRange range;
  range.limit = kPageMessages;
  range.max_bytes = kPageBytes;
  range.all_branches = true;
  range.after = position.empty() ? MessageId() : MessageId::parse(position);
  if (!range.after) throw internal_error("a position in a conversation is garbled");
  return range;
}

}  // namespace colloquy::store
