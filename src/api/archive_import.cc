#include "api/archive_import.h"

#include <algorithm>
#include <utility>

#include "api/error_reply.h"
#include "base/error.h"
#include "base/json_writer.h"
#include "base/text.h"
#include "files/names.h"

namespace colloquy::api {
namespace {

using exchange::ZipReader;
using Kind = ArchiveImport::Step::Kind;

constexpr std::string_view kFolder = "files/";
// So much of a file is written at a time.
constexpr std::size_t kWrittenBytes = 256 * limits::kKiB;

constexpr std::string_view kNothingKnown =
    "The archive has no export.jsonl, no conversations.json and no files/ at its top.";

bool is_text(std::string_view name) {
  constexpr std::string_view kBeginning = "conversations-";
  constexpr std::string_view kEnding = ".json";
  if (name == "export.jsonl" || name == "conversations.json") return true;
  if (!name.starts_with(kBeginning) || !name.ends_with(kEnding)) return false;
  name.remove_prefix(kBeginning.size());
  name.remove_suffix(std::min(name.size(), kEnding.size()));
  return !name.empty() && name.find_first_not_of("0123456789") == std::string_view::npos;
}

bool is_file(std::string_view name) { return name.starts_with(kFolder) && !name.ends_with('/'); }

// Whether it is the fault of this file, and the next one may fare better.
bool is_of_the_file(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kThrottled:
    case ErrorCode::kUnavailable:
    case ErrorCode::kInternal:
      return false;
    default:
      return true;
  }
}

}  // namespace

// Written, or compared with the one that is there, as it comes.
class ArchiveImport::File {
 public:
  File(files::UserFiles* files, UserId user, std::string path)
      : files_(files), user_(std::move(user)), path_(std::move(path)) {}

  Task<> begin() { return guarded(&File::open, {}); }
  Task<> add(std::string bytes) { return guarded(&File::put, std::move(bytes)); }
  Task<> end() { return guarded(&File::finish, {}); }
  Task<> give_up() {
    auto upload = std::move(upload_);
    if (upload) co_await upload->give_up();
  }

  const std::string& path() const { return path_; }
  const std::string& refusal() const { return refusal_; }
  bool there() const { return found_ != nullptr; }
  std::uint64_t bytes() const { return bytes_; }

 private:
  // What is wrong with this file alone is its refusal.
  Task<> guarded(Task<> (File::*call)(std::string), std::string bytes) {
    if (!refusal_.empty()) co_return;
    try {
      co_await (this->*call)(std::move(bytes));
    } catch (const Error& error) {
      if (!is_of_the_file(error)) throw;
      refusal_ = reason_of(error);
    }
    if (!refusal_.empty()) {
      found_.reset();
      co_await give_up();
    }
  }

  static std::string reason_of(const Error& error) {
    if (error.code() == ErrorCode::kPreconditionFailed) return kAnother;
    return error.fields().empty() ? error.message() : "Its path " + error.fields().front().message;
  }

  Task<> open(std::string /*none*/) {
    if (files_ == nullptr) throw Error(ErrorCode::kInvalid, kKeepsNoFiles);
    found_ = co_await files_->open(user_, path_);
    if (found_) co_return;
    files::NewFile file;
    file.user = user_;
    file.path = path_;
    file.precondition.missing = true;
    upload_ = co_await files_->begin(std::move(file));
  }

  Task<> put(std::string bytes) {
    if (found_) {
      const auto same = co_await found_->read(bytes_, bytes.size());
      if (same != bytes) refusal_ = kAnother;
    } else {
      pending_ += bytes;
      if (pending_.size() >= kWrittenBytes) co_await write();
    }
    bytes_ += bytes.size();
  }

  Task<> write() {
    auto piece = std::exchange(pending_, {});
    if (!piece.empty()) co_await upload_->write(std::move(piece));
  }

  Task<> finish(std::string /*none*/) {
    if (found_) {
      const bool unchanged = co_await found_->is_unchanged();
      if (!unchanged || bytes_ != found_->info().bytes) refusal_ = kAnother;
      co_return;
    }
    co_await write();
    co_await upload_->finish();
    upload_.reset();
  }

  static constexpr const char* kAnother = "Another file has this path, and stays.";

  files::UserFiles* files_;
  const UserId user_;
  const std::string path_;
  std::unique_ptr<files::Reader> found_;   // the one that is there
  std::unique_ptr<files::Upload> upload_;  // where there is none
  std::string pending_;
  std::uint64_t bytes_ = 0;
  std::string refusal_;
};

