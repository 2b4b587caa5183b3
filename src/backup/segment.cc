#include "backup/segment.h"

#include <cstring>

#include "base/error.h"
#include "base/sha256.h"

namespace colloquy::backup {
namespace {

constexpr std::string_view kBegin = "CLQYLOG1";
constexpr std::string_view kEnd = "CLQYEND1";
constexpr std::size_t kDigestBytes = 32;
constexpr std::size_t kTrailerBytes = kDigestBytes + kEnd.size();
constexpr std::size_t kHeaderBytes = kBegin.size() + 8 + 16 + kDigestBytes + 8;
constexpr std::size_t kCommitHeaderBytes = 8 + 4 + 8 + 4;

template <class Number>
void put(std::string& out, Number number) {
  auto value = static_cast<std::uint64_t>(number);
  for (std::size_t i = 0; i < sizeof(Number); ++i) {
    out.push_back(static_cast<char>(value >> (8 * i)));
  }
}

Error damaged(const char* what) { return malformed(std::string("The segment ") + what + "."); }

// Takes the text apart from its front.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : left_(text) {}

  std::string_view bytes(std::size_t count) {
    if (count > left_.size()) throw damaged("is cut short");
    auto taken = left_.substr(0, count);
    left_.remove_prefix(count);
    return taken;
  }
  template <class Number>
  Number number() {
    std::uint64_t value = 0;
    auto raw = bytes(sizeof(Number));
    for (std::size_t i = 0; i < raw.size(); ++i) {
      value |= std::uint64_t{static_cast<std::uint8_t>(raw[i])} << (8 * i);
    }
    return static_cast<Number>(value);
  }
  std::size_t left() const { return left_.size(); }

 private:
  std::string_view left_;
};

store::Commit read_commit(Cursor& cursor) {
  store::Commit commit;
  commit.sequence = cursor.number<std::uint64_t>();
  commit.rows = cursor.number<std::uint32_t>();
  commit.time_ms = cursor.number<std::int64_t>();
  auto length = cursor.number<std::uint32_t>();
  commit.batch = cursor.bytes(length);
  return commit;
}

bool follows(const store::Commit& commit, const store::Commit& before) {
  return commit.sequence == before.last_sequence() + 1 && commit.time_ms >= before.time_ms;
}

}  // namespace

Digest digest_of(const store::Commit& commit) { return sha256({commit.batch}); }

std::string encode(const Segment& segment) {
  std::size_t length = kHeaderBytes + kTrailerBytes;
  for (const auto& commit : segment.commits) length += kCommitHeaderBytes + commit.batch.size();
  std::string out;
  out.reserve(length);
  out += kBegin;
  put(out, std::uint64_t{length});
  out += segment.lineage.raw();
  out += bytes_of(segment.previous);
  put(out, std::uint64_t{segment.commits.size()});
  for (const auto& commit : segment.commits) {
    put(out, commit.sequence);
    put(out, commit.rows);
    put(out, commit.time_ms);
    put(out, static_cast<std::uint32_t>(commit.batch.size()));
    out += commit.batch;
  }
  auto digest = sha256({out});
  out += bytes_of(digest);
  out += kEnd;
  return out;
}

Segment decode(std::string_view text) {
  if (text.size() < kHeaderBytes + kTrailerBytes) throw damaged("is cut short");
  auto body = text.substr(0, text.size() - kTrailerBytes);
  auto trailer = text.substr(body.size());
  Cursor cursor(body);
  if (cursor.bytes(kBegin.size()) != kBegin) throw damaged("does not begin as one");
  if (cursor.number<std::uint64_t>() != text.size()) throw damaged("has not the length it says");
  if (trailer.substr(kDigestBytes) != kEnd) throw damaged("does not end as one");
  if (bytes_of(sha256({body})) != trailer.substr(0, kDigestBytes)) {
    throw damaged("has not the checksum it says");
  }
  Segment segment;
  segment.lineage = *Uuid::from_bytes(cursor.bytes(16));
  std::memcpy(segment.previous.data(), cursor.bytes(kDigestBytes).data(), kDigestBytes);
  auto count = cursor.number<std::uint64_t>();
  if (count == 0 || count > cursor.left() / kCommitHeaderBytes) {
    throw damaged("has not the commits it says");
  }
  segment.commits.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    auto commit = read_commit(cursor);
    bool fits = commit.rows > 0 && commit.sequence <= commit.last_sequence() &&
                (segment.commits.empty() || follows(commit, segment.commits.back()));
    if (!fits) throw damaged("has commits that do not follow each other");
    segment.commits.push_back(std::move(commit));
  }
  if (cursor.left() != 0) throw damaged("has more than its commits");
  return segment;
}

}  // namespace colloquy::backup
