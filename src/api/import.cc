// POST /import: takes back what /export gave, and the export files of ChatGPT and of Open WebUI,
// also in their ZIP archives, while it arrives: no more of it is in memory than a conversation, or
// two.
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "api/archive_import.h"
#include "api/error_reply.h"
#include "api/services.h"
#include "base/error.h"
#include "base/json_writer.h"
#include "base/pause.h"
#include "base/text.h"
#include "base/thread_pool.h"
#include "base/user_slots.h"
#include "exchange/import_reader.h"
#include "files/names.h"
#include "telemetry/log.h"

namespace colloquy::api {
namespace {

// Results are held back up to here: a small import is answered as a whole.
constexpr std::size_t kHeldResultBytes = 64 * limits::kKiB;
// Each may hold a conversation some times over.
constexpr std::size_t kImportsAtOnce = 8;
constexpr std::size_t kImportsOfAUser = 2;
constexpr std::size_t kReadingThreads = 2;
// How far the clock of whoever wrote a file may be ahead of this one.
constexpr std::int64_t kAheadSeconds = 24L * 60 * 60;
// Whose file has more is told so, and not each of them.
constexpr std::size_t kRefusalsMost = 10'000;
constexpr std::size_t kSourceIdBytes = 200;
constexpr std::size_t kItemsBetweenYields = 64;

// What all imports share.
struct ImportWorks {
  UserSlots slots{"imports", kImportsAtOnce, kImportsOfAUser};
  // To read and place a large conversation takes longer than an event loop may be held.
  ThreadPool readers{kReadingThreads, 2 * kImportsAtOnce, "Too many imports at once."};
};

struct Import {
  std::shared_ptr<ImportWorks> works;
  Services& services;
  UserId user;
  http::BodyReader& body;
  std::optional<erase::UserGate::Pass> pass;  // as long as it goes on
  UserSlots::Slot slot;
  const exchange::ImportLimits limits;
  std::shared_ptr<exchange::ImportReader> reader;  // used on a thread of the readers meanwhile
  std::unique_ptr<ArchiveImport> archive;          // where the body is one
  bool begun = false;                              // a byte has come
  std::string problem;                             // why nothing more can be read
  bool ended = false;
  bool passes_over = false;  // the rest of an archive's entry
  std::string results;       // a line for each conversation, that were not sent
  std::size_t imported = 0;
  std::size_t there = 0;
  std::size_t refused = 0;
  std::size_t seen = 0;

