#include "store/dynamodb/aws/xml.h"

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace colloquy::aws {
namespace {

constexpr std::size_t kDepthMax = 16;
constexpr std::size_t kElementsMax = 1'000;
constexpr std::size_t kDocumentBytesMax = 256UL * 1024;
constexpr std::size_t kReferenceBytesMax = 12;

bool white_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

bool name_start(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || c == ':';
}

bool name_character(char c) {
  return name_start(c) || (c >= '0' && c <= '9') || c == '-' || c == '.';
}

// XML 1.0 section 2.2.
bool allowed_character(std::uint32_t code) {
  return code == 0x9 || code == 0xA || code == 0xD || (code >= 0x20 && code <= 0xD7FF) ||
         (code >= 0xE000 && code <= 0xFFFD) || (code >= 0x10000 && code <= 0x10FFFF);
}

void append_utf8(std::string& into, std::uint32_t code) {
  const auto tail = [&into, code](unsigned shift) {
    into += static_cast<char>(0x80U | ((code >> shift) & 0x3FU));
  };
  if (code < 0x80) {
    into += static_cast<char>(code);
  } else if (code < 0x800) {
    into += static_cast<char>(0xC0U | (code >> 6U));
    tail(0);
  } else if (code < 0x10000) {
    into += static_cast<char>(0xE0U | (code >> 12U));
    tail(6);
    tail(0);
  } else {
    into += static_cast<char>(0xF0U | (code >> 18U));
    tail(12);
    tail(6);
    tail(0);
  }
}

// What "&…;" stands for, without its two ends.
bool append_reference(std::string& into, std::string_view name) {
  using Entity = std::pair<std::string_view, char>;
  static constexpr std::array<Entity, 5> kEntities{
      Entity{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
  for (const auto& [entity, character] : kEntities) {
    if (name != entity) continue;
    into += character;
    return true;
  }
  if (!name.starts_with('#')) return false;
  name.remove_prefix(1);
  const int base = name.starts_with('x') ? 16 : 10;
  if (base == 16) name.remove_prefix(1);
  std::uint32_t code = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), code, base);
  if (error != std::errc() || end != name.data() + name.size() || !allowed_character(code)) {
    return false;
  }
  append_utf8(into, code);
  return true;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : rest_(text) {}

  std::optional<XmlElement> document() {
    skip("\xEF\xBB\xBF");
    if (rest_.starts_with("<?xml") && rest_.size() > 5 && white_space(rest_[5]) && !declaration()) {
      return std::nullopt;
    }
    XmlElement root;
    if (!between_elements() || !element(root, 1) || !between_elements() || !rest_.empty()) {
      return std::nullopt;
    }
    return root;
  }

 private:
  bool skip(std::string_view expected) {
    if (!rest_.starts_with(expected)) return false;
    rest_.remove_prefix(expected.size());
    return true;
  }
  bool skip_white_space() {
    const std::size_t before = rest_.size();
    while (!rest_.empty() && white_space(rest_.front())) rest_.remove_prefix(1);
    return rest_.size() < before;
  }
  // What stands before `end`, which is skipped too; nullopt when it never comes.
  std::optional<std::string_view> until(std::string_view end) {
    const auto at = rest_.find(end);
    if (at == std::string_view::npos) return std::nullopt;
    const auto before = rest_.substr(0, at);
    rest_.remove_prefix(at + end.size());
    return before;
  }
  std::string_view name() {
    std::size_t size = 0;
    if (!rest_.empty() && name_start(rest_.front())) {
      while (size < rest_.size() && name_character(rest_[size])) ++size;
    }
    const auto taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  bool declaration() {
    skip("<?xml");
    std::vector<std::string_view> names;
    std::string encoding;
    while (skip_white_space() && !rest_.starts_with("?>")) {
      std::string value;
      const auto attribute_name = name();
      if (!attribute_rest(attribute_name, value)) return false;
      if (attribute_name == "encoding") encoding = value;
    }
    for (char& c : encoding) {
      if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    }
    return skip("?>") && (encoding.empty() || encoding == "UTF-8" || encoding == "US-ASCII");
  }

  bool comment() {
    if (!skip("<!--")) return false;
    const auto inner = until("--");
    return inner && skip(">");
  }

  bool between_elements() {
    while (true) {
      skip_white_space();
      if (!rest_.starts_with("<!--")) return true;
      if (!comment()) return false;
    }
  }

  bool attribute_rest(std::string_view attribute_name, std::string& value) {
    if (attribute_name.empty()) return false;
    skip_white_space();
    if (!skip("=")) return false;
    skip_white_space();
    const char quote = rest_.empty() ? '\0' : rest_.front();
    if (quote != '"' && quote != '\'') return false;
    rest_.remove_prefix(1);
    const auto raw = until(std::string_view(&quote, 1));
    return raw && raw->find('<') == std::string_view::npos && append_text(value, *raw);
  }

  // Up to and with the ">" of a start tag.
  bool attributes(bool& closed) {
    std::vector<std::string_view> seen;
    while (true) {
      const bool spaced = skip_white_space();
      closed = skip("/>");
      if (closed || skip(">")) return true;
      const auto attribute_name = name();
      std::string value;
      if (!spaced || !attribute_rest(attribute_name, value)) return false;
      for (const auto other : seen) {
        if (other == attribute_name) return false;
      }
      seen.push_back(attribute_name);
    }
  }

  static bool append_text(std::string& into, std::string_view raw) {
    while (!raw.empty()) {
      const char c = raw.front();
      if (c == '&') {
        const auto end = raw.find(';');
        if (end > kReferenceBytesMax || !append_reference(into, raw.substr(1, end - 1))) {
          return false;
        }
        raw.remove_prefix(end + 1);
        continue;
      }
      if (static_cast<unsigned char>(c) < 0x20 && !white_space(c)) return false;
      into += c;
      raw.remove_prefix(1);
    }
    return true;
  }

  bool element(XmlElement& into, std::size_t depth) {
    if (depth > kDepthMax || ++elements_ > kElementsMax || !skip("<")) return false;
    into.name = name();
    bool closed = false;
    if (into.name.empty() || !attributes(closed)) return false;
    return closed || (content(into, depth) && end_tag(into.name));
  }

  bool content(XmlElement& into, std::size_t depth) {
    while (true) {
      const auto tag = rest_.find('<');
      if (tag == std::string_view::npos) return false;
      const auto text = rest_.substr(0, tag);
      rest_.remove_prefix(tag);
      if (text.find("]]>") != std::string_view::npos || !append_text(into.text, text)) return false;
      if (rest_.starts_with("</")) return true;
      if (rest_.starts_with("<!--")) {
        if (!comment()) return false;
      } else if (skip("<![CDATA[")) {
        const auto verbatim = until("]]>");
        if (!verbatim) return false;
        into.text += *verbatim;
      } else {
        into.children.emplace_back();
        if (!element(into.children.back(), depth + 1)) return false;
      }
    }
  }

  bool end_tag(std::string_view expected) {
    if (!skip("</") || name() != expected) return false;
    skip_white_space();
    return skip(">");
  }

  std::string_view rest_;
  std::size_t elements_ = 0;
};

}  // namespace

const XmlElement* XmlElement::child(std::string_view child_name) const {
  const XmlElement* found = nullptr;
  for (const XmlElement& candidate : children) {
    if (candidate.name != child_name) continue;
    if (found != nullptr) return nullptr;
    found = &candidate;
  }
  return found;
}

const XmlElement* XmlElement::find(std::initializer_list<std::string_view> path) const {
  const XmlElement* element = this;
  for (const auto step : path) {
    if (element != nullptr) element = element->child(step);
  }
  return element;
}

std::optional<XmlElement> parse_xml(std::string_view text) {
  if (text.size() > kDocumentBytesMax) return std::nullopt;
  return Parser(text).document();
}

}  // namespace colloquy::aws
