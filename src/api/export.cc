// GET /export: everything that the user has.
#include <algorithm>
#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "api/request_fields.h"
#include "api/services.h"
#include "base/error.h"
#include "base/pause.h"
#include "base/user_slots.h"
#include "exchange/export_writer.h"
#include "exchange/markdown.h"
#include "exchange/zip_writer.h"
#include "telemetry/log.h"

namespace colloquy::api {
namespace {

constexpr std::size_t kConversationsAtOnce = 50;
constexpr std::size_t kFilesAtOnce = 200;
constexpr std::size_t kFilePieceBytes = 256 * limits::kKiB;
constexpr std::size_t kNotedFiles = 1000;
constexpr std::size_t kExportsAtOnce = 16;
constexpr std::size_t kExportsOfAUser = 2;
// Sent when so much of it is ready.
constexpr std::size_t kPieceBytes = 64 * limits::kKiB;

struct Export {
  std::shared_ptr<UserSlots> slots;
  Services& services;
  UserId user;
  UserSlots::Slot slot;
  std::string text;                          // what was written last
  std::string pending;                       // what is to be sent
  std::unique_ptr<exchange::ZipWriter> zip;  // into `pending`; null: text goes as it is
  std::uint64_t conversations = 0;
  std::uint64_t messages = 0;
  std::set<std::string> changed_files;  // while they were read; some of them
  std::set<std::string> damaged_files;  // that could not be read to their ends; some of them

  Export(std::shared_ptr<UserSlots> slots_in, Services& services_in, UserId user_in)
      : slots(std::move(slots_in)),
        services(services_in),
        user(std::move(user_in)),
        slot(*slots, user) {}
};

// What was written is on its way, or waits for more.
Task<> send(Export& task, http::BodyWriter& writer, std::size_t least = kPieceBytes) {
  if (task.text.size() >= least || task.zip) {
    if (task.zip) {
      task.zip->add(task.text);
    } else {
      task.pending += task.text;
    }
    task.text.clear();
  }
  if (task.pending.size() < least || task.pending.empty()) co_return;
  co_await writer.write(task.pending);
  task.pending.clear();
}

enum class As { kLines, kMarkdown };

// False when the conversation is gone. Lines are of all branches, Markdown of the active one.
Task<bool> write_messages(Export& task, http::BodyWriter& writer, ConversationId id, As as,
                          std::uint64_t& count) {
  store::MessageRange range;
  range.limit = limits::kPageMax;
  range.all_branches = as == As::kLines;
  range.after = MessageId();
  bool more = true;
  while (more) {
    std::optional<store::MessagePage> page;
    try {
      page = co_await task.services.conversations.messages(task.user, id, range);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kNotFound) throw;
    }
    if (!page) co_return false;
    auto active = store::Path::active(page->conversation.tree);
    for (const auto& message : page->messages) {
      if (as == As::kLines) {
        exchange::write_message(task.text, message, active.contains(message.branch, message.id));
      } else {
        exchange::write_markdown(task.text, message);
      }
      range.after = message.id;
      ++count;
      if (task.text.size() >= kPieceBytes) co_await send(task, writer);
    }
    more = page->more;
    if (more) co_await pause(std::chrono::milliseconds(0));
  }
  co_return true;
}

Task<> write_lines(Export& task, http::BodyWriter& writer,
                   const store::Conversation& conversation) {
  exchange::write_head(task.text, conversation);
  std::uint64_t count = 0;
  bool whole = co_await write_messages(task, writer, conversation.id, As::kLines, count);
  if (whole) {
    ++task.conversations;
    task.messages += count;
  } else {
    exchange::write_dropped(task.text, conversation.id);
  }
  co_await send(task, writer);
}

Task<> write_file(Export& task, http::BodyWriter& writer, const store::Conversation& conversation) {
  task.zip->begin("conversations/" + exchange::markdown_name(conversation),
                  conversation.updated_at_s);
  exchange::write_markdown_head(task.text, conversation);
  std::uint64_t count = 0;
  co_await write_messages(task, writer, conversation.id, As::kMarkdown, count);
  co_await send(task, writer);
  task.zip->end();
}

// What is made while this runs may be in it or not.
Task<> write_each(Export& task, http::BodyWriter& writer, As as) {
  std::optional<ConversationId> after;
  do {
    auto page = co_await task.services.conversations.list(task.user, kConversationsAtOnce, after);
    for (const auto& conversation : page.conversations) {
      if (as == As::kLines) {
        co_await write_lines(task, writer, conversation);
      } else {
        co_await write_file(task, writer, conversation);
      }
    }
    after = page.next;
    // All of it may have been in memory, and nothing was waited for.
    co_await pause(std::chrono::milliseconds(0));
  } while (after);
}

void note_file(std::set<std::string>& files, const std::string& path) {
  if (files.size() < kNotedFiles) files.insert(path);
}

// Its bytes, as they are read; `begun` once it has an entry. One that another program changes
// meanwhile is noted.
Task<> copy_content(Export& task, http::BodyWriter& writer, std::string path, bool& begun) {
  auto reader = co_await task.services.files->open(task.user, path);
  if (!reader) co_return;
  std::uint64_t at = 0;
  bool good = true;
  do {
    const auto wanted = std::min<std::uint64_t>(kFilePieceBytes, reader->info().bytes - at);
    if (wanted > 0) task.text = co_await reader->read(at, static_cast<std::size_t>(wanted));
    // What cannot be read at all has no entry.
    if (!begun) task.zip->begin("files/" + path, reader->info().modified_s);
    begun = true;
    good = task.text.size() == wanted;
    at += task.text.size();
    co_await send(task, writer);
  } while (good && at < reader->info().bytes);
  if (good) good = co_await reader->is_unchanged();
  if (!good) note_file(task.changed_files, path);
}

// An encrypted file that is damaged does not keep the user from all others.
Task<> write_content(Export& task, http::BodyWriter& writer, const files::FileInfo& info) {
  bool begun = false;
  try {
    co_await copy_content(task, writer, info.path, begun);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kConflict) throw;
    note_file(task.damaged_files, info.path);
    telemetry::log_warning(
        "export.file_damaged",
        {{"user_id", task.user.value()}, {"route", "/export"}, {"detail", error.detail()}});
  }
  if (begun) task.zip->end();
}

