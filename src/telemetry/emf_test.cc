#include "telemetry/emf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cmath>
#include <memory>
#include <numeric>
#include <set>
#include <string>
#include <vector>

namespace colloquy::telemetry {
namespace {

namespace json = boost::json;
using ::testing::ElementsAre;

std::optional<Labels> none(const Labels& /*all*/) { return Labels(); }
std::optional<Labels> all(const Labels& labels) { return labels; }

// What the specification says of a document; "" where it holds.
std::string fault_of(const json::object& line) {
  const auto* aws = line.if_contains("_aws");
  if (aws == nullptr || !aws->is_object()) return "_aws";
  const auto& metadata = aws->get_object();
  if (!metadata.contains("Timestamp") || !metadata.at("Timestamp").is_int64()) return "Timestamp";
  const auto* directives = metadata.if_contains("CloudWatchMetrics");
  if (directives == nullptr || !directives->is_array()) return "CloudWatchMetrics";
  for (const auto& each : directives->get_array()) {
    const auto& directive = each.as_object();
    if (directive.size() != 3) return "members of a directive";
    if (directive.at("Namespace").as_string().empty()) return "Namespace";
    for (const auto& set : directive.at("Dimensions").as_array()) {
      if (set.as_array().size() > 30) return "too many dimensions";
      for (const auto& name : set.as_array()) {
        const auto* value = line.if_contains(name.as_string());
        if (value == nullptr || !value->is_string() || value->get_string().empty()) {
          return "the dimension " + std::string(name.as_string());
        }
      }
    }
    const auto& metrics = directive.at("Metrics").as_array();
    if (metrics.empty() || metrics.size() > 100) return "number of metrics";
    for (const auto& metric : metrics) {
      const auto& name = metric.as_object().at("Name").as_string();
      const auto* value = line.if_contains(name);
      if (value == nullptr) return "no value of " + std::string(name);
      if (value->is_number()) continue;
      if (!value->is_array()) return "the value of " + std::string(name);
      const auto& values = value->get_array();
      if (values.empty() || values.size() > 100) return "how many values";
      for (const auto& number : values) {
        if (!number.is_number()) return "a value that is no number";
      }
    }
  }
  return "";
}

// Lines are kept, each with a fate of the test's choosing.
class EmfLogTest : public ::testing::Test {
 protected:
  static EmfOptions options() {
    EmfOptions options;
    options.name_space = "Test";
    options.dimensions = {{"Service", "chat"}};
    options.properties = {{"instance", "one"}};
    options.metrics = {{"asked_total", EmfKind::kDifference, "Count", all},
                       {"size_bytes", EmfKind::kLevel, "Bytes", none},
                       {"wait_seconds", EmfKind::kDifference, "Seconds", none}};
    return options;
  }

  EmfLog::Write keep() {
    return [this](std::string_view members) {
      auto line = json::parse("{" + std::string(members) + "}").as_object();
      EXPECT_EQ(fault_of(line), "") << members;
      lines.push_back(std::move(line));
      receipts.push_back(std::make_shared<std::atomic<LineFate>>(fate));
      return receipts.back();
    };
  }

  json::object written() {
    lines.clear();
    log.write(1'700'000'000'123);
    if (lines.size() != 1) ADD_FAILURE() << lines.size() << " lines";
    return lines.empty() ? json::object() : lines.front();
  }

  Metrics metrics;
  LineFate fate = LineFate::kWritten;
  std::vector<json::object> lines;
  std::vector<LineReceipt> receipts;
  EmfLog log{metrics, options(), keep()};
};

TEST_F(EmfLogTest, ALineIsADocumentOfTheSpecification) {
  metrics.gauge("size_bytes", "Size.").Set(12.5);
  const auto line = written();
  const auto& metadata = line.at("_aws").as_object();
  EXPECT_EQ(metadata.at("Timestamp").as_int64(), 1'700'000'000'123);
  const auto& directive = metadata.at("CloudWatchMetrics").as_array().at(0).as_object();
  EXPECT_EQ(directive.at("Namespace").as_string(), "Test");
  EXPECT_EQ(json::serialize(directive.at("Dimensions")), R"([["Service"]])");
  EXPECT_EQ(json::serialize(directive.at("Metrics")), R"([{"Name":"size_bytes","Unit":"Bytes"}])");
  EXPECT_EQ(line.at("Service").as_string(), "chat");
  EXPECT_EQ(line.at("instance").as_string(), "one");
  EXPECT_EQ(line.at("size_bytes").to_number<double>(), 12.5);
}

TEST_F(EmfLogTest, ACounterIsToldAsTheDifferenceAndAGaugeAsItIs) {
  auto& asked = metrics.counter("asked_total", "Asked.");
  auto& size = metrics.gauge("size_bytes", "Size.");
  asked.Increment(5);
  size.Set(7);
  EXPECT_EQ(written().at("asked_total").to_number<int>(), 5);
  asked.Increment(2);
  const auto second = written();
  EXPECT_EQ(second.at("asked_total").to_number<int>(), 2);
  EXPECT_EQ(second.at("size_bytes").to_number<int>(), 7);
  EXPECT_EQ(written().at("asked_total").to_number<int>(), 0);
}

TEST_F(EmfLogTest, EachSetOfDimensionsHasALineOfItsOwn) {
  metrics.counter("asked_total", "Asked.", {{"kind", "a"}}).Increment(1);
  metrics.counter("asked_total", "Asked.", {{"kind", "b"}}).Increment(2);
  metrics.gauge("size_bytes", "Size.", {{"folder", "x"}}).Set(3);
  metrics.gauge("size_bytes", "Size.", {{"folder", "y"}}).Set(4);
  log.write(1);
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0].at("size_bytes").to_number<int>(), 7);  // none of its labels counts
  EXPECT_EQ(lines[1].at("kind").as_string(), "a");
  EXPECT_EQ(lines[2].at("kind").as_string(), "b");
  EXPECT_EQ(lines[2].at("asked_total").to_number<int>(), 2);
}

