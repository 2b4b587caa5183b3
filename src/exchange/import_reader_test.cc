#include "exchange/import_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "exchange/export_writer.h"

namespace colloquy::exchange {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Read {
  std::vector<ImportReader::Item> items;
  std::string incomplete;
};

Read read(std::string_view text, ImportLimits limits = {}, std::size_t piece = 7) {
  ImportReader reader(limits);
  Read read;
  auto drain = [&] {
    while (auto item = reader.next()) read.items.push_back(std::move(*item));
  };
  for (; !text.empty(); text.remove_prefix(std::min(piece, text.size()))) {
    reader.feed(text.substr(0, piece));
    drain();
  }
  reader.end();
  drain();
  read.incomplete = reader.incomplete();
  return read;
}

std::vector<std::string> tree(const Draft& draft) {
  std::vector<std::string> all;
  for (const auto& message : draft.messages) {
    all.push_back(message.id + "<" + message.parent + ":" +
                  std::string(store::role_name(message.message.role)) + ":" +
                  message.message.content);
  }
  return all;
}

constexpr std::string_view kChatGpt = R"([{"title":"Tea","create_time":1700000000.5,
 "update_time":1700000100.25,"conversation_id":"c-1","current_node":"n4","mapping":{
 "n0":{"id":"n0","message":null,"parent":null,"children":["n1"]},
 "n1":{"id":"n1","message":{"id":"n1","author":{"role":"system"},"content":{"content_type":"text","parts":[""]},
   "metadata":{"is_visually_hidden_from_conversation":true}},"parent":"n0","children":["n2"]},
 "n2":{"id":"n2","message":{"author":{"role":"user"},"create_time":1700000001,
   "content":{"content_type":"multimodal_text","parts":[{"content_type":"image_asset_pointer"},"Which tea?"]}},"parent":"n1"},
 "n3":{"id":"n3","message":{"author":{"role":"tool"},"content":{"content_type":"code","text":"x"}},"parent":"n2"},
 "n4":{"id":"n4","message":{"author":{"role":"assistant"},"create_time":1700000002,"status":"finished_successfully",
   "content":{"content_type":"text","parts":["Green."]},"metadata":{"model_slug":"some-model"}},"parent":"n3"},
 "n5":{"id":"n5","message":{"author":{"role":"assistant"},"content":{"content_type":"text","parts":["Black."]}},"parent":"n2"}}}])";

