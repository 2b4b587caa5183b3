// What a coroutine of this program returns. It runs on the event loop of the
// coroutine that awaits it; it may throw Error.
#pragma once

#include <boost/asio/awaitable.hpp>

namespace colloquy {

template <class T = void>
using Task = boost::asio::awaitable<T>;

}  // namespace colloquy
