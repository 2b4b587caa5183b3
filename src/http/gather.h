// Up to three pieces of memory that are written with one call: an Asio buffer sequence that can
// be shortened from the front.
#pragma once

#include <array>
#include <boost/asio/buffer.hpp>
#include <cstddef>
#include <string_view>

namespace colloquy::http {

class Gather {
 public:
  using value_type = boost::asio::const_buffer;
  using const_iterator = const value_type*;

  Gather() = default;
  explicit Gather(std::string_view first, std::string_view second = {}, std::string_view third = {})
      : pieces_{value_type(first.data(), first.size()), value_type(second.data(), second.size()),
                value_type(third.data(), third.size())} {
    consume(0);
  }

  const_iterator begin() const { return pieces_.data() + first_; }
  const_iterator end() const { return pieces_.data() + pieces_.size(); }
  bool empty() const { return first_ == pieces_.size(); }

  void consume(std::size_t bytes) {
    while (first_ < pieces_.size() && bytes >= pieces_[first_].size()) {
      bytes -= pieces_[first_].size();
      ++first_;
    }
    if (first_ < pieces_.size()) pieces_[first_] += bytes;
  }

 private:
  std::array<value_type, 3> pieces_{};
  std::size_t first_ = 0;
};

}  // namespace colloquy::http