TEST(ImportReader, ReadsChatGptsTree) {
  for (std::size_t piece : {1U, 13U, 100'000U}) {
    auto all = read(kChatGpt, {}, piece);
    ASSERT_EQ(all.items.size(), 1U);
    ASSERT_TRUE(all.items[0].draft) << all.items[0].refusal;
    const auto& draft = *all.items[0].draft;
    EXPECT_EQ(all.incomplete, "");
    EXPECT_EQ(draft.source, "chatgpt");
    EXPECT_EQ(draft.conversation.title, "Tea");
    EXPECT_EQ(draft.conversation.created_at_s, 1'700'000'000);
    EXPECT_EQ(draft.conversation.updated_at_s, 1'700'000'100);
    EXPECT_EQ(draft.active, "n4");
    EXPECT_EQ(draft.left_out, 2U);
    EXPECT_THAT(tree(draft), ElementsAre("n2<:user:[image_asset_pointer]\nWhich tea?",
                                         "n4<n2:assistant:Green.", "n5<n2:assistant:Black."));
    EXPECT_EQ(draft.messages[1].message.model, "some-model");
    EXPECT_EQ(draft.messages[2].message.timestamp_s, 1'700'000'000);
  }
}

TEST(ImportReader, ReadsOpenWebUisChats) {
  auto all = read(
      R"([{"id":"w1","title":"Rain","created_at":1700000000,"updated_at":1700000000123,"pinned":true,
    "chat":{"system":"Be brief.","history":{"currentId":"b","messages":{
      "a":{"id":"a","parentId":null,"role":"user","content":"Will it rain?","timestamp":1700000001},
      "b":{"id":"b","parentId":"a","role":"assistant","content":"Yes.","model":"m"}}}}},
    {"id":"w2","title":"Old","chat":{"messages":[{"role":"user","content":"One"},{"role":"assistant","content":"Two"}]}},
    {"id":"w3","chat":5}])");
  ASSERT_EQ(all.items.size(), 3U);
  ASSERT_TRUE(all.items[0].draft);
  EXPECT_EQ(all.items[0].draft->conversation.system_prompt, "Be brief.");
  EXPECT_EQ(all.items[0].draft->conversation.updated_at_s, 1'700'000'000);
  EXPECT_TRUE(all.items[0].draft->conversation.pinned);
  EXPECT_THAT(tree(*all.items[0].draft),
              ElementsAre("a<:user:Will it rain?", "b<a:assistant:Yes."));
  ASSERT_TRUE(all.items[1].draft);
  EXPECT_THAT(tree(*all.items[1].draft), ElementsAre("0<:user:One", "1<0:assistant:Two"));
  EXPECT_THAT(all.items[2].refusal, HasSubstr("no chat"));
}

std::string own_export(bool whole = true) {
  std::string text;
  write_first_line(text, 1'700'000'500);
  store::Conversation conversation;
  conversation.id = ConversationId(Uuid::make_v7(1'700'000'000'000, 1, 1));
  conversation.title = "Title \"quoted\"\n";
  conversation.created_at_s = 1'700'000'000;
  conversation.updated_at_s = 1'700'000'010;
  conversation.metadata = {{"k", "v"}};
  conversation.ttl_seconds = 99;
  conversation.context.tokens = 500;
  for (int i = 0; i < 2; ++i) {
    write_head(text, conversation);
    store::Message message;
    message.id = MessageId(Uuid::make_v7(1'700'000'000'000, 2, 1));
    message.content = "Hello";
    message.attachments = {"a/\"b\".txt", "c"};
    write_message(text, message, true);
    store::Message answer;
    answer.id = message.id.successor();
    answer.parent = message.id;
    answer.role = store::Role::kAssistant;
    answer.status = store::MessageStatus::kRunning;
    answer.usage = store::Usage{3, 4};
    write_message(text, answer, true);
    conversation.id = conversation.id.successor();
  }
  if (whole) write_last_line(text, 2, 4);
  return text;
}

TEST(ImportReader, ReadsWhatAnExportWrote) {
  auto all = read(own_export());
  EXPECT_EQ(all.incomplete, "");
  ASSERT_EQ(all.items.size(), 2U);
  ASSERT_TRUE(all.items[0].draft) << all.items[0].refusal;
  const auto& draft = *all.items[0].draft;
  EXPECT_EQ(draft.conversation.title, "Title \"quoted\"\n");
  EXPECT_EQ(draft.conversation.ttl_seconds, 99);
  EXPECT_EQ(draft.conversation.context.tokens, 500U);
  EXPECT_EQ(draft.conversation.metadata, (store::Metadata{{"k", "v"}}));
  ASSERT_EQ(draft.messages.size(), 2U);
  EXPECT_EQ(draft.messages[0].message.attachments, (store::Attachments{"a/\"b\".txt", "c"}));
  EXPECT_EQ(draft.messages[1].parent, draft.messages[0].id);
  EXPECT_EQ(draft.messages[1].message.status, store::MessageStatus::kInterrupted);
  EXPECT_EQ(draft.messages[1].message.usage, (store::Usage{3, 4}));
  EXPECT_EQ(draft.active, draft.messages[1].id);
}

TEST(ImportReader, RefusesTheConversationThatIsCutOffAndSaysSo) {
  auto text = own_export();
  for (std::size_t size = 90; size + 1 < text.size(); size += 11) {
    auto all = read(std::string_view(text).substr(0, size));
    EXPECT_NE(all.incomplete, "") << size;
    if (!all.items.empty() && size + 60 < text.size()) {
      EXPECT_FALSE(all.items.back().draft) << size;
    }
  }
}

TEST(ImportReader, RefusesOneConversationAndReadsOn) {
  ImportLimits limits;
  limits.content_bytes = 4;
  auto all = read(own_export(), limits);
  ASSERT_EQ(all.items.size(), 2U);
  EXPECT_THAT(all.items[1].refusal, HasSubstr("longer than 4 bytes"));
  limits = {};
  limits.messages = 1;
  EXPECT_THAT(read(own_export(), limits).items[0].refusal, HasSubstr("too large"));
  auto text = own_export();
  text.insert(text.find("{\"type\":\"message\""), "{not json}\n");
  all = read(text);
  ASSERT_EQ(all.items.size(), 2U);
  EXPECT_THAT(all.items[0].refusal, HasSubstr("Line 3"));
  EXPECT_TRUE(all.items[1].draft);
}

TEST(ImportReader, RefusesWhatItDoesNotKnow) {
  for (const auto* text : {"{}", "hello", R"({"type":"export","format":"colloquy","version":2})"}) {
    EXPECT_THROW(read(text), Error) << text;
  }
  EXPECT_NE(read("").incomplete, "");
  EXPECT_THAT(read("[{\"a\":1}]").incomplete, HasSubstr("none of"));
}

std::vector<std::string> outcomes(const Read& all) {
  std::vector<std::string> list;
  for (const auto& item : all.items) list.push_back(item.draft ? item.draft->id : item.refusal);
  return list;
}

TEST(ImportReader, RefusesOddElementsAlone) {
  const std::string tea(kChatGpt.substr(1, kChatGpt.size() - 2));
  auto all = read("[null,{},[" + tea + "],\"x\",{\"mapping\":7}," + tea + ",5]");
  EXPECT_EQ(all.incomplete, "");
  EXPECT_THAT(outcomes(all),
              ElementsAre(HasSubstr("no conversation"), HasSubstr("no conversation"),
                          HasSubstr("no conversation"), HasSubstr("no conversation"),
                          HasSubstr("no mapping"), "c-1", HasSubstr("no conversation")));
  ImportLimits limits;
  limits.conversation_bytes = 2000;
  all = read("[{\"mapping\":\"" + std::string(3000, 'x') + "\"}," + tea + "]", limits);
  EXPECT_THAT(outcomes(all), ElementsAre(HasSubstr("too large"), "c-1"));
}

TEST(ImportReader, TakesOpenWebUisListWhereTheTreeIsEmpty) {
  auto all = read(
      R"([{"id":"w","chat":{"history":{"messages":{}},"messages":[{"role":"user","content":"One"}]}},
          {"id":"v","chat":{"history":{"messages":{}}}}])");
  ASSERT_EQ(all.items.size(), 2U);
  ASSERT_TRUE(all.items[0].draft);
  EXPECT_THAT(tree(*all.items[0].draft), ElementsAre("0<:user:One"));
  EXPECT_THAT(all.items[1].refusal, HasSubstr("no message"));
}

TEST(ImportReader, RefusesAForeignConversationWithoutAMessage) {
  auto all = read(
      R"([{"id":"a","mapping":{}},
          {"id":"b","mapping":{"n":{"message":{"author":{"role":"tool"},"content":{"parts":["x"]}}}}},
          {"id":"c","chat":{}}])");
  EXPECT_THAT(outcomes(all), ElementsAre(HasSubstr("no message"), HasSubstr("no message"),
                                         HasSubstr("no message")));
  EXPECT_EQ(all.items[0].source_id, "a");
}

TEST(ImportReader, RefusesWhatWasMadeInTheFuture) {
  ImportLimits limits;
  limits.latest_s = 1'800'000'000;
  const auto own = [](const std::string& created, const std::string& message) {
    return R"({"type":"export","format":"colloquy","version":1}
{"type":"conversation","conversation_id":"c","updated_at":9e18,"created_at":)" +
           created + R"(}
{"type":"message","role":"user","content":"x",)" +
           message + "}\n{\"type\":\"end\"}\n";
  };
  const std::string then = R"("message_id":"m","timestamp":1800000000)";
  EXPECT_TRUE(read(own("1800000000", then), limits).items.at(0).draft);
  for (const auto* created : {"1800000001", "1800000001000", "9e18", "1e300"}) {
    EXPECT_THAT(outcomes(read(own(created, then), limits)), ElementsAre(HasSubstr("created_at")))
        << created;
  }
  for (const auto* message : {R"("message_id":"m","timestamp":1800000001)",
                              R"("message_id":"02000000-0000-7000-8000-000000000000")"}) {
    EXPECT_THAT(outcomes(read(own("1", message), limits)), ElementsAre(HasSubstr("A message was")))
        << message;
  }
  auto foreign = read(R"([{"id":"a","create_time":1,"mapping":{"n":{"message":
    {"author":{"role":"user"},"create_time":9e18,"content":{"parts":["x"]}}}}}])",
                      limits);
  EXPECT_THAT(outcomes(foreign), ElementsAre(HasSubstr("A message was")));
}

