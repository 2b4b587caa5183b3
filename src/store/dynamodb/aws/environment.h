// What the providers see of the process around them: environment variables, files, the network, the
// clock. Injected, so that tests can give them others.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "net/http_client.h"
#include "store/dynamodb/aws/endpoint.h"

namespace colloquy::aws {

inline constexpr std::size_t kFileBytesMax = 1024UL * 1024;

// Both functions may be called from any thread, several at once.
struct Environment {
  std::function<std::optional<std::string>(const std::string& name)> variable;
  // The file's content; nullopt when there is no such file. Throws Error kUnavailable, naming the
  // file, when it cannot be read or is larger than kFileBytesMax. May block for as long as a disk
  // does: providers read a few small files, once for each time that credentials are looked for.
  std::function<std::optional<std::string>(const std::string& path)> file;

  static Environment of_process();

  // The variable, where it is set to something.
  std::optional<std::string> get(const std::string& name) const;
  // The token in the file that `variable_name` names, without line ends at its end. Throws
  // provider_failure when there is none.
  std::string token_file(const std::string& variable_name, const std::string& path,
                         std::string_view provider) const;
};

// Given to every provider. What is pointed to must outlive the providers and the event loops that
// they are awaited on.
struct ProviderContext {
  Environment environment;
  net::HttpClient* http = nullptr;
  const Clock* clock = nullptr;
  EndpointPolicy local = kLocalEndpoint;  // for the container endpoint and instance metadata
  EndpointPolicy sts = kStsEndpoint;
};

}  // namespace colloquy::aws
