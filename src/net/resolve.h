// A host name's addresses. Any event loop.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/task.h"
#include "net/cancel_state.h"

namespace colloquy::net {

// In the resolver's order, one at least; a numeric address is its own, at once. Throws
// NetError(kResolve, kTimeout, kCancelled).
Task<std::vector<boost::asio::ip::tcp::endpoint>> resolve(
    std::string host, std::uint16_t port, std::chrono::steady_clock::time_point deadline,
    std::shared_ptr<CancelState> cancel);

}  // namespace colloquy::net
