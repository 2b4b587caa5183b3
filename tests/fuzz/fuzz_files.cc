// Users' files: which paths and folders there can be, the dates of conditions, and the answer to a
// GET under conditions and ranges.
#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "api/file_content.h"
#include "base/error.h"
#include "base/http_date.h"
#include "check.h"
#include "files/names.h"
#include "http/response_head.h"

namespace {

namespace http = colloquy::http;
namespace files = colloquy::files;
using colloquy::Error;
using colloquy::ErrorCode;
using colloquy::Task;

// The input: lines, of which these are the first; what follows is the path.
constexpr std::array<const char*, 7> kHeaders{
    "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since",
    "Range",    "If-Range",      "Content-Digest"};

void check_path(std::string_view path) {
  std::string joined;
  bool good = path.size() <= files::kPathBytes;
  const auto names = files::names_of(path);
  for (const auto& name : names) {
    if (&name != &names.front()) joined += '/';
    joined += name;
    good = good && files::is_name(name);
  }
  COLLOQUY_CHECK(joined == path);
  good = good && names.size() <= files::kPathNames;
  COLLOQUY_CHECK(good == !files::refusal_of_path(path));
  if (!good) return;
  COLLOQUY_CHECK(!path.empty() && path.front() != '/' && path.back() != '/');
  const std::string within = "/" + std::string(path) + "/";
  for (const char* bad : {"//", "/./", "/../", "\\"}) {
    COLLOQUY_CHECK(within.find(bad) == std::string::npos);
  }
  for (const char c : path) COLLOQUY_CHECK(static_cast<unsigned char>(c) >= 0x20 && c != 0x7F);
}

void check_folder(std::string_view first, std::string_view second) {
  const colloquy::UserId user{std::string(first)};
  const colloquy::UserId other{std::string(second)};
  const auto folder = files::folder_of(user);
  COLLOQUY_CHECK(!folder.empty() && folder.size() <= files::kNameBytes);
  COLLOQUY_CHECK(folder.front() != '.' && files::is_name(folder));
  for (const char c : folder) COLLOQUY_CHECK(c > 0x20 && c < 0x7F);
  COLLOQUY_CHECK((folder == files::folder_of(other)) == (user == other));
}

void check_date(const std::string& text) {
  const auto seconds = colloquy::parse_http_date(text);
  if (!seconds) return;
  // What is older is written as the first second of 1970.
  const auto written = std::max<std::int64_t>(*seconds, 0);
  COLLOQUY_CHECK(colloquy::parse_http_date(http::format_http_date(*seconds)) == written);
}

// A file whose bytes are in memory.
class TextReader final : public files::Reader {
 public:
  explicit TextReader(files::FileInfo info, std::string text)
      : info_(std::move(info)), text_(std::move(text)) {}
  const files::FileInfo& info() const override { return info_; }
  Task<std::string> read(std::uint64_t offset, std::size_t bytes) override {
    COLLOQUY_CHECK(offset <= text_.size() && bytes <= text_.size() - offset);
    co_return text_.substr(static_cast<std::size_t>(offset), bytes);
  }
  Task<bool> is_unchanged() override { co_return true; }

 private:
  files::FileInfo info_;
  std::string text_;
};

std::string header_of(const http::Response& response, std::string_view name) {
  for (const auto& header : response.headers) {
    if (header.name == name) return header.value;
  }
  return {};
}

void check_reply(const http::Response& response, const std::string& text) {
  switch (response.status) {
    case 200:
      COLLOQUY_CHECK(response.body == text);
      break;
    case 206: {
      const auto range = header_of(response, "Content-Range");
      const auto dash = range.find('-');
      const auto first = std::stoull(range.substr(6));
      const auto last = std::stoull(range.substr(dash + 1));
      COLLOQUY_CHECK(first <= last && last < text.size());
      COLLOQUY_CHECK(response.body == text.substr(first, last - first + 1));
      break;
    }
    case 304:
      COLLOQUY_CHECK(response.body.empty());
      break;
    default:
      COLLOQUY_CHECK(response.status == 416);
  }
}

Task<> read_file(const http::Request& request, std::string path, std::string text) {
  files::FileInfo info{std::move(path), text.size(), "tag", 784'111'777};
  auto reader = std::make_unique<TextReader>(info, text);
  std::optional<ErrorCode> refused;
  try {
    const auto response =
        co_await colloquy::api::file_reply(request, std::move(reader), 800'000'000);
    check_reply(response, text);
  } catch (const Error& error) {
    refused = error.code();
  }
  std::optional<ErrorCode> refused_head;
  try {
    const auto head = colloquy::api::file_head_reply(request, info, 800'000'000);
    COLLOQUY_CHECK(head.status == 200 || head.status == 304);
  } catch (const Error& error) {
    refused_head = error.code();
  }
  COLLOQUY_CHECK(refused == refused_head);
  COLLOQUY_CHECK(!refused || *refused == ErrorCode::kMalformed ||
                 *refused == ErrorCode::kPreconditionFailed);
}

void check_request(const http::Request& request, const std::string& path) {
  boost::asio::io_context loop;
  boost::asio::co_spawn(loop, read_file(request, path, "0123456789"), boost::asio::detached);
  boost::asio::co_spawn(loop, read_file(request, path, ""), boost::asio::detached);
  loop.run();
  try {
    const auto precondition = colloquy::api::precondition_of(request);
    precondition.holds_for(std::nullopt);
    colloquy::api::checksums_of(request);
  } catch (const Error& error) {
    COLLOQUY_CHECK(error.code() == ErrorCode::kMalformed || error.code() == ErrorCode::kInvalid);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  http::Request request;
  for (const char* name : kHeaders) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    check_date(std::string(line));
    check_folder(line, rest);
    if (!line.empty()) request.headers.push_back({name, std::string(line)});
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  check_path(rest);
  if (!files::refusal_of_path(rest)) check_request(request, std::string(rest));
  return 0;
}
