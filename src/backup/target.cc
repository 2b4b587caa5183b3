#include "backup/target.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "base/parse_number.h"
#include "base/sha256.h"
#include "base/text.h"

namespace colloquy::backup {
namespace {

constexpr std::string_view kRecordTitle = "colloquy base 1";

std::string padded(std::uint64_t number) {
  std::array<char, 24> text{};
  std::snprintf(text.data(), text.size(), "%020llu", static_cast<unsigned long long>(number));
  return text.data();
}

std::string random_suffix(IdSource& ids) { return to_hex(ids.next(0).raw().substr(8)); }

std::optional<SegmentName> parse_segment_name(const std::string& file) {
  constexpr std::string_view kEnding = ".segment";
  if (!file.ends_with(kEnding) || file.size() < 42 || file[20] != '-' || file[41] != '-') {
    return std::nullopt;
  }
  auto first = parse_number<std::uint64_t>(std::string_view(file).substr(0, 20));
  auto last = parse_number<std::uint64_t>(std::string_view(file).substr(21, 20));
  if (!first || !last || *first > *last) return std::nullopt;
  return SegmentName{*first, *last, file, 0};
}

constexpr std::string_view kRecordPrefix = "base-";
constexpr std::string_view kOwnerPrefix = "owner-";
constexpr std::string_view kWindowPrefix = "keep-";
constexpr std::string_view kCaughtUpPrefix = "caught-up-";
constexpr std::string_view kRunEndPrefix = "run-ended-";
constexpr std::size_t kPaddedDigits = 20;

std::string record_prefix(std::uint32_t id) {
  return std::string(kRecordPrefix) + std::to_string(id) + "-";
}

std::optional<std::uint32_t> parse_record_id(std::string_view name) {
  if (!name.starts_with(kRecordPrefix) || !name.ends_with(".record")) return std::nullopt;
  name.remove_prefix(kRecordPrefix.size());
  return parse_number<std::uint32_t>(name.substr(0, name.find('-')));
}

// Its last line is there: it was written whole, whatever has become of it since.
bool has_record_end(std::string_view text) {
  constexpr std::size_t kLineBytes = sizeof("\nsha256 \n") - 1 + 64;
  return text.size() > kLineBytes && text.substr(text.size() - kLineBytes).starts_with("\nsha256 ");
}

// The time in a mark of an owner; nullopt for what is no such mark.
std::optional<std::int64_t> parse_owner(std::string_view name) {
  constexpr std::size_t kSuffixDigits = 16;
  const auto length = kOwnerPrefix.size() + kPaddedDigits + 1 + kSuffixDigits;
  if (!name.starts_with(kOwnerPrefix) || name.size() != length) return std::nullopt;
  name.remove_prefix(kOwnerPrefix.size());
  if (name[kPaddedDigits] != '-' || !from_hex(name.substr(kPaddedDigits + 1))) return std::nullopt;
  return parse_number<std::int64_t>(name.substr(0, kPaddedDigits));
}

std::optional<std::int64_t> parse_window(std::string_view name) {
  if (!name.starts_with(kWindowPrefix)) return std::nullopt;
  return parse_number<std::int64_t>(name.substr(kWindowPrefix.size()));
}

// Those of before sequences were said have the time alone.
std::optional<LineageFolder::CaughtUp> parse_caught_up(std::string_view name) {
  if (!name.starts_with(kCaughtUpPrefix)) return std::nullopt;
  name.remove_prefix(kCaughtUpPrefix.size());
  const auto time_ms = parse_number<std::int64_t>(name.substr(0, kPaddedDigits));
  if (!time_ms) return std::nullopt;
  if (name.size() <= kPaddedDigits) return LineageFolder::CaughtUp{*time_ms, 0};
  const auto sequence = parse_number<std::uint64_t>(name.substr(kPaddedDigits + 1));
  if (name[kPaddedDigits] != '-' || !sequence) return std::nullopt;
  return LineageFolder::CaughtUp{*time_ms, *sequence};
}

std::optional<std::uint64_t> parse_run_end(std::string_view name) {
  if (!name.starts_with(kRunEndPrefix)) return std::nullopt;
  return parse_number<std::uint64_t>(name.substr(kRunEndPrefix.size()));
}

std::string fields_of(const BaseRecord& record) {
  std::string out(kRecordTitle);
  auto add = [&out](const char* name, auto value) {
    out += std::string("\n") + name + " " + std::to_string(value);
  };
  add("id", record.id);
  add("bytes", record.bytes);
  add("from-sequence", record.from_sequence);
  add("until-sequence", record.until_sequence);
  add("time-ms", record.time_ms);
  add("taken-ms", record.taken_ms);
  return out + "\nfrom-digest " + to_hex(bytes_of(record.digest)) + "\n";
}

}  // namespace

std::string encode(const BaseRecord& record) {
  auto fields = fields_of(record);
  return fields + "sha256 " + to_hex(bytes_of(sha256({fields}))) + "\n";
}

BaseRecord decode_base(std::string_view text) {
  std::map<std::string_view, std::string_view> fields;
  std::string_view left = text;
  while (!left.empty()) {
    auto line = left.substr(0, left.find('\n'));
    left.remove_prefix(std::min(left.size(), line.size() + 1));
    auto space = line.find(' ');
    if (space != std::string_view::npos) fields[line.substr(0, space)] = line.substr(space + 1);
  }
  auto number = [&fields]<class Number>(const char* name, Number& into) {
    auto parsed = parse_number<Number>(fields[name]);
    if (!parsed) throw malformed("The record of a base is damaged.");
    into = *parsed;
  };
  BaseRecord record;
  number("id", record.id);
  number("bytes", record.bytes);
  number("from-sequence", record.from_sequence);
  number("until-sequence", record.until_sequence);
  number("time-ms", record.time_ms);
  number("taken-ms", record.taken_ms);
  auto digest = from_hex(fields["from-digest"]);
  if (!digest || digest->size() != record.digest.size()) {
    throw malformed("The record of a base is damaged.");
  }
  std::copy(digest->begin(), digest->end(), record.digest.begin());
  if (encode(record) != text) throw malformed("The record of a base is damaged.");
  return record;
}

std::string lineage_name(const Uuid& lineage) { return to_hex(lineage.raw()); }

std::optional<Uuid> parse_lineage(std::string_view name) {
  auto raw = from_hex(name);
  return raw ? Uuid::from_bytes(*raw) : std::nullopt;
}

std::vector<Uuid> lineages(const store::TargetFiles& files, const std::string& target) {
  std::vector<Uuid> found;
  for (const auto& name : files.list(target)) {
    if (auto lineage = parse_lineage(name)) found.push_back(*lineage);
  }
  std::sort(found.begin(), found.end());
  return found;
}

bool is_as_recorded(const BaseRecord& record, std::uint64_t last_row, std::int64_t last_commit_ms) {
  const bool same_time = last_commit_ms == 0 || last_commit_ms == record.time_ms;
  return last_row == record.until_sequence && same_time;
}

std::string other_commits(const BaseRecord& record, const LineageFolder& folder) {
  return folder.path() + "/" + record.file + ": the base holds other commits than its record says";
}

LineageFolder::LineageFolder(store::TargetFiles files, const std::string& target,
                             const Uuid& lineage)
    : files_(std::move(files)),
      lineage_(lineage),
      target_(target),
      path_(target + "/" + lineage_name(lineage)) {}

void LineageFolder::make() {
  if (!files_.exists(target_)) {
    throw unavailable("The backup's folder is not there: " + target_ +
                      " must be made, or what is mounted there is not.");
  }
  files_.make_folder(path_);
  files_.make_folder(log_path());
  files_.make_folder(bases_path());
}

LineageFolder::Bases LineageFolder::bases() const {
  Bases bases;
  for (const auto& name : files_.list(path_)) {
    auto id = parse_record_id(name);
    if (!id) continue;
    std::string text;
    try {
      text = files_.read(path_ + "/" + name);
      auto record = decode_base(text);
      if (!name.starts_with(record_prefix(record.id))) {
        throw malformed("The record of a base is damaged.");
      }
      record.file = name;
      bases.records.push_back(std::move(record));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kMalformed) {
        if (files_.exists(path_ + "/" + name)) throw;
        continue;  // too old, and gone since it was listed
      }
      bases.damaged.push_back(path_ + "/" + name + ": " + error.message());
      if (has_record_end(text)) {
        bases.damaged_ids.push_back(*id);
      } else {
        bases.torn.push_back(name);
      }
    }
  }
  std::sort(bases.records.begin(), bases.records.end(), [](const auto& a, const auto& b) {
    return std::tie(a.id, a.taken_ms) < std::tie(b.id, b.taken_ms);
  });
  return bases;
}

