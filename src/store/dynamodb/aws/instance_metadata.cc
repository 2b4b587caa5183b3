#include "store/dynamodb/aws/instance_metadata.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "base/text.h"
#include "net/url.h"
#include "store/dynamodb/aws/canonical_request.h"
#include "store/dynamodb/aws/credentials_document.h"

namespace colloquy::aws {
namespace {

constexpr std::string_view kProvider = "instance metadata";
constexpr std::string_view kRolePath = "/latest/meta-data/iam/security-credentials/";

// Without a slash at its end.
std::string endpoint_url(const Environment& environment) {
  std::string url = environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT").value_or("");
  if (url.empty()) {
    const auto mode = environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE").value_or("");
    url = ascii_lower(mode) == "ipv6" ? "http://[fd00:ec2::254]" : "http://169.254.169.254";
  }
  while (url.ends_with('/')) url.pop_back();
  if (!net::parse_url(url)) {
    throw provider_failure(kProvider, "AWS_EC2_METADATA_SERVICE_ENDPOINT is not a URL");
  }
  return url;
}

bool one_word(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

std::string first_line(const std::string& text) {
  std::string line = text.substr(0, text.find('\n'));
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
  return line;
}

Error status_failure(std::string_view what, int status) {
  return provider_failure(
      kProvider, "answered " + std::to_string(status) + " to the request for " + std::string(what));
}

// A session with the service: its token goes with every question.
class Session {
 public:
  explicit Session(const ProviderContext& context)
      : context_(context), url_(endpoint_url(context.environment)) {}

  Task<> open() {
    net::HttpRequest request;
    request.method = "PUT";
    request.url = url_ + "/latest/api/token";
    request.headers.push_back({"X-aws-ec2-metadata-token-ttl-seconds", "300"});
    net::HttpResponse answer = co_await call(std::move(request));
    if (answer.status != 200) throw status_failure("a token", answer.status);
    if (!one_word(answer.body)) throw provider_failure(kProvider, "the token is malformed");
    token_ = std::move(answer.body);
  }

  Task<net::HttpResponse> ask(std::string path) {
    net::HttpRequest request;
    request.url = url_ + path;
    request.headers.push_back({"X-aws-ec2-metadata-token", token_});
    net::HttpResponse answer = co_await call(std::move(request));
    co_return answer;
  }

 private:
  Task<net::HttpResponse> call(net::HttpRequest request) {
    std::string reason;
    try {
      net::HttpResponse answer =
          co_await call_endpoint(*context_.http, std::move(request), context_.local);
      co_return answer;
    } catch (const net::NetError& error) {
      reason = error.what();
    }
    // An answer that is not let into a container looks the same.
    throw NoCredentials(
        kProvider, "no answer from " + net::parse_url(url_)->host_and_port() + " (" + reason + ")");
  }

  const ProviderContext& context_;
  const std::string url_;
  std::string token_;
};

void check_enabled(const Environment& environment) {
  if (ascii_lower(environment.get("AWS_EC2_METADATA_DISABLED").value_or("")) == "true") {
    throw NoCredentials(kProvider, "AWS_EC2_METADATA_DISABLED is set");
  }
}

}  // namespace

InstanceMetadataCredentials::InstanceMetadataCredentials(ProviderContext context)
    : context_(std::move(context)) {}

Task<Credentials> InstanceMetadataCredentials::get() {
  check_enabled(context_.environment);
  Session session(context_);
  co_await session.open();
  std::string role_path(kRolePath);
  const net::HttpResponse roles = co_await session.ask(role_path);
  if (roles.status == 404) throw NoCredentials(kProvider, "the instance has no role");
  if (roles.status != 200) throw status_failure("the role's name", roles.status);
  const std::string role = first_line(roles.body);
  if (!one_word(role)) throw provider_failure(kProvider, "the role's name is malformed");
  role_path += percent_encode(role);
  const net::HttpResponse answer = co_await session.ask(role_path);
  if (answer.status != 200) throw status_failure("the role's credentials", answer.status);
  co_return parse_credentials_document(answer.body, kProvider);
}

Task<std::string> instance_region(ProviderContext context) {
  check_enabled(context.environment);
  Session session(context);
  co_await session.open();
  std::string path = "/latest/meta-data/placement/region";
  const net::HttpResponse answer = co_await session.ask(path);
  if (answer.status != 200) throw status_failure("the region", answer.status);
  co_return first_line(answer.body);
}

}  // namespace colloquy::aws
