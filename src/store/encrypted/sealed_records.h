// Which texts of conversations and messages are sealed, and where each belongs. Pure; any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "store/encrypted/text_sealer.h"
#include "store/sealed_writes.h"
#include "store/types.h"

namespace colloquy::store {

void seal(const TextSealer& sealer, Conversation& conversation);
void seal(const TextSealer& sealer, const ConversationId& conversation, Message& message);
// For a store that writes them.
std::shared_ptr<const Sealing> make_sealing(TextSealer sealer);

// So that it says nothing of what the client sent.
IdempotencyKey sealed(const TextSealer& sealer, IdempotencyKey key);

// The first text that is sealed; empty where all is plain.
std::string_view find_sealed(std::string_view prefix, const Conversation& conversation);
std::string_view find_sealed(std::string_view prefix, const Message& message);

// What is plain stays as it is. kInternal as TextSealer::open.
void open(const TextSealer& sealer, std::string_view prefix, Conversation& conversation);
void open(const TextSealer& sealer, std::string_view prefix, const ConversationId& conversation,
          Message& message);

}  // namespace colloquy::store