  Import(std::shared_ptr<ImportWorks> works_in, Services& services_in, UserId user_in,
         http::BodyReader& body_in, exchange::ImportLimits limits_in)
      : works(std::move(works_in)),
        services(services_in),
        user(std::move(user_in)),
        body(body_in),
        slot(works->slots, user),
        limits(limits_in),
        reader(std::make_shared<exchange::ImportReader>(limits)) {
    if (services.gate != nullptr) pass.emplace(services.gate->enter(user));
  }
};

struct Counts {
  std::size_t messages = 0;
  std::size_t left_out = 0;
};

void add_result(Import& task, const exchange::ImportReader::Item& item, std::string_view status,
                std::optional<ConversationId> id, std::string_view reason,
                std::optional<Counts> counts = {}) {
  JsonWriter json(task.results);
  json.begin_object().key("type").string("conversation").key("status").string(status);
  json.key("line").integer(static_cast<std::int64_t>(item.line));
  if (!item.source_id.empty()) {
    json.key("source_id").string(cut_utf8(item.source_id, kSourceIdBytes));
  }
  if (id) json.key("conversation_id").uuid(id->uuid());
  if (counts) {
    json.key("messages").integer(static_cast<std::int64_t>(counts->messages));
    json.key("left_out").integer(static_cast<std::int64_t>(counts->left_out));
  }
  if (!reason.empty()) json.key("reason").string(reason);
  json.end_object();
  task.results.push_back('\n');
}

void refuse(Import& task, const exchange::ImportReader::Item& item, std::string_view reason) {
  ++task.refused;
  add_result(task, item, "refused", std::nullopt, reason);
}

// Empty where there is none. The files themselves are no part of an import.
std::string refusal_of_attachments(const exchange::Draft& draft) {
  for (const auto& message : draft.messages) {
    for (const auto& path : message.message.attachments) {
      if (files::refusal_of_path(path)) return "The path of an attachment cannot be a file's.";
    }
  }
  return {};
}

// The conversation that it was exported from, where that is still this user's.
Task<std::optional<ConversationId>> find_original(Import& task, const exchange::Draft& draft) {
  auto id = draft.source == "colloquy" ? ConversationId::parse(draft.id) : std::nullopt;
  if (!id) co_return std::nullopt;
  auto found = co_await task.services.store.get_conversation(task.user, *id);
  if (!found) co_return std::nullopt;
  co_return id;
}

Task<exchange::Placed> place(Import& task, exchange::Draft draft) {
  auto job = [user = task.user, draft = std::move(draft)]() mutable {
    return exchange::place(user, std::move(draft));
  };
  co_return co_await task.works->readers.run(std::move(job));
}

Task<> take(Import& task, exchange::ImportReader::Item& item) {
  if (item.draft) item.refusal = refusal_of_attachments(*item.draft);
  if (!item.draft || !item.refusal.empty()) {
    refuse(task, item, item.refusal);
    co_return;
  }
  auto original = co_await find_original(task, *item.draft);
  auto id = original.value_or(exchange::place_of(task.user, *item.draft));
  bool taken = false;
  Counts counts;
  if (!original) {
    exchange::Placed placed = co_await place(task, std::move(*item.draft));
    counts = {placed.messages.size(), placed.left_out};
    taken = co_await task.services.intake.take(std::move(placed.conversation),
                                               std::move(placed.messages));
  }
  if (!taken) {
    ++task.there;
    add_result(task, item, "already_there", id, "");
    co_return;
  }
  ++task.imported;
  add_result(task, item, "imported", id, "", counts);
  auto seen = co_await task.services.store.get_conversation(task.user, id);
  // By its time to live it may have expired long ago.
  if (seen) task.services.events.conversation_created(*seen);
}

// Each conversation counts as a request, up to what a user has in a minute: after an import there
// is a minute to wait for, not an hour.
void charge(Import& task) {
  auto& requests = task.services.requests;
  if (task.seen <= requests.per_minute()) requests.charge(task.user, 1);
}

void give_up_refused(Import& task) {
  task.problem = "More than " + std::to_string(kRefusalsMost) +
                 " of its conversations and files were refused: the rest was not read.";
  task.ended = true;
}

Task<> take_ready(Import& task) {
  while (task.refused <= kRefusalsMost) {
    auto item = task.reader->next();
    if (!item) co_return;
    // What is refused waits for nothing.
    if (++task.seen % kItemsBetweenYields == 0) co_await pause(std::chrono::milliseconds(0));
    charge(task);
    if (task.pass) task.pass->check();
    std::string conflict;
    try {
      co_await take(task, *item);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kConflict) throw;
      conflict = error.message();
    }
    if (!conflict.empty()) refuse(task, *item, conflict);
  }
  give_up_refused(task);
}

void add_last_line(Import& task, std::string_view problem) {
  JsonWriter json(task.results);
  json.begin_object().key("type").string("end").key("complete").boolean(problem.empty());
  json.key("imported").integer(static_cast<std::int64_t>(task.imported));
  json.key("already_there").integer(static_cast<std::int64_t>(task.there));
  json.key("refused").integer(static_cast<std::int64_t>(task.refused));
  if (task.archive) {
    const auto& files = task.archive->files();
    json.key("files").begin_object();
    json.key("imported").integer(static_cast<std::int64_t>(files.imported));
    json.key("already_there").integer(static_cast<std::int64_t>(files.there));
    json.key("refused").integer(static_cast<std::int64_t>(files.refused)).end_object();
  }
  if (!problem.empty()) json.key("reason").string(problem);
  json.end_object();
  task.results.push_back('\n');
}

void require_known_type(const http::Request& request) {
  auto type = request.header("Content-Type").value_or("");
  auto name = ascii_lower(std::string(type.substr(0, type.find(';'))));
  while (!name.empty() && name.back() == ' ') name.pop_back();
  for (const auto* known :
       {"application/x-ndjson", "application/jsonl", "application/json", "application/octet-stream",
        "application/zip", "application/x-zip-compressed"}) {
    if (name == known) return;
  }
  throw Error(
      ErrorCode::kUnsupportedMedia,
      "The body must be an export: send Content-Type: application/x-ndjson, or application/zip.");
}

// Why nothing more can be read, or nothing. An empty piece is the end.
Task<std::string> feed(Import& task, std::string_view piece) {
  // Should the connection end meanwhile, the piece is gone.
  auto job = [reader = task.reader, text = std::string(piece)]() -> std::string {
    try {
      if (text.empty()) {
        reader->end();
      } else {
        reader->feed(text);
      }
    } catch (const Error& error) {
      return error.message();
    }
    return {};
  };
  co_return co_await task.works->readers.run(std::move(job));
}

// Of conversations; none is the end of it.
Task<> take_text(Import& task, std::string_view text) {
  task.problem = co_await feed(task, text);
  if (!task.problem.empty()) task.ended = true;
  co_await take_ready(task);
}

Task<> read_on(Import& task) {
  const std::string_view piece = co_await task.body.read();
  if (task.pass) task.pass->check();
  // No text that is known begins so.
  if (!task.begun && piece.starts_with('P')) {
    task.archive = std::make_unique<ArchiveImport>(task.services, task.works->readers, task.user,
                                                   task.results);
  }
  task.begun = true;
  if (task.archive) {
    task.archive->feed(piece);
    co_return;
  }
  task.ended = piece.empty();
  co_await take_text(task, piece);
  if (task.ended && task.problem.empty()) task.problem = task.reader->incomplete();
}

// One of no format that is known is refused by itself: others may follow.
void refuse_entry(Import& task) {
  exchange::ImportReader::Item item;
  item.line = 1;
  ++task.seen;
  charge(task);
  refuse(task, item, task.archive->refuse_text(task.problem));
  task.passes_over = true;
  task.ended = false;
  task.problem.clear();
  if (task.archive->files().refused + task.refused > kRefusalsMost) give_up_refused(task);
}

// Of an archive's entry of conversations; none is the end of it.
Task<> take_text_of_entry(Import& task, std::string_view text) {
  if (task.passes_over) co_return;
  co_await take_text(task, text);
  if (text.empty() && task.problem.empty()) {
    task.problem = task.reader->incomplete();
    task.ended = !task.problem.empty();
  }
  const bool known = task.reader->known();
  if (known && text.empty()) task.archive->know_text();
  if (!known && task.ended && task.refused <= kRefusalsMost) refuse_entry(task);
}

Task<> take_of_archive(Import& task) {
  using Kind = ArchiveImport::Step::Kind;
  auto step = co_await task.archive->step();
  if (task.pass) task.pass->check();
  if (step.kind == Kind::kMore) co_await read_on(task);
  if (step.kind == Kind::kBegin) {
    task.reader = std::make_shared<exchange::ImportReader>(task.limits);
    task.passes_over = false;
  }
  const bool of_text = step.kind == Kind::kText || step.kind == Kind::kEnd;
  if (of_text) co_await take_text_of_entry(task, step.text);
  if (step.kind == Kind::kFile) {
    ++task.seen;
    charge(task);
    if (task.archive->files().refused + task.refused > kRefusalsMost) give_up_refused(task);
  }
  if (step.kind != Kind::kDone) co_return;
  // A conversation that is cut off has its result.
  const bool cut = !step.text.empty();
  if (cut && !task.passes_over) co_await take_text(task, {});
  task.problem = std::move(step.text);
  task.ended = true;
}

Task<> take_what_comes(Import& task) {
  while (!task.ended && task.results.size() < kHeldResultBytes) {
    if (task.archive) {
      co_await take_of_archive(task);
    } else {
      co_await read_on(task);
    }
  }
}

// Takes what comes until results are to be sent, or to the end. A client that hears of a failure
// has its share of storage and its place among the uploads back.
Task<> take_some(Import& task) {
  std::exception_ptr failure;
  try {
    co_await take_what_comes(task);
  } catch (...) {
    failure = std::current_exception();
  }
  if (!failure) co_return;
  if (task.archive) co_await task.archive->give_up();
  std::rethrow_exception(failure);
}

Task<> finish(Import& task) {
  if (task.archive) co_await task.archive->give_up();
  add_last_line(task, task.problem);
  telemetry::log_info("import.done",
                      {{"user_id", task.user.value()},
                       {"imported", task.imported},
                       {"already_there", task.there},
                       {"refused", task.refused},
                       {"files", task.archive ? task.archive->files().imported : 0}});
}

// The last line tells what went wrong once the status is sent.
Task<> take_rest(std::shared_ptr<Import> task, http::BodyWriter& writer) {
  while (!task->ended) {
    co_await writer.write(task->results);
    task->results.clear();
    try {
      co_await take_some(*task);
    } catch (const http::BodyFailure& failure) {
      task->problem = failure.reason();
      task->ended = true;
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kInternal) throw;
      task->problem = error.message();
      task->ended = true;
    }
  }
  co_await finish(*task);
  co_await writer.write(task->results);
}

