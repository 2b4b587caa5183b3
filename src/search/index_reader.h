// Looks up what was found in one file of the index (index_format.h). For one thread at a time; it
// sees each commit of the writer. Errors as sqlite.h.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "search/query.h"
#include "search/sqlite.h"

namespace colloquy::search {

// A place in the order of what is found.
struct IndexPosition {
  std::int64_t as_of_ms = 0;  // the time of the first page, to which newness is measured
  std::int64_t newest = 0;    // the window: ids up to this one (at first: any) …
  std::int64_t oldest = 0;    // … down to this one, which may not be known yet: 0
  double score = 0;           // of the last one that was given
  std::int64_t id = 0;        // likewise; 0: none of this window was
};

struct Candidate {
  ConversationId conversation;
  MessageId message;  // nil: the title
  double score = 0;
  std::int64_t id = 0;
};

struct Candidates {
  std::vector<Candidate> found;  // in order
  std::int64_t newest = 0;       // of the window; 0: it is empty
  std::int64_t oldest = 0;       // likewise
  bool more_in_window = false;
  bool more_windows = false;
};

class IndexReader {
 public:
  explicit IndexReader(const std::string& path);

  // The next ones after a position, at most `limit`, of one window.
  Candidates find(const UserId& user, const Query& query,
                  const std::optional<ConversationId>& conversation, const IndexPosition& position,
                  std::size_t limit, std::chrono::steady_clock::time_point deadline);

  // So many of the newest matches are ranked together, when a window is looked at for the first
  // time; then what has come into it since as well, up to a bound that a forged cursor meets.
  static constexpr std::size_t kWindow = 1000;
  static constexpr std::size_t kWindowMost = 16'000;

 private:
  struct Ranked {
    std::int64_t id = 0;
    double score = 0;
  };
  std::optional<std::int64_t> user_number(const UserId& user);
  std::vector<Ranked> window(const std::string& expression, std::size_t phrases,
                             const IndexPosition& position, bool& more);
  std::optional<Candidate> load(const Ranked& ranked);

  Connection connection_;
};

}  // namespace colloquy::search
