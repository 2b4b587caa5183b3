#include "cost/figures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace colloquy::cost {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string file_with(const std::string& writes, const std::string& document = "") {
  return R"({"current": {"name": "here", "as_of": "2026-01-01", "source": "a list",
    "write_request_units_million": )" +
         writes + R"(, "read_request_units_million": 0.5, "write_capacity_unit_hour": 0.001,
    "read_capacity_unit_hour": 0.0002, "storage_gb_month": 0.25, "point_in_time_recovery_gb_month": 0.2,
    "volume_gb_month": 0.08, "snapshot_gb_month": 0.05})" +
         document + "}";
}

std::string refusal(const std::string& text) {
  try {
    parse_prices(text, "p.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalid);
    return error.message();
  }
  return "";
}

TEST(Prices, AreReadWithAndWithoutTheSourceDocuments) {
  auto table = parse_prices(file_with("1.5"), "p.json");
  EXPECT_EQ(table.current.as_of, "2026-01-01");
  EXPECT_DOUBLE_EQ(table.current.million_write_units, 1.5);
  EXPECT_DOUBLE_EQ(table.current.snapshot_gb_month, 0.05);
  EXPECT_FALSE(table.source_document.has_value());
  EXPECT_TRUE(built_in_prices().source_document.has_value());
}

TEST(Prices, AreRefusedByTheNameOfTheFileAndTheField) {
  EXPECT_THAT(refusal("{"), StartsWith("p.json is not JSON"));
  EXPECT_THAT(refusal("[]"), StartsWith("p.json must be an object"));
  EXPECT_EQ(refusal("{}"), "p.json has no current");
  EXPECT_EQ(refusal(R"({"current": 1})"), "p.json: current must be an object");
  EXPECT_THAT(refusal(R"({"current": {}})"), HasSubstr("current has no name"));
  EXPECT_THAT(refusal(R"({"current": {"name": 1}})"), HasSubstr("name must be a text"));
  for (const char* bad : {"-1", "\"1\"", "null", "1e300", "[]"}) {
    EXPECT_THAT(refusal(file_with(bad)), HasSubstr("write_request_units_million must be a number"))
        << bad;
  }
}

TEST(Prices, NeedAnExampleThatCanBeDividedBy) {
  auto document = [](const std::string& users) {
    return R"(, "source_document": {"write_request_units_million": 1, "read_request_units_million": 1,
      "volume_gb_month": 1, "snapshot_gb_month": 1, "example": {"users": )" +
           users + R"(, "messages": 1, "tables_month": 1, "volume_gb": 1, "volume_month": 1}})";
  };
  EXPECT_EQ(refusal(file_with("1", document("3"))), "");
  EXPECT_THAT(refusal(file_with("1", document("0"))), HasSubstr("must have users"));
  EXPECT_THAT(refusal(file_with("1", document("1.5"))), HasSubstr("users must be a whole number"));
}

TEST(Units, NameWhatIsMissing) {
  EXPECT_FALSE(built_in_units().measured_on.empty());
  try {
    parse_units(R"({"measured_on": "2026-01-01"})", "u.json");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.message(), "u.json has no context_messages");
  }
}

}  // namespace
}  // namespace colloquy::cost
