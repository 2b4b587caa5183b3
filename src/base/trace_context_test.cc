#include "base/trace_context.h"

#include <gtest/gtest.h>

#include <string>

namespace colloquy {
namespace {

const std::string kTrace = "0af7651916cd43dd8448eb211c80319c";
const std::string kParent = "b7ad6b7169203331";

TEST(TraceContext, GoesOnWithTheTraceAndHasASpanOfItsOwn) {
  const auto trace = continue_trace("00-" + kTrace + "-" + kParent + "-01", "a=1");
  EXPECT_EQ(trace.trace_id, kTrace);
  EXPECT_EQ(trace.span_id.size(), 16U);
  EXPECT_NE(trace.span_id, kParent);
  EXPECT_EQ(trace.flags, "01");
  EXPECT_EQ(trace.trace_state, "a=1");
  EXPECT_EQ(traceparent(trace), "00-" + kTrace + "-" + trace.span_id + "-01");
}

TEST(TraceContext, KnowsTheFirstFlagOnly) {
  const auto flags = [](const std::string& text) {
    return continue_trace("00-" + kTrace + "-" + kParent + "-" + text, "").flags;
  };
  EXPECT_EQ(flags("00"), "00");
  EXPECT_EQ(flags("ff"), "01");
  EXPECT_EQ(flags("fe"), "00");
}

TEST(TraceContext, ReadsALaterVersionAsFarAsItKnowsIt) {
  for (const std::string& later : {"01-" + kTrace + "-" + kParent + "-01",
                                   "cc-" + kTrace + "-" + kParent + "-01-what-follows"}) {
    EXPECT_EQ(continue_trace(later, "").trace_id, kTrace) << later;
  }
}

TEST(TraceContext, BeginsAnewWhereTheParentIsNotValid) {
  const std::string good = "00-" + kTrace + "-" + kParent + "-01";
  const auto with = [&good](std::size_t at, const std::string& other) {
    auto text = good;
    return text.replace(at, other.size(), other);
  };
  for (const std::string& bad :
       {std::string(), good.substr(1), good + "-", good + "-00", good.substr(0, 54), " " + good,
        with(0, "ff"), with(0, "0G"), with(3, "0AF7"), with(3, std::string(32, '0')),
        with(36, std::string(16, '0')), with(36, "B7"), with(53, "0x"), with(2, "_"), with(35, "_"),
        with(52, "_"), "cc" + good.substr(2) + "x", with(10, std::string(1, '\0'))}) {
    const auto trace = continue_trace(bad, "a=1");
    EXPECT_NE(trace.trace_id, kTrace) << bad;
    EXPECT_EQ(trace.trace_id.size(), 32U) << bad;
    EXPECT_EQ(trace.span_id.size(), 16U) << bad;
    EXPECT_EQ(trace.trace_state, "") << bad;
    // What it begins is valid itself.
    EXPECT_EQ(continue_trace(traceparent(trace), "").trace_id, trace.trace_id);
  }
}

TEST(TraceContext, DropsAStateThatIsNotWellFormed) {
  const auto state = [](const std::string& text) {
    return continue_trace("00-" + kTrace + "-" + kParent + "-01", text).trace_state;
  };
  EXPECT_EQ(state("rojo=00f067aa0ba902b7 ,, congo=t61rcWkgMzE"),
            "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE");
  EXPECT_EQ(state("fw529a3039@dt=FfAJ a"), "fw529a3039@dt=FfAJ a");
  for (const std::string& bad :
       {std::string("a"), std::string("A=1"), std::string("a="), std::string("=1"),
        std::string("a=b=c"), std::string("a=\x7f"), std::string("a=\xc3\xa4"),
        std::string("a@b@c=1"), "a=" + std::string(257, 'x'), std::string(257, 'a') + "=1",
        "a=" + std::string(250, 'x') + ",b=" + std::string(250, 'x') +
            ",c=" + std::string(250, 'x')}) {
    EXPECT_EQ(state(bad), "") << bad;
  }
  std::string many;
  for (int i = 0; i < 33; ++i) many += "k" + std::to_string(i) + "=1,";
  EXPECT_EQ(state(many), "");
  EXPECT_NE(state(many.substr(0, many.size() - 6)), "");
}

TEST(TraceContext, AChildHasTheSameTraceAndAnotherSpan) {
  const auto trace = continue_trace("00-" + kTrace + "-" + kParent + "-01", "a=1");
  const auto child = child_span(trace);
  EXPECT_EQ(child.trace_id, trace.trace_id);
  EXPECT_EQ(child.trace_state, "a=1");
  EXPECT_NE(child.span_id, trace.span_id);
  EXPECT_EQ(child_span(TraceContext()).span_id, "");
}

}  // namespace
}  // namespace colloquy
