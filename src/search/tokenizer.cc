#include "search/tokenizer.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <utility>

#include "base/text.h"

namespace colloquy::search {
namespace {

using CodePoint = utf8proc_int32_t;

struct Range {
  CodePoint first;
  CodePoint last;
};

bool within(std::span<const Range> ranges, CodePoint point) {
  return std::any_of(ranges.begin(), ranges.end(), [point](const Range& range) {
    return range.first <= point && point <= range.last;
  });
}

// Han, kana, bopomofo, Hangul, Thai, Lao, Myanmar, Khmer.
constexpr std::array kSpaceless{
    Range{0x0e01, 0x0eff}, Range{0x1000, 0x109f}, Range{0x1100, 0x11ff},  Range{0x1780, 0x17ff},
    Range{0x2e80, 0x2fdf}, Range{0x3005, 0x3007}, Range{0x3021, 0x3029},  Range{0x3040, 0x30ff},
    Range{0x3100, 0x318f}, Range{0x31a0, 0x31bf}, Range{0x31f0, 0x31ff},  Range{0x3400, 0x4dbf},
    Range{0x4e00, 0x9fff}, Range{0xa960, 0xa97f}, Range{0xac00, 0xd7ff},  Range{0xf900, 0xfaff},
    Range{0xff66, 0xff9f}, Range{0xffa0, 0xffdc}, Range{0x20000, 0x3ffff}};
// Marks without which a word is still the same word to who looks for it.
constexpr std::array kAccents{Range{0x0300, 0x036f}, Range{0x0591, 0x05c7}, Range{0x064b, 0x065f},
                              Range{0x0670, 0x0670}, Range{0xfe00, 0xfe0f}};
// What goes on with the character before it: medial and final jamo, halfwidth voicing marks.
constexpr std::array kJoining{Range{0x1160, 0x11ff}, Range{0xff9e, 0xff9f}};

enum class Class : std::uint8_t { kSeparator, kIgnored, kWord, kSpaceless, kMark };

Class class_of(CodePoint point) {
  if (within(kJoining, point)) return Class::kMark;
  switch (utf8proc_category(point)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return within(kSpaceless, point) ? Class::kSpaceless : Class::kWord;
    case UTF8PROC_CATEGORY_SO:
      return Class::kSpaceless;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
      return Class::kMark;
    case UTF8PROC_CATEGORY_CF:  // soft hyphens and joiners, which nobody types
      return Class::kIgnored;
    default:
      return Class::kSeparator;
  }
}

bool ascii_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// A character with its marks, folded.
class Cluster {
 public:
  // False when it is full: so many marks are nobody's language.
  bool add(CodePoint point) {
    if (size_ + kExpansion > points_.size()) return false;
    int boundary = 0;
    constexpr auto kOptions =
        static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD);
    auto room = static_cast<utf8proc_ssize_t>(kExpansion);
    auto added = utf8proc_decompose_char(point, points_.data() + size_, room, kOptions, &boundary);
    if (added > 0 && added <= room) size_ += static_cast<std::size_t>(added);
    return true;
  }

  void append_to(std::string& out) {
    auto* end = std::remove_if(points_.data(), points_.data() + size_,
                               [](CodePoint point) { return within(kAccents, point); });
    auto length = utf8proc_normalize_utf32(
        points_.data(), end - points_.data(),
        static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
    for (utf8proc_ssize_t i = 0; i < length; ++i) {
      auto point = points_[static_cast<std::size_t>(i)];
      // Some letters are made of more than letters: ⑴ is (1).
      if (point < 0x80) {
        if (ascii_alphanumeric(static_cast<char>(point))) {
          out.push_back(ascii_lower(static_cast<char>(point)));
        }
        continue;
      }
      std::array<utf8proc_uint8_t, 4> bytes{};
      auto count = utf8proc_encode_char(point, bytes.data());
      out.append(reinterpret_cast<const char*>(bytes.data()), static_cast<std::size_t>(count));
    }
    size_ = 0;
  }

 private:
  static constexpr std::size_t kExpansion = 18;  // the longest decomposition of one code point
  std::array<CodePoint, 64> points_{};
  std::size_t size_ = 0;
};

class Tokenizer {
 public:
  explicit Tokenizer(std::string_view text) : text_(text) {}

  std::vector<Token> run() {
    while (at_ < text_.size()) step();
    end_run();
    return std::move(tokens_);
  }

 private:
  // The code point at at_, of which at_ is then behind; nullopt where there is none.
  std::optional<CodePoint> next() {
    CodePoint point = -1;
    auto size = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text_.data()) + at_,
                                 static_cast<utf8proc_ssize_t>(text_.size() - at_), &point);
    if (size <= 0) {
      ++at_;
      return std::nullopt;
    }
    at_ += static_cast<std::size_t>(size);
    return point;
  }

  void step() {
    auto begin = at_;
    if (ascii_alphanumeric(text_[at_]) && next_is_ascii()) {
      end_spaceless();
      begin_word(begin);
      if (word_.text.size() < kTokenBytes) word_.text.push_back(ascii_lower(text_[at_]));
      word_.end = ++at_;
      return;
    }
    auto point = next();
    switch (point ? class_of(*point) : Class::kSeparator) {
      case Class::kIgnored:
        return;
      case Class::kSeparator:
        end_run();
        return;
      case Class::kMark:
        // One without a character before it.
        if (within(kAccents, *point)) return;
        [[fallthrough]];
      case Class::kWord:
        end_spaceless();
        begin_word(begin);
        read_cluster(*point, word_);
        return;
      case Class::kSpaceless:
        end_word();
        read_spaceless(*point, begin);
        return;
    }
  }

  bool next_is_ascii() const {
    return at_ + 1 >= text_.size() || static_cast<unsigned char>(text_[at_ + 1]) < 0x80;
  }

  // Appends the character and the marks behind it.
  void read_cluster(CodePoint first, Token& token) {
    cluster_.add(first);
    while (at_ < text_.size() && static_cast<unsigned char>(text_[at_]) >= 0x80) {
      auto before = at_;
      auto point = next();
      if (!point || class_of(*point) != Class::kMark || !cluster_.add(*point)) {
        at_ = before;
        break;
      }
    }
    folded_.clear();
    cluster_.append_to(folded_);
    if (token.text.size() + folded_.size() <= kTokenBytes) token.text.append(folded_);
    token.end = at_;
  }

  void read_spaceless(CodePoint point, std::size_t begin) {
    Token character;
    character.begin = begin;
    read_cluster(point, character);
    if (character.text.empty()) return;
    character.kind = Token::Kind::kLone;
    if (last_) {
      Token pair{last_->text + character.text, last_->begin, character.end, Token::Kind::kPair};
      tokens_.push_back(std::move(pair));
      character.kind = Token::Kind::kLast;
    }
    last_ = std::move(character);
  }

  void begin_word(std::size_t begin) {
    if (in_word_) return;
    in_word_ = true;
    word_ = Token();
    word_.begin = begin;
  }
  void end_word() {
    if (in_word_ && !word_.text.empty()) tokens_.push_back(std::move(word_));
    in_word_ = false;
  }
  void end_spaceless() {
    if (last_) tokens_.push_back(std::move(*last_));
    last_.reset();
  }
  void end_run() {
    end_word();
    end_spaceless();
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::vector<Token> tokens_;
  bool in_word_ = false;
  Token word_;
  std::optional<Token> last_;  // the character before, of a run without spaces
  Cluster cluster_;
  std::string folded_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view text) { return Tokenizer(text).run(); }

}  // namespace colloquy::search
