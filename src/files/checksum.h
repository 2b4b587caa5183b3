// What a client declares its file's digest to be, and the digest of what came. For one thread at a
// time.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace colloquy::files {

// In base64 (RFC 4648, section 4); empty: not declared.
struct Checksums {
  std::string sha256;
  std::string sha512;
  bool any() const { return !sha256.empty() || !sha512.empty(); }
};

// Whether it is the base64 of so many bytes, as it is written in one way only.
bool is_base64_of(std::string_view text, std::size_t bytes);

class Digester {
 public:
  // Only of what is declared.
  explicit Digester(Checksums declared);
  ~Digester();
  Digester(const Digester&) = delete;
  Digester& operator=(const Digester&) = delete;

  void add(std::string_view bytes);
  // Whether all is as declared. Once, at the end.
  bool matches();

 private:
  struct State;
  Checksums declared_;
  std::unique_ptr<State> sha256_;
  std::unique_ptr<State> sha512_;
};

}  // namespace colloquy::files
