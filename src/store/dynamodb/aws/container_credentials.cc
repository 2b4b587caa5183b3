#include "store/dynamodb/aws/container_credentials.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <string_view>
#include <utility>

#include "net/url.h"
#include "store/dynamodb/aws/credentials_document.h"

namespace colloquy::aws {
namespace {

constexpr std::string_view kProvider = "container";
constexpr const char* kRelativeUri = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
constexpr const char* kFullUri = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
constexpr const char* kTokenFile = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
constexpr const char* kToken = "AWS_CONTAINER_AUTHORIZATION_TOKEN";

std::string endpoint_url(const Environment& environment) {
  if (const auto relative = environment.get(kRelativeUri)) {
    std::string url = "http://169.254.170.2" + *relative;
    if (!relative->starts_with('/') || !net::parse_url(url)) {
      throw provider_failure(kProvider, std::string(kRelativeUri) + " is not a path");
    }
    return url;
  }
  const auto full = environment.get(kFullUri);
  if (!full) {
    throw NoCredentials(kProvider, std::string(kRelativeUri) + " and " + kFullUri + " are not set");
  }
  if (!is_container_endpoint(*full)) {
    throw provider_failure(kProvider, std::string(kFullUri) +
                                          " is neither https nor an address of this machine, of "
                                          "ECS or of EKS");
  }
  return *full;
}

// Empty when none is wanted.
std::string authorization_token(const Environment& environment) {
  std::string token;
  if (const auto path = environment.get(kTokenFile)) {
    token = environment.token_file(kTokenFile, *path, kProvider);
  } else {
    token = environment.get(kToken).value_or("");
  }
  const bool sendable =
      std::all_of(token.begin(), token.end(), [](char c) { return c >= ' ' && c < '\x7f'; });
  if (!sendable) {
    throw provider_failure(kProvider,
                           "the authorization token has a line end or a byte outside ASCII");
  }
  return token;
}

}  // namespace

bool is_container_endpoint(const std::string& url) {
  const auto parsed = net::parse_url(url);
  if (!parsed || !parsed->user_info.empty()) return false;
  if (parsed->tls || parsed->host == "localhost") return true;
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(parsed->host, error);
  if (error) return false;
  if (address.is_loopback()) return true;
  const std::string text = address.to_string();
  return text == "169.254.170.2" || text == "169.254.170.23" || text == "fd00:ec2::23";
}

ContainerCredentials::ContainerCredentials(ProviderContext context)
    : context_(std::move(context)) {}

Task<Credentials> ContainerCredentials::get() {
  net::HttpRequest request;
  request.url = endpoint_url(context_.environment);
  request.headers.push_back({"Accept", "application/json"});
  std::string token = authorization_token(context_.environment);
  if (!token.empty()) request.headers.push_back({"Authorization", std::move(token)});
  net::HttpResponse answer;
  try {
    answer = co_await call_endpoint(*context_.http, std::move(request), context_.local);
  } catch (const net::NetError& error) {
    throw provider_failure(kProvider, std::string("no answer: ") + error.what());
  }
  if (answer.status != 200) {
    throw provider_failure(kProvider, "answered " + std::to_string(answer.status));
  }
  co_return parse_credentials_document(answer.body, kProvider);
}

}  // namespace colloquy::aws
