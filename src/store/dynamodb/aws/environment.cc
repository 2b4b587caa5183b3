#include "store/dynamodb/aws/environment.h"

#include <cstdlib>
#include <utility>

#include "base/read_file.h"
#include "store/dynamodb/aws/credentials.h"

namespace colloquy::aws {
namespace {

std::optional<std::string> process_variable(const std::string& name) {
  const char* const value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return std::string(value);
}

std::optional<std::string> file_content(const std::string& path) {
  try {
    return read_file(path, kFileBytesMax).text;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kNotFound) return std::nullopt;
    throw unavailable("Credentials cannot be read from a file.", error.message());
  }
}

}  // namespace

Environment Environment::of_process() { return {process_variable, file_content}; }

std::optional<std::string> Environment::get(const std::string& name) const {
  auto value = variable(name);
  if (value && value->empty()) return std::nullopt;
  return value;
}

std::string Environment::token_file(const std::string& variable_name, const std::string& path,
                                    std::string_view provider) const {
  const auto refuse = [&](const std::string& reason) {
    return provider_failure(provider, "the file of " + variable_name + " " + reason);
  };
  std::optional<std::string> content;
  try {
    content = file(path);
  } catch (const Error& error) {
    throw provider_failure(provider, variable_name + ": " + error.detail());
  }
  if (!content) throw refuse("is not there");
  while (content->ends_with('\n') || content->ends_with('\r')) content->pop_back();
  if (content->empty()) throw refuse("is empty");
  return std::move(*content);
}

}  // namespace colloquy::aws
