#include "chat/generation.h"

#include "base/text.h"

namespace colloquy::chat {

void Generation::append(std::string_view text) {
  {
    std::scoped_lock lock(mutex_);
    text_.append(text);
  }
  changed_.notify_all();
}

std::string Generation::text() const {
  std::scoped_lock lock(mutex_);
  return text_;
}

void Generation::end(GenerationOutcome outcome) {
  {
    std::scoped_lock lock(mutex_);
    outcome_ = std::move(outcome);
  }
  changed_.notify_all();
  ended_.notify_all();
}

Task<Generation::Piece> Generation::next(std::size_t offset, std::chrono::milliseconds at_most) {
  auto deadline = std::chrono::steady_clock::now() + at_most;
  while (true) {
    std::uint64_t ticket = 0;
    {
      std::scoped_lock lock(mutex_);
      if (offset < text_.size()) {
        auto rest = std::string_view(text_).substr(offset);
        auto piece = cut_utf8(rest, kPieceBytes);
        co_return Piece{std::string(piece), false, piece.size() < rest.size()};
      }
      if (outcome_) co_return Piece{"", true, false};
      ticket = changed_.ticket();
    }
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) co_return Piece{};
    co_await changed_.wait(ticket, left);
  }
}

std::optional<GenerationOutcome> Generation::ended() const {
  std::scoped_lock lock(mutex_);
  return outcome_;
}

Task<GenerationOutcome> Generation::outcome() {
  constexpr auto kSlice = std::chrono::seconds(60);
  while (true) {
    std::uint64_t ticket = 0;
    {
      std::scoped_lock lock(mutex_);
      if (outcome_) co_return *outcome_;
      ticket = ended_.ticket();
    }
    co_await ended_.wait(ticket, kSlice);
  }
}

}  // namespace colloquy::chat
