// An import's file, in pieces: what is read of it has a place in the store, or is refused in words.
#include <algorithm>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "check.h"
#include "exchange/import_reader.h"
#include "store/parents.h"

namespace {

using colloquy::Error;
using colloquy::UserId;
using colloquy::exchange::ImportReader;

void check_placed(ImportReader::Item item) {
  COLLOQUY_CHECK(item.draft.has_value() != !item.refusal.empty());
  if (!item.draft) return;
  auto count = item.draft->messages.size();
  auto left_out = item.draft->left_out;
  auto id = colloquy::exchange::place_of(UserId("user"), *item.draft);
  auto placed = colloquy::exchange::place(UserId("user"), std::move(*item.draft));
  const auto& tree = placed.conversation.tree;
  COLLOQUY_CHECK(placed.conversation.id == id);
  COLLOQUY_CHECK(placed.messages.size() + placed.left_out == count + left_out);
  COLLOQUY_CHECK(placed.conversation.message_count == placed.messages.size());
  COLLOQUY_CHECK(tree.branches.size() <= colloquy::limits::kBranches);
  COLLOQUY_CHECK(tree.active <= tree.newest());
  for (std::size_t i = 0; i < placed.messages.size(); ++i) {
    COLLOQUY_CHECK(placed.messages[i].branch <= tree.newest());
    COLLOQUY_CHECK(placed.messages[i].status != colloquy::store::MessageStatus::kRunning);
    COLLOQUY_CHECK(i == 0 || placed.messages[i - 1].id < placed.messages[i].id);
  }
  colloquy::store::link_parents(tree, placed.messages);
}

}  // namespace

// The first byte is the size of a piece.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::size_t piece = std::size_t{1} + *data;
  std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  colloquy::exchange::ImportLimits limits;
  limits.conversation_bytes = 4096;
  limits.messages = 100;
  limits.nodes = 120;
  limits.values = 500;
  ImportReader reader(limits);
  try {
    for (; !text.empty(); text.remove_prefix(std::min(piece, text.size()))) {
      reader.feed(text.substr(0, piece));
      while (auto item = reader.next()) check_placed(std::move(*item));
    }
    reader.end();
  } catch (const Error& error) {
    COLLOQUY_CHECK(error.code() == colloquy::ErrorCode::kInvalid);
  }
  // Also what was whole before a broken byte.
  while (auto item = reader.next()) check_placed(std::move(*item));
  return 0;
}
