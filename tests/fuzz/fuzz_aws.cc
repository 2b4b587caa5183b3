// Feeds bytes to the readers of what the credential endpoints, the shared files and a request line
// may hold. The first byte chooses which.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "check.h"
#include "store/dynamodb/aws/canonical_request.h"
#include "store/dynamodb/aws/credentials_document.h"
#include "store/dynamodb/aws/shared_config.h"
#include "store/dynamodb/aws/timestamp.h"
#include "store/dynamodb/aws/xml.h"

namespace {

using namespace colloquy;

std::size_t elements_of(const aws::XmlElement& element) {
  COLLOQUY_CHECK(!element.name.empty());
  std::size_t count = 1;
  for (const auto& child : element.children) count += elements_of(child);
  return count;
}

void read_xml(std::string_view text) {
  const auto root = aws::parse_xml(text);
  if (root) COLLOQUY_CHECK(elements_of(*root) <= 1'000);
}

// Credentials that can be sent, or the one error that is promised.
void read_document(std::string_view text) {
  try {
    const auto credentials = aws::parse_credentials_document(text, "fuzz");
    COLLOQUY_CHECK(!credentials.access_key_id.empty() && !credentials.secret_access_key.empty());
    aws::check_credentials(credentials, "fuzz");
  } catch (const Error& error) {
    COLLOQUY_CHECK(error.code() == ErrorCode::kUnavailable);
  }
}

void read_config(std::string_view text) {
  aws::Environment environment;
  environment.variable = [](const std::string&) { return std::optional<std::string>("p"); };
  environment.file = [text](const std::string&) { return std::optional<std::string>(text); };
  try {
    aws::SharedConfig::load(environment).find("p");
  } catch (const Error& error) {
    COLLOQUY_CHECK(error.code() == ErrorCode::kUnavailable);
  }
}

// A canonical form stays as it is when it is made canonical again.
void read_request_line(std::string_view text) {
  const std::string query = aws::canonical_query(text);
  COLLOQUY_CHECK(aws::canonical_query(query) == query);
  COLLOQUY_CHECK(aws::canonical_path(text).starts_with('/'));
  aws::parse_timestamp(text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      read_xml(text);
      break;
    case 1:
      read_document(text);
      break;
    case 2:
      read_config(text);
      break;
    default:
      read_request_line(text);
  }
  return 0;
}
