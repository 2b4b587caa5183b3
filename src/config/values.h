// Reads the value of a setting from its text. Each throws ConfigError that says
// what would be right.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "config/config.h"

namespace colloquy::config {

ListenAddress parse_listen(const std::string& text);                // 127.0.0.1:8080, [::1]:0
std::chrono::milliseconds parse_duration(const std::string& text);  // 500ms, 30s, 5m, 24h, 90d
std::size_t parse_bytes(const std::string& text);                   // 4096, 64KiB, 8MiB, 1GiB
std::size_t parse_number(const std::string& text, std::size_t least, std::size_t most);
bool parse_boolean(const std::string& text);                   // true, false
std::vector<std::string> parse_list(const std::string& text);  // comma-separated; empty: none
// An origin as a browser sends it (RFC 6454): scheme, host, perhaps a port; or "*".
void check_origin(const std::string& text);
void check_endpoint(const std::string& text);       // an http or https URL without a path
void check_table_name(const std::string& text);     // as DynamoDB allows them
MigratePlace parse_place(const std::string& text);  // rocksdb:./data, dynamodb:a,b, source:a,b
void check_api_key(const std::string& text);        // can be sent in a header field

}  // namespace colloquy::config