enum class Of { kContents, kLines };

Task<> write_files(Export& task, http::BodyWriter& writer, Of of) {
  if (task.services.files == nullptr) co_return;
  std::string from;
  do {
    files::ListRequest request;
    request.from = from;
    request.limit = kFilesAtOnce;
    const auto page = co_await task.services.files->list(task.user, std::move(request));
    for (const auto& info : page.files) {
      if (of == Of::kContents) {
        co_await write_content(task, writer, info);
      } else {
        exchange::write_file(task.text, {info.path, info.bytes, info.modified_s, info.tag,
                                         task.changed_files.contains(info.path),
                                         task.damaged_files.contains(info.path)});
        co_await send(task, writer);
      }
    }
    from = page.next;
  } while (!from.empty());
}

Task<> write_all(std::shared_ptr<Export> task, http::BodyWriter& writer) {
  auto now_s = task->services.clock.now_s();
  if (task->zip) {
    co_await write_each(*task, writer, As::kMarkdown);
    co_await write_files(*task, writer, Of::kContents);
    task->zip->begin("export.jsonl", now_s);
  }
  exchange::write_first_line(task->text, now_s);
  co_await write_each(*task, writer, As::kLines);
  co_await write_files(*task, writer, Of::kLines);
  exchange::write_last_line(task->text, task->conversations, task->messages);
  co_await send(*task, writer, 0);
  if (task->zip) {
    task->zip->end();
    bool more = true;
    while (more) {
      more = task->zip->finish();
      co_await send(*task, writer, 0);
    }
  }
  telemetry::log_info("export.done", {{"user_id", task->user.value()},
                                      {"conversations", task->conversations},
                                      {"messages", task->messages}});
}

Task<http::Response> export_all(std::shared_ptr<UserSlots> slots, Services& services,
                                http::Request& request) {
  const auto* format = request.query_parameter("format");
  bool zipped = format != nullptr && *format == "zip";
  if (format != nullptr && !zipped && *format != "jsonl") {
    throw invalid_field("format", "must be jsonl or zip");
  }
  auto task = std::make_shared<Export>(std::move(slots), services, request.user);
  if (zipped) task->zip = std::make_unique<exchange::ZipWriter>(task->pending);
  http::Response response;
  response.set_header("Content-Type", zipped ? "application/zip" : "application/x-ndjson");
  response.set_header("Content-Disposition",
                      zipped ? "attachment; filename=\"colloquy-export.zip\""
                             : "attachment; filename=\"colloquy-export.jsonl\"");
  response.set_header("Cache-Control", "no-store");
  response.stream = [task](http::BodyWriter& writer) { return write_all(task, writer); };
  co_return response;
}

}  // namespace

void add_export_routes(http::Router& router, Services& services) {
  auto slots = std::make_shared<UserSlots>("exports", kExportsAtOnce, kExportsOfAUser);
  router.add({http::Method::kGet, "/export", false, [slots, &services](http::Request& request) {
                return export_all(slots, services, request);
              }});
}

}  // namespace colloquy::api