ArchiveImport::ArchiveImport(Services& services, ThreadPool& readers, UserId user,
                             std::string& results)
    : services_(services),
      readers_(readers),
      user_(std::move(user)),
      results_(results),
      zip_(std::make_shared<ZipReader>(ZipReader::Limits{}, [](std::string_view name) {
        return is_text(name) || is_file(name);
      })) {}

ArchiveImport::~ArchiveImport() = default;

void ArchiveImport::feed(std::string_view piece) {
  ended_ = piece.empty();
  zip_->feed(piece);
}

Task<ArchiveImport::Step> ArchiveImport::step() {
  // Should the connection end meanwhile, this is gone.
  auto job = [zip = zip_] {
    std::pair<std::optional<ZipReader::Part>, std::string> result;
    try {
      result.first = zip->next();
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kInvalid) throw;
      result.second = error.message();
    }
    return result;
  };
  auto unpacked = co_await readers_.run(std::move(job));
  if (!unpacked.second.empty()) co_return Step{Kind::kDone, std::move(unpacked.second)};
  if (unpacked.first && is_of_file(*unpacked.first)) {
    any_ = true;
    co_return co_await take_of_file(std::move(*unpacked.first));
  }
  if (unpacked.first) co_return take_of_text(*unpacked.first);
  if (!ended_) co_return Step{Kind::kMore, {}};
  if (!zip_->at_end()) co_return Step{Kind::kDone, "The archive is cut off."};
  if (any_) co_return Step{Kind::kDone, {}};
  co_return Step{Kind::kDone, text_refusal_.empty() ? std::string(kNothingKnown) : text_refusal_};
}

std::string ArchiveImport::refuse_text(const std::string& reason) {
  auto told = text_name_ + " is of no format that is known: " + reason;
  if (text_refusal_.empty()) text_refusal_ = told;
  return told;
}

bool ArchiveImport::is_of_file(const ZipReader::Part& part) const {
  return file_ || (part.kind == ZipReader::Part::Kind::kBegin && !is_text(part.text));
}

ArchiveImport::Step ArchiveImport::take_of_text(ZipReader::Part& part) {
  using Of = ZipReader::Part::Kind;
  if (part.kind == Of::kBegin) {
    text_name_ = std::move(part.text);
    return {Kind::kBegin, {}};
  }
  if (part.kind == Of::kEnd) return {Kind::kEnd, {}};
  text_bytes_ += part.text.size();
  if (text_bytes_ > services_.max_import_bytes) {
    return {Kind::kDone,
            "The archive's conversations are larger, unpacked, than an import may be."};
  }
  return {Kind::kText, std::move(part.text)};
}

Task<ArchiveImport::Step> ArchiveImport::take_of_file(ZipReader::Part part) {
  using Of = ZipReader::Part::Kind;
  if (part.kind == Of::kBegin) {
    file_ = std::make_unique<File>(services_.files, user_, part.text.substr(kFolder.size()));
    co_await file_->begin();
  } else if (part.kind == Of::kBytes) {
    co_await file_->add(std::move(part.text));
  } else {
    co_await file_->end();
    add_result(*file_);
    file_.reset();
    co_return Step{Kind::kFile, {}};
  }
  co_return Step{Kind::kPart, {}};
}

void ArchiveImport::add_result(const File& file) {
  const bool refused = !file.refusal().empty();
  std::string_view status = "imported";
  if (file.there()) status = "already_there";
  if (refused) status = "refused";
  sums_.imported += status == "imported" ? 1 : 0;
  sums_.there += status == "already_there" ? 1 : 0;
  sums_.refused += refused ? 1 : 0;
  JsonWriter json(results_);
  json.begin_object().key("type").string("file").key("status").string(status);
  // One that can be no file's may be no text either.
  const bool a_path = !files::refusal_of_path(file.path());
  json.key("path").string(a_path ? file.path()
                                 : percent_encode(file.path(), "/").substr(0, files::kPathBytes));
  if (refused) {
    json.key("reason").string(file.refusal());
  } else {
    json.key("size").integer(static_cast<std::int64_t>(file.bytes()));
  }
  json.end_object();
  results_.push_back('\n');
}

Task<> ArchiveImport::give_up() {
  auto file = std::move(file_);
  if (!file) co_return;
  try {
    co_await file->give_up();
  } catch (const Error&) {
    // Its end gives back what it can.
  }
}

}  // namespace colloquy::api
