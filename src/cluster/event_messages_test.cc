#include "cluster/event_messages.h"

#include <gtest/gtest.h>

namespace colloquy::cluster {
namespace {

const std::string kInstance = "01932f3e-5c00-7a4b-9c1d-2e3f405162a3";

chat::Event event_of(chat::EventKind kind) {
  chat::Event event;
  event.kind = kind;
  event.conversation_id = ConversationId(Uuid::make_v7(1, 2, 3));
  event.message_id = MessageId(Uuid::make_v7(1, 2, 4));
  event.title = "Ein \"Titel\"\nünd so";
  event.created_at_s = 17;
  event.updated_at_s = 18;
  event.message_count = 19;
  event.pinned = true;
  event.role = store::Role::kAssistant;
  event.status = store::MessageStatus::kCancelled;
  return event;
}

TEST(EventMessages, AreReadAsTheyWereWritten) {
  const UserId user("älice \"b\"");
  for (auto kind : {chat::EventKind::kConversationCreated, chat::EventKind::kConversationChanged,
                    chat::EventKind::kConversationDeleted, chat::EventKind::kMessageCreated,
                    chat::EventKind::kMessageChanged, chat::EventKind::kMessageDeleted}) {
    auto event = event_of(kind);
    auto one = forwarded_json(user, event);
    auto message = parse_events(events_json({one, one}, 7));
    ASSERT_TRUE(message);
    EXPECT_EQ(message->last, 7U);
    EXPECT_EQ(message->garbled, 0U);
    EXPECT_FALSE(message->end);
    ASSERT_EQ(message->events.size(), 2U);
    const auto& forwarded = message->events.back();
    EXPECT_EQ(forwarded.user, user);
    EXPECT_EQ(forwarded.event.kind, kind);
    EXPECT_EQ(forwarded.event.conversation_id, event.conversation_id);
    // What a client is told of it is the same: it is written from the same fields.
    EXPECT_EQ(forwarded_json(forwarded.user, forwarded.event), one);
  }
  EXPECT_TRUE(parse_events(events_json({}, 3))->events.empty());
  EXPECT_TRUE(parse_events(end_json())->end);
  auto begin = parse_begin(begin_json({{kInstance, 12}, true}));
  ASSERT_TRUE(begin);
  EXPECT_EQ(begin->place.instance, kInstance);
  EXPECT_EQ(begin->place.number, 12U);
  EXPECT_TRUE(begin->complete);
}

TEST(EventMessages, APlaceNamesAProcessAndANumber) {
  auto place = parse_place(place_text({kInstance, 12}));
  ASSERT_TRUE(place);
  EXPECT_EQ(place->instance, kInstance);
  EXPECT_EQ(place->number, 12U);
  for (const auto& text : {std::string(), kInstance, kInstance + "-", kInstance + "-x",
                           kInstance + "--1", kInstance + "-1x", kInstance + "-9223372036854775808",
                           kInstance + "-99999999999999999999", std::string("any-1")}) {
    EXPECT_FALSE(parse_place(text)) << text;
  }
}

TEST(EventMessages, AnEventThatCannotBeUnderstoodIsCountedAndOneOfANewKindLeftOut) {
  auto good = forwarded_json(UserId("alice"), event_of(chat::EventKind::kMessageCreated));
  auto with = [&](const std::string& from, const std::string& to) {
    auto text = good;
    text.replace(text.find(from), from.size(), to);
    return text;
  };
  auto message = parse_events(events_json(
      {good, with("message.created", "message.pinned"), "1", "{}", with("\"alice\"", "\"\""),
       with("\"alice\"", "1"), with("alice", std::string(300, 'x')), with("assistant", "nobody"),
       with("cancelled", "gone"), with("\"message_id\"", "\"message\""),
       with("conversation_id\":\"", "conversation_id\":\"x")},
      1));
  ASSERT_TRUE(message);
  EXPECT_EQ(message->events.size(), 1U);
  EXPECT_EQ(message->garbled, 9U);
}

TEST(EventMessages, OfAnotherFormAreNone) {
  for (const char* text : {"", "[]", "{", "null", "{}", R"({"events":1,"last":1})",
                           R"({"events":[]})", R"({"events":[],"last":-1})", R"({"end":false})",
                           R"({"end":1})", R"({"instance":"x","after":1,"complete":true})"}) {
    EXPECT_FALSE(parse_events(text)) << text;
    EXPECT_FALSE(parse_begin(text)) << text;
  }
}

}  // namespace
}  // namespace colloquy::cluster