TEST(ImportReader, RefusesFieldsOfAnotherKindThanTheirs) {
  const auto text = own_export();
  const auto with = [&text](const std::string& after, const std::string& field) {
    auto changed = text;
    changed.insert(changed.find(after) + after.size(), field + ",");
    return read(changed);
  };
  for (const auto* wrong : {"\"a\"", "7", "{}", "false"}) {
    auto without = text;
    const std::string names = "\"attachments\":[";
    auto begin = without.find(names);
    without.replace(begin, without.find(']', begin) + 1 - begin,
                    "\"attachments\":" + std::string(wrong));
    auto all = read(without);
    ASSERT_EQ(all.items.size(), 2U);
    EXPECT_THAT(all.items[0].refusal, HasSubstr("attachments")) << wrong;
    EXPECT_TRUE(all.items[1].draft);
  }
  auto all = with("{\"type\":\"message\",", "\"metadata\":\"a\"");
  EXPECT_THAT(all.items[0].refusal, HasSubstr("metadata"));
  EXPECT_TRUE(with("{\"type\":\"message\",", "\"metadata\":null").items[0].draft);
}

TEST(ImportReader, TakesWhatIsWholeBeforeABrokenByte) {
  const std::string tea(kChatGpt.substr(0, kChatGpt.size() - 1));
  const auto own = own_export();
  const auto end = own.find("{\"type\":\"end\"");
  for (const auto& text : {tea + ",?", own.substr(0, end) + "?"}) {
    ImportReader reader(ImportLimits{});
    EXPECT_THROW(reader.feed(text), Error);
    auto item = reader.next();
    ASSERT_TRUE(item);
    EXPECT_TRUE(item->draft) << item->refusal;
    item = reader.next();
    // Of Colloquy's own, more messages may have come.
    EXPECT_EQ(item.has_value(), text.front() == '{');
    if (item) {
      EXPECT_THAT(item->refusal, HasSubstr("cut off"));
    }
    EXPECT_FALSE(reader.next());
  }
}

