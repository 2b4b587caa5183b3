#include "migrate/mover.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/error.h"
#include "migrate/at_once.h"
#include "migrate/comparison.h"

namespace colloquy::migrate {
namespace {

using store::MovedConversation;

// What is moved of a page.
std::vector<MovedConversation> living(std::vector<MovedConversation> page, std::int64_t begun_at_s,
                                      std::int64_t now_s) {
  // The clock may have been set back since.
  auto at_s = std::max(begun_at_s, now_s);
  std::erase_if(
      page, [at_s](const MovedConversation& moved) { return moved.conversation.expired(at_s); });
  return page;
}

void add(Totals& to, const Totals& more) {
  to.conversations += more.conversations;
  to.messages += more.messages;
  to.content_bytes += more.content_bytes;
  to.checksum += more.checksum;
}

}  // namespace

class Mover::CopyPage {
 public:
  CopyPage(Mover& mover, std::vector<MovedConversation> conversations)
      : mover_(mover), conversations_(std::move(conversations)) {}

  std::size_t size() const { return conversations_.size(); }

  Task<> one(std::size_t index) {
    auto moved = std::move(conversations_[index]);
    auto& copied = mover_.progress_.copied;
    auto there = co_await mover_.to_.find(moved.conversation.user_id, moved.conversation.id);
    if (there) {
      copied.messages += there->conversation.message_count;
    } else {
      co_await copy(std::move(moved));
    }
    ++copied.conversations;
    mover_.report_.show(copied);
  }

 private:
  Task<> copy(MovedConversation moved) {
    auto& copied = mover_.progress_.copied;
    std::uint64_t count = 0;
    std::optional<MessageId> newest;
    std::string position;
    do {
      auto page = co_await mover_.from_.messages(moved, position);
      for (const auto& message : page.messages) {
        ++count;
        copied.content_bytes += message.content.size();
        if (!newest || *newest < message.id) newest = message.id;
      }
      copied.messages += page.messages.size();
      co_await mover_.to_.put_messages(moved.conversation, std::move(page.messages));
      mover_.report_.show(copied);
      position = std::move(page.next);
    } while (!position.empty());
    moved.conversation.message_count = count;
    co_await mover_.to_.put_conversation(std::move(moved.conversation), newest);
  }

  Mover& mover_;
  std::vector<MovedConversation> conversations_;
};

class Mover::ComparePage {
 public:
  ComparePage(Mover& mover, std::vector<MovedConversation> conversations)
      : mover_(mover),
        conversations_(std::move(conversations)),
        differences_(conversations_.size()) {}

  std::size_t size() const { return conversations_.size(); }

  Task<> one(std::size_t index) {
    auto compared = co_await compare(mover_.from_, mover_.to_, std::move(conversations_[index]));
    differences_[index] = std::move(compared.difference);
    add(mover_.progress_.from, compared.from);
    add(mover_.progress_.to, compared.to);
    mover_.report_.show(mover_.progress_.from);
  }

  // In the order of the source; empty: none.
  std::string first_difference() const {
    for (const auto& difference : differences_) {
      if (!difference.empty()) return difference;
    }
    return "";
  }

 private:
  Mover& mover_;
  std::vector<MovedConversation> conversations_;
  std::vector<std::string> differences_;
};

Mover::Mover(store::Exporter& from, store::Importer& to, ProgressFile& file, ProgressReport& report,
             const Clock& clock, std::size_t at_once)
    : from_(from),
      to_(to),
      file_(file),
      report_(report),
      clock_(clock),
      at_once_(at_once),
      progress_(file.progress()) {}

Task<Moved> Mover::run() {
  auto expected = co_await from_.estimate();
  co_await to_.estimate();  // it can be written to
  if (file_.resumed()) report_.say("going on where the last run ended");
  file_.save(progress_);
  if (progress_.phase == Progress::Phase::kCopying) {
    report_.begin("copying", expected);
    co_await copy();
    report_.end(progress_.copied);
  }
  report_.begin("comparing", std::max(expected, progress_.copied.conversations));
  co_await compare_all();
  report_.end(progress_.from);
  Moved moved{progress_.from, progress_.to};
  if (moved.from != moved.to) {
    end_comparing();
    throw Error(ErrorCode::kConflict,
                "The two sides do not add up to the same: " + to_text(moved.from) + " against " +
                    to_text(moved.to) + ".");
  }
  file_.remove();
  co_return moved;
}

Task<> Mover::copy() {
  do {
    auto page = co_await from_.conversations(progress_.position);
    CopyPage work(*this,
                  living(std::move(page.conversations), progress_.begun_at_s, clock_.now_s()));
    co_await AtOnce<CopyPage>::run(work, work.size(), at_once_);
    co_await to_.flush();
    progress_.position = std::move(page.next);
    if (progress_.position.empty()) progress_.phase = Progress::Phase::kComparing;
    file_.save(progress_);
  } while (!progress_.position.empty());
}

Task<> Mover::compare_all() {
  do {
    auto page = co_await from_.conversations(progress_.position);
    ComparePage work(*this,
                     living(std::move(page.conversations), progress_.begun_at_s, clock_.now_s()));
    co_await AtOnce<ComparePage>::run(work, work.size(), at_once_);
    auto difference = work.first_difference();
    if (!difference.empty()) {
      end_comparing();
      throw Error(ErrorCode::kConflict, "What was moved is not what is there: " + difference + ".");
    }
    progress_.position = std::move(page.next);
    if (!progress_.position.empty()) file_.save(progress_);
  } while (!progress_.position.empty());
}

// Another run copies what is not there, and compares all of it.
void Mover::end_comparing() {
  Progress anew;
  anew.begun_at_s = progress_.begun_at_s;
  file_.save(anew);
}

}  // namespace colloquy::migrate