BaseRecord LineageFolder::write(BaseRecord record, IdSource& ids) {
  record.file = record_prefix(record.id) + random_suffix(ids) + ".record";
  auto path = path_ + "/" + record.file;
  if (files_.exists(path)) throw Error(ErrorCode::kConflict, path + " is there already.");
  files_.write_new(path, encode(record));
  return record;
}

void LineageFolder::remove_torn(const std::string& record_file) {
  files_.remove(path_ + "/" + record_file);
}

void LineageFolder::remove(const BaseRecord& record) { files_.remove(path_ + "/" + record.file); }

std::vector<SegmentName> LineageFolder::segments() const {
  std::vector<SegmentName> names;
  for (const auto& file : files_.list(log_path())) {
    if (auto name = parse_segment_name(file)) names.push_back(std::move(*name));
  }
  std::sort(names.begin(), names.end(), [](const auto& a, const auto& b) {
    return std::tie(a.first_sequence, a.last_sequence, a.file) <
           std::tie(b.first_sequence, b.last_sequence, b.file);
  });
  return names;
}

SegmentName LineageFolder::new_name(const Segment& segment, std::size_t bytes, IdSource& ids) {
  SegmentName name{segment.first_sequence(), segment.last_sequence(), {}, bytes};
  name.file = padded(name.first_sequence) + "-" + padded(name.last_sequence) + "-" +
              random_suffix(ids) + ".segment";
  return name;
}

