// Search in what a user has written and been answered: the titles and messages of their own
// conversations, those of all branches.
//
// A hit is shown only after the store, asked as that user, has said that it is there, and only if
// its text still says what was searched for: an index that is behind, damaged or of somebody else
// shows nothing that must not be seen.
//
// Order: the best and newest first. A hit's score is how well it fits (query.h, 0 to 1) and
// how new it is (1 today, a half after 30 days). An index ranks a window of the newest
// matches; the next window comes after it. A cursor keeps the window and the time of the first
// page, so that following pages repeat nothing, whatever is written meanwhile.
//
// For event loops: a call resumes where it was awaited and does not block. Errors: kInvalid (naming
// "cursor"), kNotFound (the conversation asked for), kUnavailable (too many searches at once, or
// one that takes too long), kThrottled (too many of this user at once), and those of the store.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "base/task.h"
#include "search/snippet.h"
#include "store/types.h"

namespace colloquy::search {

struct Request {
  UserId user;
  std::string text;  // at most kQueryBytes
  std::size_t limit = 20;
  std::optional<std::string> cursor;
  std::optional<ConversationId> conversation;  // in this one only
};

struct Hit {
  ConversationId conversation;
  std::string title;
  std::optional<store::Message> message;  // nullopt: the title was found
  double score = 0;
  std::vector<Fragment> snippet;
};

struct Page {
  std::vector<Hit> hits;
  // Everything was looked at; false while an index is made or is behind, and where a bound is
  // reached.
  bool complete = true;
  std::optional<std::string> next;  // the cursor of the next page
};

class Search {
 public:
  virtual ~Search() = default;
  virtual Task<Page> find(Request request) = 0;
  // Begins to make the index anew, beside the one in use. False where there is none.
  virtual bool rebuild() { return false; }
  // Takes a user out, of whom the store has nothing any more: asked again until it says true, which
  // is once nothing of the user is left here. Does not block.
  virtual bool forget(const UserId& /*user*/) { return true; }
};

// How new something is: 1 now, a half 30 days ago, and so on.
double recency(std::int64_t at_ms, std::int64_t now_ms);

// A cursor is a few numbers. Throws kInvalid for what encode_cursor has not made of so many.
std::string encode_cursor(const std::vector<std::uint64_t>& numbers);
Error bad_cursor();
std::vector<std::uint64_t> decode_cursor(const std::string& cursor, std::size_t count);

}  // namespace colloquy::search
