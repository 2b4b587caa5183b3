#include "cluster/event_messages.h"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <charconv>
#include <limits>
#include <utility>

#include "base/json_writer.h"
#include "base/limits.h"
#include "store/types.h"

namespace colloquy::cluster {
namespace {

namespace json = boost::json;
using chat::Event;
using chat::EventKind;

bool of_message(EventKind kind) {
  return kind == EventKind::kMessageCreated || kind == EventKind::kMessageChanged ||
         kind == EventKind::kMessageDeleted;
}
bool has_conversation(EventKind kind) {
  return kind == EventKind::kConversationCreated || kind == EventKind::kConversationChanged;
}
bool has_message(EventKind kind) {
  return kind == EventKind::kMessageCreated || kind == EventKind::kMessageChanged;
}

std::optional<json::object> parse_object(std::string_view text) {
  boost::system::error_code error;
  auto value = json::parse(json::string_view(text.data(), text.size()), error);
  if (error || !value.is_object()) return std::nullopt;
  return std::move(value.get_object());
}

// Takes fields out of an object; once one is missing or of another type, `good` is false.
struct Fields {
  const json::object& object;
  bool good = true;

  const json::value* find(json::string_view name) {
    const auto* value = object.if_contains(name);
    if (value == nullptr) good = false;
    return value;
  }
  std::string text(json::string_view name) {
    const auto* value = find(name);
    const auto* string = value == nullptr ? nullptr : value->if_string();
    if (string == nullptr) return good = false, std::string();
    return {string->data(), string->size()};
  }
  std::int64_t number(json::string_view name) {
    const auto* value = find(name);
    const auto* number = value == nullptr ? nullptr : value->if_int64();
    if (number == nullptr) return good = false, 0;
    return *number;
  }
  std::uint64_t count(json::string_view name) {
    auto value = number(name);
    if (value < 0) good = false;
    return good ? static_cast<std::uint64_t>(value) : 0;
  }
  bool boolean(json::string_view name) {
    const auto* value = find(name);
    if (value == nullptr || !value->is_bool()) return good = false;
    return value->get_bool();
  }
  template <class Id>
  Id id(json::string_view name) {
    auto parsed = Id::parse(text(name));
    if (!parsed) good = false;
    return parsed.value_or(Id());
  }
};

std::optional<store::MessageStatus> parse_status(std::string_view name) {
  using store::MessageStatus;
  for (auto status : {MessageStatus::kComplete, MessageStatus::kRunning, MessageStatus::kFailed,
                      MessageStatus::kCancelled, MessageStatus::kInterrupted}) {
    if (store::status_name(status) == name) return status;
  }
  return std::nullopt;
}

// nullopt: garbled.
std::optional<ForwardedEvent> parse_forwarded(const json::object& object, EventKind kind) {
  Fields fields{object};
  ForwardedEvent forwarded;
  forwarded.user = UserId(fields.text("user"));
  auto bytes = forwarded.user.value().size();
  if (bytes == 0 || bytes > limits::kUserIdBytes) return std::nullopt;
  auto& event = forwarded.event;
  event.kind = kind;
  event.conversation_id = fields.id<ConversationId>("conversation_id");
  if (of_message(kind)) event.message_id = fields.id<MessageId>("message_id");
  if (has_conversation(kind)) {
    event.title = fields.text("title");
    event.created_at_s = fields.number("created_at");
    event.updated_at_s = fields.number("updated_at");
    event.message_count = fields.count("message_count");
    event.pinned = fields.boolean("pinned");
    event.archived = fields.boolean("archived");
  }
  if (has_message(kind)) {
    auto role = store::parse_role(fields.text("role"));
    auto status = parse_status(fields.text("status"));
    if (!role || !status) return std::nullopt;
    event.role = *role;
    event.status = *status;
  }
  if (!fields.good) return std::nullopt;
  return forwarded;
}

void add_event(EventsMessage& message, const json::value& value) {
  if (!value.is_object()) {
    ++message.garbled;
    return;
  }
  Fields fields{value.get_object()};
  auto name = fields.text("event");
  auto kind = chat::parse_event_name(name);
  if (!kind && fields.good) return;
  auto forwarded = kind ? parse_forwarded(fields.object, *kind) : std::nullopt;
  if (forwarded) {
    message.events.push_back(std::move(*forwarded));
  } else {
    ++message.garbled;
  }
}

std::int64_t signed_number(std::uint64_t number) { return static_cast<std::int64_t>(number); }

}  // namespace

std::string place_text(const EventPlace& place) {
  return place.instance + "-" + std::to_string(place.number);
}

std::optional<EventPlace> parse_place(std::string_view text) {
  auto dash = text.rfind('-');
  if (dash == std::string_view::npos || !Uuid::parse_v7(text.substr(0, dash))) return std::nullopt;
  EventPlace place;
  place.instance = text.substr(0, dash);
  auto digits = text.substr(dash + 1);
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), place.number);
  bool whole = error == std::errc() && end == digits.data() + digits.size();
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (!whole || place.number > kMost) return std::nullopt;
  return place;
}