TEST_F(EmfLogTest, ADimensionWithoutAValueIsLeftOut) {
  metrics.counter("asked_total", "Asked.", {{"kind", ""}}).Increment();
  EXPECT_FALSE(written().contains("kind"));
}

TEST_F(EmfLogTest, WhatNobodyAskedForAndWhatIsNoNumberIsNotTold) {
  metrics.counter("other_total", "Other.").Increment();
  metrics.gauge("size_bytes", "Size.").Set(std::nan(""));
  log.write(1);
  EXPECT_TRUE(lines.empty());
}

TEST_F(EmfLogTest, AHistogramIsToldAsItsNewObservationsOnly) {
  auto& wait = metrics.histogram("wait_seconds", "Wait.", {1, 2, 4});
  for (const double seconds : {0.5, 3.0, 3.0}) wait.Observe(seconds);
  EXPECT_EQ(written().at("wait_seconds").as_array().size(), 3U);
  wait.Observe(1.5);
  EXPECT_EQ(json::value_to<std::vector<double>>(written().at("wait_seconds")),
            std::vector<double>{1.5});
  metrics.gauge("size_bytes", "Size.").Set(1);
  EXPECT_FALSE(written().contains("wait_seconds"));
}

TEST_F(EmfLogTest, WhatADroppedLineToldIsToldAgain) {
  auto& asked = metrics.counter("asked_total", "Asked.");
  auto& wait = metrics.histogram("wait_seconds", "Wait.", {1, 2});
  asked.Increment(5);
  wait.Observe(0.5);
  fate = LineFate::kDropped;
  written();
  asked.Increment(2);
  const auto second = written();
  EXPECT_EQ(second.at("asked_total").to_number<int>(), 7);
  fate = LineFate::kWritten;
  asked.Increment(1);
  const auto third = written();
  EXPECT_EQ(third.at("asked_total").to_number<int>(), 8);
  EXPECT_EQ(third.at("wait_seconds").as_array().size(), 1U);
  EXPECT_EQ(written().at("asked_total").to_number<int>(), 0);
}

TEST_F(EmfLogTest, NothingIsWrittenBehindALineThatMayYetBeDropped) {
  auto& asked = metrics.counter("asked_total", "Asked.");
  asked.Increment(5);
  fate = LineFate::kWaiting;
  written();
  asked.Increment(2);
  lines.clear();
  log.write(2);
  EXPECT_TRUE(lines.empty());
  *receipts.front() = LineFate::kDropped;
  EXPECT_EQ(written().at("asked_total").to_number<int>(), 7);
  // Once the program ends there is no later line that could tell it.
  asked.Increment(1);
  lines.clear();
  log.write_last(3);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines.front().at("asked_total").to_number<int>(), 1);
}

TEST(EmfValues, AreSpreadOverTheWidthOfABucket) {
  EXPECT_THAT(emf_values({1, 2, 4}, {0, 2, 1, 0}), ElementsAre(1.25, 1.75, 3));
}

TEST(EmfValues, OfWhatIsAboveTheLastBoundAreThatBound) {
  EXPECT_THAT(emf_values({1, 2}, {0, 0, 2}), ElementsAre(2, 2));
}

TEST(EmfValues, OfNothingAreNone) { EXPECT_TRUE(emf_values({1, 2}, {0, 0, 0}).empty()); }

TEST(EmfValues, OfManyObservationsAreAHundredThatKeepTheShares) {
  const std::vector<double> bounds{1, 2, 4};
  const auto values = emf_values(bounds, {90'000, 9'000, 1'000, 0});
  ASSERT_EQ(values.size(), 100U);
  EXPECT_TRUE(std::is_sorted(values.begin(), values.end()));
  const auto up_to = [&values](double bound) {
    return std::upper_bound(values.begin(), values.end(), bound) - values.begin();
  };
  EXPECT_EQ(up_to(1), 90);
  EXPECT_EQ(up_to(2), 99);
}

TEST(EmfFormat, MistakesAreSeen) {
  const std::string good =
      R"({"_aws":{"Timestamp":1,"CloudWatchMetrics":[{"Namespace":"N","Dimensions":[["S"]],)"
      R"("Metrics":[{"Name":"m"}]}]},"S":"x","m":1})";
  const auto fault = [](const std::string& text) {
    return fault_of(json::parse(text).as_object());
  };
  EXPECT_EQ(fault(good), "");
  const auto with = [&good](const std::string& part, const std::string& other) {
    auto text = good;
    return text.replace(text.find(part), part.size(), other);
  };
  EXPECT_NE(fault(with("\"Timestamp\":1", "\"Timestamp\":\"1\"")), "");
  EXPECT_NE(fault(with("\"S\":\"x\"", "\"S\":1")), "");
  EXPECT_NE(fault(with("\"S\":\"x\"", "\"T\":\"x\"")), "");
  EXPECT_NE(fault(with("\"m\":1", "\"m\":[]")), "");
  EXPECT_NE(fault(with("\"m\":1", "\"m\":null")), "");
  EXPECT_NE(fault(with("\"m\":1", "\"n\":1")), "");
}

}  // namespace
}  // namespace colloquy::telemetry
