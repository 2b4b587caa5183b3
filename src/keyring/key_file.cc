#include "keyring/key_file.h"

#include <algorithm>
#include <utility>

#include "base/base64.h"
#include "base/parse_number.h"
#include "base/text.h"
#include "keyring/data_key.h"

namespace colloquy::keyring {
namespace {

constexpr std::string_view kRecordHead = "colloquy key 1";
constexpr std::string_view kKeyringHead = "colloquy keyring 1";

// A line that begins with `name` and a space, taken off the front; what follows them.
std::optional<std::string> take_line(std::string_view& text, std::string_view name) {
  auto end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  auto line = text.substr(0, end);
  text.remove_prefix(end + 1);
  if (!line.starts_with(name) || line.size() <= name.size() || line[name.size()] != ' ') {
    return std::nullopt;
  }
  return std::string(line.substr(name.size() + 1));
}

bool take_head(std::string_view& text, std::string_view head) {
  if (!text.starts_with(head)) return false;
  text.remove_prefix(std::min(head.size() + 1, text.size()));
  return true;
}

}  // namespace

std::string encode_key(const KeyRecord& record) {
  std::string text(kRecordHead);
  text += "\nid " + to_hex(record.key_id) + "\nmade " + std::to_string(record.made_at_s);
  text += "\nmaster " + record.wrapped.master + "\nwrapped " + base64_encode(record.wrapped.bytes);
  return text + "\n";
}

std::string encode_keyring(const std::string& id) {
  return std::string(kKeyringHead) + "\nid " + id + "\n";
}

std::optional<KeyRecord> decode_key(std::string_view text) {
  if (!take_head(text, kRecordHead)) return std::nullopt;
  auto id = take_line(text, "id");
  auto made = take_line(text, "made");
  auto master = take_line(text, "master");
  auto wrapped = take_line(text, "wrapped");
  if (!id || !made || !master || !wrapped) return std::nullopt;
  auto id_bytes = from_hex(*id);
  auto bytes = base64_decode(*wrapped);
  auto made_at_s = parse_number<std::int64_t>(*made);
  if (!id_bytes || id_bytes->size() != kKeyIdBytes || !bytes || !made_at_s) return std::nullopt;
  KeyRecord record;
  record.made_at_s = *made_at_s;
  record.key_id = std::move(*id_bytes);
  record.wrapped = {std::move(*master), std::move(*bytes)};
  return record;
}

std::optional<std::string> decode_keyring(std::string_view text) {
  if (!take_head(text, kKeyringHead)) return std::nullopt;
  auto id = take_line(text, "id");
  if (!id || id->size() != make_keyring_id().size()) return std::nullopt;
  return id;
}

}  // namespace colloquy::keyring
