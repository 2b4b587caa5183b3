#include "store/dynamodb/aws/sts.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "base/text.h"
#include "net/url.h"
#include "store/dynamodb/aws/canonical_request.h"
#include "store/dynamodb/aws/credentials_document.h"
#include "store/dynamodb/aws/region.h"
#include "store/dynamodb/aws/signer.h"
#include "store/dynamodb/aws/timestamp.h"
#include "store/dynamodb/aws/xml.h"

namespace colloquy::aws {
namespace {

constexpr const char* kFormType = "application/x-www-form-urlencoded; charset=utf-8";

struct Endpoint {
  std::string url;
  std::string region;  // that requests are signed for
};

Endpoint find_endpoint(const Environment& environment, const std::string& provider) {
  std::optional<std::string> region;
  try {
    region = configured_region(environment);
  } catch (const Error& error) {
    throw provider_failure(provider, error.detail().empty() ? error.message() : error.detail());
  }
  for (const auto* name : {"AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"}) {
    const auto url = environment.get(name);
    if (!url) continue;
    const auto parsed = net::parse_url(*url);
    if (!parsed || !parsed->user_info.empty()) {
      throw provider_failure(provider, std::string(name) + " is not an http or https URL");
    }
    return {*url, region.value_or("us-east-1")};
  }
  if (!region) return {"https://sts.amazonaws.com/", "us-east-1"};
  return {"https://sts." + *region + "." + std::string(dns_suffix(*region)) + "/", *region};
}

class Form {
 public:
  Form(std::string_view action, const Role& role, const Clock& clock) {
    add("Action", action);
    add("Version", "2011-06-15");
    add("RoleArn", role.arn);
    add("RoleSessionName", role.session_name.empty() ? "colloquy-" + std::to_string(clock.now_ms())
                                                     : role.session_name);
    if (!role.duration_seconds.empty()) add("DurationSeconds", role.duration_seconds);
  }
  void add(std::string_view name, std::string_view value) {
    if (!text_.empty()) text_ += '&';
    text_.append(name).append("=").append(percent_encode(value));
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

std::string text_at(const XmlElement& element, std::string_view name) {
  const XmlElement* child = element.child(name);
  return child == nullptr ? std::string() : child->text;
}

Error refusal(const net::HttpResponse& answer, const std::string& provider) {
  std::string reason = "STS answered " + std::to_string(answer.status);
  const auto document = parse_xml(answer.body);
  const XmlElement* code = document ? document->find({"Error", "Code"}) : nullptr;
  if (code != nullptr) reason += ", " + std::string(loggable_code(code->text));
  return provider_failure(provider, reason);
}

Credentials parse_answer(const net::HttpResponse& answer, const std::string& result,
                         const std::string& provider) {
  if (answer.status != 200) throw refusal(answer, provider);
  const auto document = parse_xml(answer.body);
  const XmlElement* element = document ? document->find({result, "Credentials"}) : nullptr;
  if (element == nullptr) throw provider_failure(provider, "STS's answer holds no credentials");
  Credentials credentials;
  credentials.access_key_id = text_at(*element, "AccessKeyId");
  credentials.secret_access_key = text_at(*element, "SecretAccessKey");
  credentials.session_token = text_at(*element, "SessionToken");
  credentials.expires_at_ms = parse_timestamp(text_at(*element, "Expiration"));
  check_credentials(credentials, provider);
  if (!credentials.expires_at_ms) {
    throw provider_failure(provider, "STS's answer does not say when the credentials expire");
  }
  return credentials;
}

// Signed where there is something to sign with.
Task<net::HttpResponse> post(ProviderContext context, std::string form,
                             std::optional<Credentials> source, std::string provider) {
  const Endpoint endpoint = find_endpoint(context.environment, provider);
  net::HttpRequest request;
  request.method = "POST";
  request.url = endpoint.url;
  request.headers.push_back({"Content-Type", kFormType});
  request.body = std::move(form);
  if (source) {
    const auto url = net::parse_url(endpoint.url);
    const std::string host = url->authority();
    const std::string_view target = url->target;
    const auto path_end = std::min(target.find('?'), target.size());
    SigningRequest to_sign;
    to_sign.method = request.method;
    to_sign.host = host;
    to_sign.path = target.substr(0, path_end);
    to_sign.query = target.substr(std::min(path_end + 1, target.size()));
    to_sign.headers = &request.headers;
    to_sign.body = request.body;
    SigningKeys keys;
    const SigningScope scope{endpoint.region, "sts"};
    for (auto& field : sign(to_sign, *source, scope, context.clock->now_ms(), keys)) {
      request.headers.push_back(std::move(field));
    }
  }
  std::string reason;
  try {
    net::HttpResponse answer =
        co_await call_endpoint(*context.http, std::move(request), context.sts);
    co_return answer;
  } catch (const net::NetError& error) {
    reason = std::string("no answer from STS: ") + error.what();
  }
  throw provider_failure(provider, reason);
}

}  // namespace

Task<Credentials> assume_role_with_web_identity(ProviderContext context, Role role,
                                                std::string token, std::string provider) {
  Form form("AssumeRoleWithWebIdentity", role, *context.clock);
  form.add("WebIdentityToken", token);
  std::string body = form.take();
  std::optional<Credentials> unsigned_call;
  const net::HttpResponse answer =
      co_await post(std::move(context), std::move(body), std::move(unsigned_call), provider);
  co_return parse_answer(answer, "AssumeRoleWithWebIdentityResult", provider);
}

Task<Credentials> assume_role(ProviderContext context, Role role, Credentials source,
                              std::string provider) {
  Form form("AssumeRole", role, *context.clock);
  if (!role.external_id.empty()) form.add("ExternalId", role.external_id);
  std::string body = form.take();
  std::optional<Credentials> signed_by(std::move(source));
  const net::HttpResponse answer =
      co_await post(std::move(context), std::move(body), std::move(signed_by), provider);
  co_return parse_answer(answer, "AssumeRoleResult", provider);
}

}  // namespace colloquy::aws
