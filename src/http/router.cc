#include "http/router.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>

namespace colloquy::http {

namespace {

bool is_parameter(std::string_view segment) {
  return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}

bool is_rest(std::string_view segment) {
  return is_parameter(segment) && segment.ends_with("...}");
}

std::string_view parameter_name(std::string_view segment) {
  segment.remove_suffix(is_rest(segment) ? 4 : 1);
  return segment.substr(1);
}

// The segments between the slashes; "/" has none. nullopt when one is empty.
std::optional<std::vector<std::string_view>> split(std::string_view path) {
  std::vector<std::string_view> segments;
  if (path.empty() || path.front() != '/') return std::nullopt;
  if (path.size() == 1) return segments;
  segments.reserve(8);
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::size_t end = std::min(path.find('/'), path.size());
    if (end == 0) return std::nullopt;
    segments.push_back(path.substr(0, end));
    path.remove_prefix(end);
  }
  return segments;
}

// Whether a segment of the template stands for one of the path: 0 no, 1 as the rest, 2 as a
// parameter, 3 letter by letter.
int rank(std::string_view pattern, std::string_view segment) {
  if (is_rest(pattern)) return 1;
  if (is_parameter(pattern)) return 2;
  return pattern == segment ? 3 : 0;
}

using Pattern = std::vector<std::string>;

bool matches(const Pattern& pattern, const std::vector<std::string>& path) {
  const bool rest = !pattern.empty() && is_rest(pattern.back());
  if (rest ? path.size() < pattern.size() : path.size() != pattern.size()) return false;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (rank(pattern[i], path[i]) == 0) return false;
  }
  return true;
}

// Both match `path`; the one that is more literal further to the left wins.
bool more_specific(const Pattern& left, const Pattern& right,
                   const std::vector<std::string>& path) {
  const std::size_t common = std::min(left.size(), right.size());
  for (std::size_t i = 0; i < common; ++i) {
    const int left_rank = rank(left[i], path[i]);
    const int right_rank = rank(right[i], path[i]);
    if (left_rank != right_rank) return left_rank > right_rank;
  }
  return left.size() > right.size();
}

// Equal but for the names of their parameters: they would match the same paths.
bool same_shape(const Pattern& left, const Pattern& right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [](const std::string& a, const std::string& b) {
                      if (is_parameter(a) || is_parameter(b)) {
                        return is_parameter(a) && is_parameter(b) && is_rest(a) == is_rest(b);
                      }
                      return a == b;
                    });
}

void require(bool holds, const std::string& message, const Route& route) {
  if (holds) return;
  std::fprintf(stderr, "%s: %s %s\n", message.c_str(),
               std::string(method_name(route.method)).c_str(), route.path_template.c_str());
  std::abort();
}

std::string allowed_methods(std::array<bool, 8> methods) {
  const auto has = [&methods](Method m) -> bool& {
    return methods.at(static_cast<std::size_t>(m));
  };
  if (has(Method::kGet)) has(Method::kHead) = true;
  has(Method::kOptions) = true;
  has(Method::kOther) = false;
  std::string allow;
  for (std::size_t i = 0; i < methods.size(); ++i) {
    if (!methods.at(i)) continue;
    if (!allow.empty()) allow += ", ";
    allow += method_name(static_cast<Method>(i));
  }
  return allow;
}

}  // namespace

void Router::add(Route route) {
  const auto split_template = split(route.path_template);
  require(split_template.has_value(), "A route's template is not a path", route);
  Pattern pattern(split_template->begin(), split_template->end());
  for (std::size_t i = 0; i < routes_.size(); ++i) {
    require(routes_[i].method != route.method || !same_shape(segments_[i], pattern),
            "Two routes are the same", route);
  }
  for (std::size_t i = 0; i + 1 < pattern.size(); ++i) {
    require(!is_rest(pattern[i]), "Only the last segment can take the rest", route);
  }
  routes_.push_back(std::move(route));
  segments_.push_back(std::move(pattern));
}

std::optional<std::uint64_t> Router::streamed_body_bytes(const Request& request) const {
  const bool any = std::any_of(routes_.begin(), routes_.end(), [&request](const Route& route) {
    return route.method == request.method && route.streamed_body_bytes;
  });
  if (!any) return std::nullopt;
  Request asked;
  asked.method = request.method;
  asked.path = request.path;
  const Match found = match(asked);
  return found.route == nullptr ? std::nullopt : found.route->streamed_body_bytes;
}

Router::Match Router::match(Request& request) const {
  Match match;
  const auto segments = split(request.path);
  if (!segments) return match;
  std::vector<std::string> path;
  path.reserve(segments->size());
  for (const std::string_view segment : *segments) {
    auto decoded = percent_decode(segment, false);
    if (!decoded) return match;
    path.push_back(std::move(*decoded));
  }

  std::array<bool, 8> methods{};
  const Method wanted = request.method == Method::kHead ? Method::kGet : request.method;
  std::size_t best = routes_.size();
  bool any = false;
  for (std::size_t i = 0; i < routes_.size(); ++i) {
    if (!matches(segments_[i], path)) continue;
    methods.at(static_cast<std::size_t>(routes_[i].method)) = true;
    const bool explicit_head =
        request.method == Method::kHead && routes_[i].method == Method::kHead;
    any = true;
    if (routes_[i].method != wanted && !explicit_head) continue;
    if (best == routes_.size() || explicit_head ||
        more_specific(segments_[i], segments_[best], path)) {
      best = i;
    }
  }
  if (!any) return match;
  match.allow = allowed_methods(methods);
  match.outcome = Outcome::kNoMethod;
  if (best == routes_.size() || request.method == Method::kOther) return match;

  match.outcome = Outcome::kFound;
  match.route = &routes_[best];
  request.route = routes_[best].path_template;
  request.path_parameters.clear();
  const Pattern& pattern = segments_[best];
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (!is_parameter(pattern[i])) continue;
    std::string value = std::move(path[i]);
    if (is_rest(pattern[i])) {
      for (std::size_t j = i + 1; j < path.size(); ++j) value.append("/").append(path[j]);
    }
    request.path_parameters.emplace_back(parameter_name(pattern[i]), std::move(value));
  }
  return match;
}

}  // namespace colloquy::http
