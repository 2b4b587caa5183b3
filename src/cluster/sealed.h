// Messages of one stream that only the holders of its key can make or read: AES-256-GCM in base64,
// each under its number in the stream, so that none can be left out, repeated or put elsewhere
// unnoticed. A key is for one stream and one direction, ever. Not thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace colloquy::cluster {

class Sealer {
 public:
  // 32 bytes. Throws Error(kInvalid) for another size.
  explicit Sealer(std::string key);
  std::string seal(std::string_view text);

 private:
  const std::string key_;
  std::uint64_t number_ = 0;
};

class Unsealer {
 public:
  explicit Unsealer(std::string key);
  // nullopt for what is not the next message of a holder of the key; the stream is then spent.
  std::optional<std::string> open(std::string_view sealed);

 private:
  const std::string key_;
  std::uint64_t number_ = 0;
};

}  // namespace colloquy::cluster
