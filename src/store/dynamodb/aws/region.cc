#include "store/dynamodb/aws/region.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "store/dynamodb/aws/instance_metadata.h"
#include "store/dynamodb/aws/shared_config.h"

namespace colloquy::aws {
namespace {

std::string checked(std::string region, const std::string& source) {
  if (is_region_name(region)) return region;
  throw Error(ErrorCode::kInvalid, "The region of " + source + " is not a region's name.");
}

}  // namespace

bool is_region_name(std::string_view text) {
  return !text.empty() && text.size() <= 63 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

std::optional<std::string> configured_region(const Environment& environment) {
  for (const auto* name : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
    if (auto region = environment.get(name)) return checked(std::move(*region), name);
  }
  const SharedConfig config = SharedConfig::load(environment);
  const std::string name = profile_name(environment);
  const Profile* profile = config.find(name);
  std::string region = profile == nullptr ? std::string() : setting(*profile, "region");
  if (region.empty()) return std::nullopt;
  return checked(std::move(region), "profile " + name);
}

Task<std::string> find_region(std::string given, ProviderContext context) {
  if (!given.empty()) co_return checked(given, "the setting");
  if (auto region = configured_region(context.environment)) co_return std::move(*region);
  std::string reason;
  try {
    std::string region = co_await instance_region(context);
    co_return checked(std::move(region), "the instance metadata");
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kInvalid) throw;
    reason = error.detail();
  }
  throw Error(
      ErrorCode::kInvalid,
      "No AWS region is set. Tried AWS_REGION, AWS_DEFAULT_REGION, `region` of the profile " +
          profile_name(context.environment) + " and the instance metadata.",
      reason);
}

std::string_view dns_suffix(std::string_view region) {
  using Partition = std::pair<std::string_view, std::string_view>;
  static constexpr std::array<Partition, 6> kPartitions{Partition{"cn-", "amazonaws.com.cn"},
                                                        {"us-isob-", "sc2s.sgov.gov"},
                                                        {"us-isof-", "csp.hci.ic.gov"},
                                                        {"eu-isoe-", "cloud.adc-e.uk"},
                                                        {"us-iso-", "c2s.ic.gov"},
                                                        {"eusc-", "amazonaws.eu"}};
  for (const auto& [prefix, suffix] : kPartitions) {
    if (region.starts_with(prefix)) return suffix;
  }
  return "amazonaws.com";
}

}  // namespace colloquy::aws