void LineageFolder::write(const SegmentName& name, std::string_view encoded) {
  files_.write_new(log_path() + "/" + name.file, encoded);
}

Segment LineageFolder::read(const SegmentName& name) const {
  auto path = log_path() + "/" + name.file;
  auto text = files_.read(path);
  try {
    auto segment = decode(text);
    if (segment.lineage != lineage_) throw malformed("The segment is of another lineage.");
    if (segment.first_sequence() != name.first_sequence ||
        segment.last_sequence() != name.last_sequence) {
      throw malformed("The segment has not the commits that its name says.");
    }
    return segment;
  } catch (const Error& error) {
    throw malformed(path + ": " + error.message());
  }
}

std::size_t LineageFolder::bytes(const SegmentName& name) const {
  return files_.size(log_path() + "/" + name.file);
}

bool LineageFolder::has(const SegmentName& name) const {
  return files_.exists(log_path() + "/" + name.file);
}

bool LineageFolder::has(const BaseRecord& record) const {
  return files_.exists(path_ + "/" + record.file);
}

void LineageFolder::remove(const SegmentName& name) { files_.remove(log_path() + "/" + name.file); }

std::string LineageFolder::take_over(std::int64_t now_ms, IdSource& ids) {
  std::vector<std::string> earlier;
  auto last_ms = now_ms;
  for (const auto& name : files_.list(path_)) {
    auto then = parse_owner(name);
    if (!then) continue;
    earlier.push_back(name);
    last_ms = std::max(last_ms, *then + 1);
  }
  auto mark = std::string(kOwnerPrefix) + padded(static_cast<std::uint64_t>(last_ms)) + "-" +
              random_suffix(ids);
  files_.write_new(path_ + "/" + mark, "");
  for (const auto& name : earlier) files_.remove(path_ + "/" + name);
  return mark;
}

