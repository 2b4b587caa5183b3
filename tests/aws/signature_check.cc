// Signs the requests that signatures.mjs writes, read from standard input, and says for which of
// them the added header fields are not those of the other signer.
#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <boost/json/value_to.hpp>
#include <cstdint>
#include <exception>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "store/dynamodb/aws/signer.h"

namespace {

namespace json = boost::json;
using namespace colloquy;

constexpr int kRequestsLeast = 500;  // far fewer would mean that the script broke off

std::string text_of(const json::value& object, const char* name) {
  return json::value_to<std::string>(object.at(name));
}

std::string bytes_of(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

std::vector<net::HeaderField> headers_of(const json::value& test) {
  std::vector<net::HeaderField> headers;
  for (const auto& [name, value] : test.at("headers").as_object()) {
    headers.push_back({std::string(name), json::value_to<std::string>(value)});
  }
  return headers;
}

std::map<std::string, std::string> sign_test(const json::value& test, aws::SigningKeys& keys) {
  const auto method = text_of(test, "method");
  const auto host = text_of(test, "host");
  const auto path = text_of(test, "path");
  const auto query = text_of(test, "query");
  const auto headers = headers_of(test);
  const auto body = bytes_of(text_of(test, "body"));
  aws::SigningRequest request;
  request.method = method;
  request.host = host;
  request.path = path;
  request.query = query;
  request.headers = &headers;
  request.body = body;
  request.add_content_sha256 = test.at("content_sha256").as_bool();
  aws::Credentials credentials;
  credentials.access_key_id = text_of(test, "access_key_id");
  credentials.secret_access_key = text_of(test, "secret_access_key");
  credentials.session_token = text_of(test, "session_token");
  const aws::SigningScope scope{text_of(test, "region"), text_of(test, "service")};
  std::map<std::string, std::string> added;
  for (const auto& field : aws::sign(request, credentials, scope,
                                     json::value_to<std::int64_t>(test.at("time_ms")), keys)) {
    std::string name = field.name;
    std::transform(name.begin(), name.end(), name.begin(), [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    added[name] = field.value;
  }
  return added;
}

int judge() {
  aws::SigningKeys keys;
  std::string line;
  int judged = 0;
  int wrong = 0;
  while (std::getline(std::cin, line)) {
    const json::value test = json::parse(line);
    const auto expected = json::value_to<std::map<std::string, std::string>>(test.at("added"));
    ++judged;
    if (sign_test(test, keys) == expected) continue;
    ++wrong;
    std::cerr << "signed otherwise: " << line << "\n";
  }
  std::cout << judged << " requests signed, " << wrong << " wrongly\n";
  return judged >= kRequestsLeast && wrong == 0 ? 0 : 1;
}

}  // namespace

int main() {
  try {
    return judge();
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