Task<http::Response> import_all(std::shared_ptr<ImportWorks> works, Services& services,
                                http::Request& request) {
  require_known_type(request);
  exchange::ImportLimits limits;
  limits.content_bytes = services.max_content_bytes;
  limits.latest_s = services.clock.now_s() + kAheadSeconds;
  auto task = std::make_shared<Import>(std::move(works), services, request.user,
                                       *request.body_stream, limits);
  co_await take_some(*task);
  // Nothing of it was read.
  const bool known = task->reader->known() || (task->archive && task->archive->any());
  if (task->ended && !task->problem.empty() && !known) {
    throw invalid_field("body", task->problem);
  }
  http::Response response;
  response.set_header("Content-Type", "application/x-ndjson");
  response.set_header("Cache-Control", "no-store");
  if (task->ended) {
    co_await finish(*task);
    response.body = std::move(task->results);
  } else {
    response.stream = [task](http::BodyWriter& writer) { return take_rest(task, writer); };
  }
  co_return response;
}

}  // namespace

void add_import_routes(http::Router& router, Services& services) {
  auto works = std::make_shared<ImportWorks>();
  http::Route route{
      http::Method::kPost, "/import", false,
      [works, &services](http::Request& request) { return import_all(works, services, request); }};
  route.streamed_body_bytes = services.max_import_bytes;
  router.add(std::move(route));
}

}  // namespace colloquy::api
