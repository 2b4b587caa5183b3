#include "cluster/peer_events.h"

#include <gtest/gtest.h>

namespace colloquy::cluster {
namespace {

TEST(PeerEvents, AreReadAsTheyWereWritten) {
  EXPECT_EQ(parse_start(start_data(17)), 17U);
  EXPECT_EQ(parse_token(token_data("ünd \"so\"\n")), "ünd \"so\"\n");
  chat::GenerationOutcome outcome;
  auto end = parse_end(end_data(outcome));
  ASSERT_TRUE(end);
  EXPECT_TRUE(end->durable);
  EXPECT_FALSE(end->error);
  outcome.durable = false;
  outcome.error = unavailable("The disk is full.", "a detail that stays at home");
  EXPECT_EQ(end_data(outcome).find("stays at home"), std::string::npos);
  end = parse_end(end_data(outcome));
  ASSERT_TRUE(end && end->error);
  EXPECT_FALSE(end->durable);
  EXPECT_EQ(end->error->code(), ErrorCode::kUnavailable);
  EXPECT_EQ(end->error->message(), "The disk is full.");
}

TEST(PeerEvents, OfAnotherFormAreNone) {
  for (const char* data : {"", "[]", "{", "null", "{}", R"({"bytes":-1})", R"({"bytes":"1"})",
                           R"({"text":""})", R"({"text":1})", R"({"durable":"yes"})"}) {
    EXPECT_FALSE(parse_start(data)) << data;
    EXPECT_FALSE(parse_token(data)) << data;
    EXPECT_FALSE(parse_end(data)) << data;
  }
}

}  // namespace
}  // namespace colloquy::cluster