std::string begin_json(const EventsBegin& begin) {
  std::string message;
  JsonWriter to(message);
  to.begin_object().key("instance").string(begin.place.instance);
  to.key("after").integer(signed_number(begin.place.number));
  to.key("complete").boolean(begin.complete).end_object();
  return message;
}

std::string forwarded_json(const UserId& user, const Event& event) {
  std::string text;
  JsonWriter to(text);
  to.begin_object().key("user").string(user.value());
  to.key("event").string(chat::event_name(event.kind));
  to.key("conversation_id").uuid(event.conversation_id.uuid());
  if (of_message(event.kind)) to.key("message_id").uuid(event.message_id.uuid());
  if (has_conversation(event.kind)) {
    to.key("title").string(event.title);
    to.key("created_at").integer(event.created_at_s);
    to.key("updated_at").integer(event.updated_at_s);
    to.key("message_count").integer(signed_number(event.message_count));
    to.key("pinned").boolean(event.pinned);
    to.key("archived").boolean(event.archived);
  }
  if (has_message(event.kind)) {
    to.key("role").string(store::role_name(event.role));
    to.key("status").string(store::status_name(event.status));
  }
  to.end_object();
  return text;
}

std::string events_json(const std::vector<std::string>& forwarded, std::uint64_t last) {
  std::string message;
  JsonWriter to(message);
  to.begin_object().key("events").begin_array();
  for (const auto& event : forwarded) to.raw(event);
  to.end_array().key("last").integer(signed_number(last)).end_object();
  return message;
}

std::string end_json() {
  std::string message;
  JsonWriter(message).begin_object().key("end").boolean(true).end_object();
  return message;
}

std::optional<EventsBegin> parse_begin(std::string_view message) {
  auto object = parse_object(message);
  if (!object) return std::nullopt;
  Fields fields{*object};
  EventsBegin begin;
  begin.place.instance = fields.text("instance");
  begin.place.number = fields.count("after");
  begin.complete = fields.boolean("complete");
  if (!fields.good || !Uuid::parse_v7(begin.place.instance)) return std::nullopt;
  return begin;
}

std::optional<EventsMessage> parse_events(std::string_view text) {
  auto object = parse_object(text);
  if (!object) return std::nullopt;
  Fields fields{*object};
  EventsMessage message;
  if (object->contains("end")) {
    message.end = fields.boolean("end");
    if (!message.end) return std::nullopt;
    return message;
  }
  message.last = fields.count("last");
  const auto* events = fields.find("events");
  if (!fields.good || !events->is_array()) return std::nullopt;
  for (const auto& event : events->get_array()) add_event(message, event);
  return message;
}

}  // namespace colloquy::cluster
