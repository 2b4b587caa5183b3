#include "store/dynamodb/aws/timestamp.h"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdio>

namespace colloquy::aws {
namespace {

using namespace std::chrono;

// Takes a text apart from its front; once something is not as it should be, nothing is any more.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  int number(std::size_t digits) {
    int value = 0;
    for (std::size_t i = 0; i < digits; ++i) {
      const int digit = next_digit();
      if (digit < 0) good_ = false;
      value = value * 10 + digit;
    }
    return good_ ? value : 0;
  }
  bool skip(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char c) { good_ = skip(c) && good_; }
  // The digits after a decimal point, as milliseconds.
  int fraction_ms() {
    int value = 0;
    int scale = 100;
    if (rest_.empty() || rest_.front() < '0' || rest_.front() > '9') good_ = false;
    while (!rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9') {
      value += scale * next_digit();
      scale /= 10;
    }
    return value;
  }
  bool done() const { return good_ && rest_.empty(); }

 private:
  int next_digit() {
    if (rest_.empty() || rest_.front() < '0' || rest_.front() > '9') return -1;
    const int digit = rest_.front() - '0';
    rest_.remove_prefix(1);
    return digit;
  }

  std::string_view rest_;
  bool good_ = true;
};

minutes zone_offset(Reader& reader) {
  if (reader.skip('Z')) return minutes(0);
  const int sign = reader.skip('-') ? -1 : 1;
  if (sign == 1) reader.expect('+');
  const int hour = reader.number(2);
  reader.expect(':');
  const int minute = reader.number(2);
  return minutes(sign * (hour * 60 + minute));
}

}  // namespace

std::string basic_timestamp(std::int64_t time_ms) {
  const sys_time<milliseconds> time{milliseconds(time_ms)};
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss clock(floor<seconds>(time - day));
  std::array<char, 64> text;
  const int size = std::snprintf(
      text.data(), text.size(), "%04d%02u%02uT%02d%02d%02dZ", static_cast<int>(date.year()),
      static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
      static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
      static_cast<int>(clock.seconds().count()));
  return {text.data(), static_cast<std::size_t>(size)};
}

std::optional<std::int64_t> parse_timestamp(std::string_view text) {
  Reader reader(text);
  const int year_number = reader.number(4);
  reader.expect('-');
  const int month_number = reader.number(2);
  reader.expect('-');
  const int day_number = reader.number(2);
  reader.expect('T');
  const int hour = reader.number(2);
  reader.expect(':');
  const int minute = reader.number(2);
  reader.expect(':');
  const int second = reader.number(2);
  const int fraction = reader.skip('.') ? reader.fraction_ms() : 0;
  const minutes offset = zone_offset(reader);
  const year_month_day date(year(year_number), month(static_cast<unsigned>(month_number)),
                            day(static_cast<unsigned>(day_number)));
  if (!reader.done() || !date.ok() || hour > 23 || minute > 59 || second > 60) return std::nullopt;
  const auto time = sys_days(date) + hours(hour) + minutes(minute) + seconds(second) - offset;
  return duration_cast<milliseconds>(time.time_since_epoch()).count() + fraction;
}

}  // namespace colloquy::aws
