// What a peer answers (the upstream, DynamoDB, another server), read whole and in pieces.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "check.h"
#include "net/response_reader.h"

namespace {

using colloquy::net::ResponseReader;

struct Read {
  bool done = false;
  bool failed = false;
  bool reusable = false;
  int status = 0;
  std::string body;
};

Read read(std::string_view bytes, std::size_t step, ResponseReader::Body kind) {
  ResponseReader reader(kind);
  Read out;
  while (!bytes.empty() && !reader.failure() && !reader.done()) {
    const auto space = reader.space();
    const auto size = std::min({step, bytes.size(), space.size});
    std::memcpy(space.data, bytes.data(), size);
    bytes.remove_prefix(size);
    reader.commit(size);
    if (reader.header_done()) out.body += reader.take_body();
  }
  out.reusable = reader.reusable() && bytes.empty();
  reader.end();
  out.done = reader.done();
  out.failed = reader.failure().has_value();
  if (reader.header_done()) {
    out.status = reader.status();
    COLLOQUY_CHECK(out.status >= 200 && out.status <= 999);
    reader.header("content-type");
    reader.headers();
  }
  return out;
}

}  // namespace

// The first byte says in pieces of how many bytes the others arrive; its highest bit, that no body
// is expected.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto kind =
      (data[0] & 0x80U) != 0 ? ResponseReader::Body::kNone : ResponseReader::Body::kAsTheHeaderSays;
  const auto whole = read(bytes, std::max<std::size_t>(bytes.size(), 1), kind);
  const auto cut = read(bytes, std::max<std::size_t>(data[0] & 0x7FU, 1), kind);
  COLLOQUY_CHECK(!(whole.done && whole.failed));
  COLLOQUY_CHECK(whole.body.size() <= bytes.size());
  if (!whole.done) return 0;  // where it fails may differ, and how much came before
  COLLOQUY_CHECK(cut.done && !cut.failed);
  COLLOQUY_CHECK(cut.status == whole.status);
  COLLOQUY_CHECK(cut.body == whole.body);
  COLLOQUY_CHECK(cut.reusable == whole.reusable);
  return 0;
}
