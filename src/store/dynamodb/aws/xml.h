// A small strict reader of XML 1.0 documents, for the answers of services that write no JSON.
// Values; any thread.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace colloquy::aws {

struct XmlElement {
  std::string name;  // as written, with its prefix where it has one
  std::string text;  // its own character data, entities replaced, without that of its children
  std::vector<XmlElement> children;

  // The only child of that name; nullptr when there is none or more than one.
  const XmlElement* child(std::string_view child_name) const;
  // Down a path of only children.
  const XmlElement* find(std::initializer_list<std::string_view> path) const;
};

// The root element; nullopt unless `text` is one well-formed document. Attributes are checked and
// left out. Refused as well: document types (and so every entity but the five of XML itself),
// processing instructions past the declaration, encodings other than UTF-8, more than 16 levels,
// more than 1,000 elements, more than 256 KiB.
std::optional<XmlElement> parse_xml(std::string_view text);

}  // namespace colloquy::aws
