#include "api/attachments.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/limits.h"
#include "files/names.h"

namespace colloquy::api {
namespace {

constexpr int kRemovalTries = 5;

std::string field_of(std::size_t index) { return "attachments[" + std::to_string(index) + "]"; }

// Gone already is as good as deleted.
Task<> remove_file(files::UserFiles& files, UserId user, std::string path) {
  files::Precondition any;
  try {
    co_await files.remove(std::move(user), std::move(path), std::move(any));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNotFound) throw;
  }
}

Task<> remove_files_of(Services& services, UserId user, ConversationId id) {
  store::MessageRange range;
  range.limit = limits::kPageMax;
  range.all_branches = true;
  range.after = MessageId();
  bool more = true;
  while (more) {
    auto page = co_await services.conversations.messages(user, id, range);
    for (const auto& message : page.messages) {
      for (const auto& path : message.attachments) {
        co_await remove_file(*services.files, user, path);
      }
      range.after = message.id;
    }
    more = page.more;
  }
}

}  // namespace

store::Attachments read_attachments(Body& body) {
  store::Attachments paths;
  auto elements = body.objects("attachments", limits::kAttachments);
  for (auto& element : elements) {
    auto path = element.optional_string("path");
    auto refusal = path ? files::refusal_of_path(*path) : std::nullopt;
    if (!element.has("path")) {
      element.refuse("path", "is missing");
    } else if (refusal) {
      element.refuse("path", std::move(*refusal));
    } else if (path && std::find(paths.begin(), paths.end(), *path) != paths.end()) {
      element.refuse("path", "is there twice");
    }
    paths.push_back(path.value_or(""));
    body.take_errors_of(std::move(element));
  }
  return paths;
}

Task<std::optional<Error>> refusal_of_attachments(Services& services, UserId user,
                                                  store::Attachments paths) {
  if (paths.empty()) co_return std::nullopt;
  if (services.files == nullptr) {
    co_return invalid_field("attachments", "cannot be had: this server keeps no files");
  }
  std::optional<Error> refusal;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    auto found = co_await services.files->info(user, paths[i]);
    if (found) continue;
    if (!refusal) refusal.emplace(ErrorCode::kInvalid, "The request has an invalid field.");
    refusal->add_field(field_of(i) + ".path", "is no file of yours");
  }
  co_return refusal;
}

Task<> remove_with_files(Services& services, UserId user, ConversationId id,
                         std::optional<std::uint64_t> if_version) {
  for (int tries = 0; tries < kRemovalTries; ++tries) {
    auto seen = co_await services.conversations.get(user, id);
    if (if_version && seen.version != *if_version) {
      throw Error(ErrorCode::kPreconditionFailed, "The conversation has changed in the meantime.");
    }
    co_await remove_files_of(services, user, id);
    try {
      co_await services.conversations.remove(user, id, seen.version);
      co_return;
    } catch (const Error& error) {
      if (if_version || error.code() != ErrorCode::kPreconditionFailed) throw;
    }
  }
  throw unavailable("The conversation is being changed too often right now.");
}

}  // namespace colloquy::api
