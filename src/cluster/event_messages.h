// What one server tells another of its users' events, as JSON that is sealed (sealed.h) on its way:
//
//   {"instance": "UUID", "after": N, "complete": true}   first: who speaks, and from where on. Not
//                                                        complete: events before that were missed
//   {"events": [{"user": "…", "event": "message.created", …}], "last": N}   as they happen; none: a
//                                                        sign of life
//   {"end": true}                                        nothing more happens on this server
//
// Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "chat/event_hub.h"

namespace colloquy::cluster {

inline constexpr const char* kEventsPath = "/cluster/events";
// The names of the stream's events: first the salt of its seal, then sealed messages.
inline constexpr const char* kSaltEvent = "salt";
inline constexpr const char* kSealedEvent = "sealed";

// A place in the events of one process: after so many of them.
struct EventPlace {
  std::string instance;
  std::uint64_t number = 0;
};
// "INSTANCE-NUMBER"; nullopt for what is none.
std::string place_text(const EventPlace& place);
std::optional<EventPlace> parse_place(std::string_view text);

struct EventsBegin {
  EventPlace place;
  bool complete = false;
};
std::string begin_json(const EventsBegin& begin);

// One event as it stands in a message, and a message of such.
std::string forwarded_json(const UserId& user, const chat::Event& event);
std::string events_json(const std::vector<std::string>& forwarded, std::uint64_t last);
std::string end_json();

std::optional<EventsBegin> parse_begin(std::string_view message);

struct ForwardedEvent {
  UserId user;
  chat::Event event;
};
struct EventsMessage {
  std::vector<ForwardedEvent> events;
  std::size_t garbled = 0;  // of them, that cannot be understood
  std::uint64_t last = 0;
  bool end = false;
};
// Events of a kind that this version does not know are left out.
std::optional<EventsMessage> parse_events(std::string_view message);

}  // namespace colloquy::cluster
