// One call of an endpoint that hands out credentials: deadlines, a bounded number of attempts, a
// bounded answer.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>

#include "base/task.h"
#include "net/http_client.h"

namespace colloquy::aws {

struct EndpointPolicy {
  std::chrono::milliseconds connect{1'000};
  std::chrono::milliseconds total{2'000};  // of one attempt, to the last byte of the answer
  int attempts = 3;
  std::chrono::milliseconds retry_delay{200};  // before the second attempt; twice that before each
                                               // further one
};

// On the same machine, or none at all: what does not answer soon is not there.
inline constexpr EndpointPolicy kLocalEndpoint{};
inline constexpr EndpointPolicy kStsEndpoint{std::chrono::milliseconds(3'000),
                                             std::chrono::milliseconds(8'000), 3,
                                             std::chrono::milliseconds(300)};

inline constexpr std::size_t kAnswerBytesMax = 256UL * 1024;

// The answer, whatever its status. No answer, a broken or half one, a timeout, 429 and 5xx are
// tried again; after the last attempt what there is of an answer is returned, or NetError thrown
// (kTimeout when the time was over). Its text holds nothing of the request or the answer.
Task<net::HttpResponse> call_endpoint(net::HttpClient& http, net::HttpRequest request,
                                      EndpointPolicy policy);

}  // namespace colloquy::aws
