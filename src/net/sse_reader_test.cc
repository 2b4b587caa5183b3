#include "net/sse_reader.h"

#include <gtest/gtest.h>

#include <vector>

#include "net/http_client.h"

namespace colloquy::net {
namespace {

using namespace std::string_literals;

std::vector<SseEvent> read_in_pieces(std::string_view stream, std::size_t piece_bytes) {
  SseReader reader;
  std::vector<SseEvent> events;
  for (std::size_t at = 0; at < stream.size(); at += piece_bytes) {
    reader.push(stream.substr(at, piece_bytes));
    while (auto event = reader.next()) events.push_back(std::move(*event));
  }
  return events;
}

std::vector<std::string> data_of(std::string_view stream) {
  std::vector<std::string> data;
  for (const auto& event : read_in_pieces(stream, stream.size() + 1)) data.push_back(event.data);
  return data;
}

using Data = std::vector<std::string>;

TEST(SseReader, ReadsTheSameWhateverTheSizeOfThePieces) {
  const std::string stream =
      "\xEF\xBB\xBF: hello\r\nevent: start\rdata: one\ndata:  two\r\n\r\nid: 7\ndata\n\n"
      "data: \xC3\xA9\r\rdata: cut off";
  for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
    const auto events = read_in_pieces(stream, piece);
    ASSERT_EQ(events.size(), 3U) << piece;
    EXPECT_EQ(events[0].type, "start");
    EXPECT_EQ(events[0].data, "one\n two");
    EXPECT_EQ(events[0].last_event_id, "");
    EXPECT_EQ(events[1].type, "message");
    EXPECT_EQ(events[1].data, "");
    EXPECT_EQ(events[1].last_event_id, "7");
    EXPECT_EQ(events[2].data, "\xC3\xA9");
    EXPECT_EQ(events[2].last_event_id, "7");
  }
}

// The standard's own examples (9.2.6).
TEST(SseReader, ReadsTheStandardsExamples) {
  EXPECT_EQ(data_of("data: YHOO\ndata: +2\ndata: 10\n\n"), (Data{"YHOO\n+2\n10"}));
  EXPECT_EQ(data_of("data\n\ndata\ndata\n\ndata:"), (Data{"", "\n"}));
  EXPECT_EQ(data_of("data:test\n\ndata: test\n\n"), (Data{"test", "test"}));
  EXPECT_EQ(data_of(": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\n"
                    "data:  third event\n\n"),
            (Data{"first event", "second event", " third event"}));
}

TEST(SseReader, AnEventWithoutDataIsNotDelivered) {
  EXPECT_EQ(data_of("event: ping\n\ndata: x\n\n"), (Data{"x"}));
  EXPECT_EQ(read_in_pieces("event: ping\n\ndata: x\n\n", 99)[0].type, "message");
}

TEST(SseReader, UnknownFieldsAndIdsWithNulAreIgnored) {
  const std::string stream = "id: 1\nid: a\0b\nerror: x\nDATA: x\ndata: y\n\n"s;
  const auto events = read_in_pieces(stream, 5);
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].last_event_id, "1");
  EXPECT_EQ(events[0].data, "y");
}

TEST(SseReader, RetryIsReadWhenItIsDigits) {
  SseReader reader;
  reader.push("retry: 1500\nretry: -1\nretry: 2x\nretry: 99999999999999999999\n\n");
  EXPECT_EQ(reader.retry_ms(), 1500);
}

TEST(SseReader, ALineWithoutEndIsRefused) {
  SseReader reader(SseReader::Limits{.line_bytes = 100, .event_bytes = 1000});
  reader.push(std::string(100, 'x'));
  EXPECT_THROW(reader.push("x"), NetError);
}

TEST(SseReader, AnEventWithoutEndIsRefused) {
  SseReader reader(SseReader::Limits{.line_bytes = 100, .event_bytes = 1000});
  EXPECT_THROW(
      {
        for (int i = 0; i < 600; ++i) reader.push("data: x\n");
      },
      NetError);
}

}  // namespace
}  // namespace colloquy::net
