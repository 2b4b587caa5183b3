// What one server tells another of an answer that it makes, as server-sent events:
//
//   event: start   {"bytes": N}            that many bytes of text follow at once: what was said so
//   far event: token   {"text": "…"}           … event: end     {"durable": true, "error": {"code":
//   "unavailable", "message": "…"}}
//
// Comment lines are signs of life. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "chat/generation.h"
#include "chat/peers.h"

namespace colloquy::cluster {

// The path of an answer between servers; GET follows it, DELETE stops it.
inline constexpr const char* kPeerPath = "/cluster/generations/{conversation_id}/{message_id}";
std::string peer_target(const chat::AnswerName& name);

std::string start_data(std::size_t bytes);
std::string token_data(std::string_view text);
std::string end_data(const chat::GenerationOutcome& outcome);

// nullopt for what is none of ours.
std::optional<std::size_t> parse_start(std::string_view data);
std::optional<std::string> parse_token(std::string_view data);
std::optional<chat::PeerEnd> parse_end(std::string_view data);

}  // namespace colloquy::cluster
