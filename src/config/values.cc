#include "config/values.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <utility>

namespace colloquy::config {
namespace {

// The digits at the start of `text`, and what follows them.
std::pair<std::uint64_t, std::string> number_and_unit(const std::string& text,
                                                      const char* otherwise = "is not a number") {
  std::uint64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc::result_out_of_range) throw ConfigError("is too large");
  if (error != std::errc() || end == text.data()) throw ConfigError(otherwise);
  return {number, std::string(end, text.data() + text.size())};
}

std::uint64_t scale(std::uint64_t number, std::uint64_t factor) {
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (factor != 0 && number > kMost / factor) throw ConfigError("is too large");
  return number * factor;
}

bool is_ip_address(const std::string& text) {
  std::array<unsigned char, sizeof(in6_addr)> parsed;
  return inet_pton(AF_INET, text.c_str(), parsed.data()) == 1 ||
         inet_pton(AF_INET6, text.c_str(), parsed.data()) == 1;
}

}  // namespace

bool ListenAddress::loopback() const { return address == "::1" || address.starts_with("127."); }

ListenAddress parse_listen(const std::string& text) {
  auto colon = text.rfind(':');
  if (colon == std::string::npos) throw ConfigError("must be ADDRESS:PORT, such as 127.0.0.1:8080");
  ListenAddress listen;
  listen.address = text.substr(0, colon);
  if (listen.address.size() > 2 && listen.address.front() == '[' && listen.address.back() == ']') {
    listen.address = listen.address.substr(1, listen.address.size() - 2);
  }
  if (listen.address == "localhost") listen.address = "127.0.0.1";
  if (!is_ip_address(listen.address)) {
    throw ConfigError("must begin with an IP address, such as 127.0.0.1 or [::1]");
  }
  listen.port = static_cast<unsigned short>(parse_number(text.substr(colon + 1), 0, 65535));
  return listen;
}

std::chrono::milliseconds parse_duration(const std::string& text) {
  auto [number, unit] =
      number_and_unit(text, "must be a number and a unit, such as 500ms, 30s or 90d");
  std::uint64_t factor = 0;
  if (unit == "ms") factor = 1;
  if (unit == "s") factor = 1000;
  if (unit == "m") factor = 60'000;
  if (unit == "h") factor = 3'600'000;
  if (unit == "d") factor = 86'400'000;
  if (factor == 0) throw ConfigError("needs a unit: ms, s, m, h or d");
  return std::chrono::milliseconds(scale(number, factor));
}

std::size_t parse_bytes(const std::string& text) {
  auto [number, unit] = number_and_unit(text);
  if (unit.empty() || unit == "B") return scale(number, 1);
  if (unit == "KiB") return scale(number, limits::kKiB);
  if (unit == "MiB") return scale(number, limits::kMiB);
  if (unit == "GiB") return scale(number, 1024 * limits::kMiB);
  throw ConfigError("has an unknown unit: KiB, MiB and GiB are known");
}

std::size_t parse_number(const std::string& text, std::size_t least, std::size_t most) {
  auto [number, rest] = number_and_unit(text);
  if (!rest.empty()) throw ConfigError("is not a number");
  if (number < least || number > most) {
    throw ConfigError("must be between " + std::to_string(least) + " and " + std::to_string(most));
  }
  return number;
}

bool parse_boolean(const std::string& text) {
  if (text == "true" || text == "1") return true;
  if (text == "false" || text == "0") return false;
  throw ConfigError("must be true or false");
}

std::vector<std::string> parse_list(const std::string& text) {
  std::vector<std::string> items;
  std::size_t start = 0;
  while (start <= text.size()) {
    auto comma = text.find(',', start);
    if (comma == std::string::npos) comma = text.size();
    auto item = text.substr(start, comma - start);
    auto first = item.find_first_not_of(' ');
    if (first != std::string::npos) {
      items.push_back(item.substr(first, item.find_last_not_of(' ') - first + 1));
    }
    start = comma + 1;
  }
  return items;
}

void check_origin(const std::string& text) {
  if (text == "*") return;
  auto host = text.find("://");
  bool scheme = text.starts_with("http://") || text.starts_with("https://");
  // Others are never what a browser sends, so they would never match.
  auto sent = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           std::string_view("-._:[]").find(c) != std::string_view::npos;
  };
  if (!scheme || text.size() == host + 3 ||
      !std::all_of(text.begin() + static_cast<std::ptrdiff_t>(host) + 3, text.end(), sent)) {
    throw ConfigError("must list origins such as https://chat.example.org, in lower case, or *");
  }
}

void check_endpoint(const std::string& text) {
  auto scheme = text.find("://");
  bool known = text.starts_with("http://") || text.starts_with("https://");
  if (!known || text.find_first_of("/?#@ ", scheme + 3) != std::string::npos ||
      text.size() == scheme + 3) {
    throw ConfigError("must be a URL such as http://127.0.0.1:8000, without a path");
  }
}

void check_table_name(const std::string& text) {
  auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  };
  if (text.size() < 3 || text.size() > 255 || !std::all_of(text.begin(), text.end(), allowed)) {
    throw ConfigError("must be 3 to 255 of a-z, A-Z, 0-9, '_', '-' and '.'");
  }
}

MigratePlace parse_place(const std::string& text) {
  using Kind = MigratePlace::Kind;
  auto colon = text.find(':');
  auto name = text.substr(0, colon);
  auto rest = colon == std::string::npos ? "" : text.substr(colon + 1);
  bool known = name == "rocksdb" || name == "dynamodb" || name == "source";
  if (colon == std::string::npos || !known) {
    throw ConfigError("must begin with rocksdb:, dynamodb: or source:");
  }
  MigratePlace place;
  if (name == "rocksdb") {
    if (rest.empty()) throw ConfigError("must name a folder, such as rocksdb:./data");
    place.folder = rest;
    return place;
  }
  place.kind = name == "source" ? Kind::kSource : Kind::kDynamoDb;
  if (rest.empty() && place.kind == Kind::kDynamoDb) return place;
  auto comma = rest.find(',');
  if (comma == std::string::npos) {
    throw ConfigError("must name two tables, such as " + name + ":conversations,messages");
  }
  place.conversations_table = rest.substr(0, comma);
  place.messages_table = rest.substr(comma + 1);
  check_table_name(place.conversations_table);
  check_table_name(place.messages_table);
  if (place.conversations_table == place.messages_table) {
    throw ConfigError("names the same table twice");
  }
  return place;
}

void check_api_key(const std::string& text) {
  auto printable = [](char c) { return c > ' ' && c < '\x7f'; };
  if (!std::all_of(text.begin(), text.end(), printable)) {
    throw ConfigError("holds what cannot be sent in a header: a space, a line end or the like");
  }
}

}  // namespace colloquy::config