TEST(ImportReader, RefusesOnlyTheConversationOfABrokenHead) {
  for (const auto* broken : {R"({"type":"conversation","title":nothing})",
                             R"({"type": "conversation","title":"no end)"}) {
    auto text = own_export();
    auto second = text.rfind("{\"type\":\"conversation\"");
    text.replace(second, text.find('\n', second) - second, broken);
    auto all = read(text);
    EXPECT_EQ(all.incomplete, "");
    ASSERT_EQ(all.items.size(), 2U);
    EXPECT_TRUE(all.items[0].draft) << all.items[0].refusal;
    EXPECT_THAT(all.items[1].refusal, HasSubstr("Line 5: It is not JSON"));
    EXPECT_EQ(all.items[1].line, 5U);
  }
}

// A chain of nodes that say nothing, on whose end all messages hang; what is quadratic would take
// hours.
std::string wide_and_deep(int deep, int wide) {
  std::string text = R"({"id":"deep","mapping":{"d0":{})";
  for (int i = 1; i < deep; ++i) {
    auto number = std::to_string(i);
    text += ",\"d" + number + R"(":{"parent":"d)" + std::to_string(i - 1) + "\"}";
  }
  for (int i = 0; i < wide; ++i) {
    text += ",\"m" + std::to_string(i) + R"(":{"parent":"d)" + std::to_string(deep - 1) +
            R"(","message":{"author":{"role":"user"},"content":{"parts":["x"]}}})";
  }
  return text + "}}";
}

TEST(ImportReader, FindsWhatALongChainLeadsToWithoutWalkingItForEach) {
  auto all = read(wide_and_deep(90'000, 90'000), {}, 1 << 16);
  ASSERT_EQ(all.items.size(), 1U);
  ASSERT_TRUE(all.items[0].draft) << all.items[0].refusal;
  const auto& messages = all.items[0].draft->messages;
  EXPECT_EQ(messages.size(), 90'000U);
  EXPECT_EQ(messages.back().parent, "");
}

TEST(ImportReader, LeavesACircleOfNodesThatSayNothing) {
  auto all = read(R"({"id":"c","current_node":"a","mapping":{"a":{"parent":"b"},"b":{"parent":"a"},
    "m":{"parent":"a","message":{"author":{"role":"user"},"content":{"parts":["x"]}}}}})");
  ASSERT_EQ(all.items.size(), 1U);
  EXPECT_THAT(tree(*all.items[0].draft), ElementsAre("m<:user:x"));
  EXPECT_EQ(all.items[0].draft->active, "");
}

TEST(ImportReader, RefusesTooManyNodesByName) {
  ImportLimits limits;
  limits.nodes = 5;
  auto all = read(wide_and_deep(3, 3), limits);
  EXPECT_THAT(outcomes(all), ElementsAre(HasSubstr("more than 5 nodes")));
  all = read(R"([{"chat":{"messages":[1,1,1,1,1,1]}}])", limits);
  EXPECT_THAT(outcomes(all), ElementsAre(HasSubstr("more than 5 nodes")));
}

}  // namespace
}  // namespace colloquy::exchange