std::string LineageFolder::owner() const {
  std::string last;
  for (const auto& name : files_.list(path_)) {
    if (parse_owner(name)) last = std::max(last, name);
  }
  return last;
}

std::optional<std::chrono::seconds> LineageFolder::window() const {
  std::optional<std::int64_t> widest;
  for (const auto& name : files_.list(path_)) {
    auto seconds = parse_window(name);
    if (seconds) widest = std::max(widest.value_or(0), *seconds);
  }
  if (!widest) return std::nullopt;
  return std::chrono::seconds(*widest);
}

void LineageFolder::set_window(std::chrono::seconds window) {
  const auto mark = std::string(kWindowPrefix) + std::to_string(window.count());
  bool there = false;
  std::vector<std::string> others;
  for (const auto& name : files_.list(path_)) {
    if (!parse_window(name)) continue;
    there = there || name == mark;
    if (name != mark) others.push_back(name);
  }
  if (!there) files_.write_new(path_ + "/" + mark, "");
  for (const auto& name : others) files_.remove(path_ + "/" + name);
}

// Of two, one was to be removed: the later one has the greater sequence, but of a clock that was
// set back not the later time.
LineageFolder::CaughtUp LineageFolder::caught_up() const {
  CaughtUp last;
  for (const auto& name : files_.list(path_)) {
    const auto said = parse_caught_up(name);
    if (!said) continue;
    last.time_ms = std::max(last.time_ms, said->time_ms);
    last.sequence = std::max(last.sequence, said->sequence);
  }
  return last;
}

void LineageFolder::set_caught_up(const CaughtUp& caught_up) {
  const auto mark = std::string(kCaughtUpPrefix) +
                    padded(static_cast<std::uint64_t>(caught_up.time_ms)) + "-" +
                    padded(caught_up.sequence);
  std::vector<std::string> earlier;
  for (const auto& name : files_.list(path_)) {
    if (name == mark) return;
    // A later one is of a clock that was ahead.
    if (parse_caught_up(name)) earlier.push_back(name);
  }
  files_.write_new(path_ + "/" + mark, "");
  for (const auto& name : earlier) files_.remove(path_ + "/" + name);
}

void LineageFolder::end_run(std::uint64_t sequence) {
  const auto path = path_ + "/" + std::string(kRunEndPrefix) + padded(sequence);
  if (!files_.exists(path)) files_.write_new(path, "");
}

void LineageFolder::forget_runs_up_to(std::uint64_t sequence) {
  for (const auto& name : files_.list(path_)) {
    const auto end = parse_run_end(name);
    if (end && *end <= sequence) files_.remove(path_ + "/" + name);
  }
}

std::vector<std::uint64_t> LineageFolder::run_ends() const {
  std::vector<std::uint64_t> ends;
  for (const auto& name : files_.list(path_)) {
    if (auto end = parse_run_end(name)) ends.push_back(*end);
    if (auto last = parse_caught_up(name)) ends.push_back(last->sequence);
  }
  std::sort(ends.begin(), ends.end());
  return ends;
}

std::int64_t LineageFolder::last_use_ms() const {
  auto last = caught_up().time_ms;
  last = std::max(last, parse_owner(owner()).value_or(0));
  for (const auto& base : bases().records) last = std::max({last, base.time_ms, base.taken_ms});
  return last;
}

void LineageFolder::remove_all() {
  for (const auto& base : bases().records) remove(base);
  files_.remove_folder(path_);
}

}  // namespace colloquy::backup
