#include "files/media_types.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/text.h"

namespace colloquy::files {
namespace {

struct Known {
  std::string_view end;
  MediaType type;
};

// In the order of their ends. Names as IANA has them; text is taken to be UTF-8.
constexpr std::array kKnown = {
    Known{"7z", {"application/x-7z-compressed"}},
    Known{"aac", {"audio/aac", true}},
    Known{"avif", {"image/avif", true}},
    Known{"bmp", {"image/bmp", true}},
    Known{"bz2", {"application/x-bzip2"}},
    Known{"c", {"text/plain; charset=utf-8", true}},
    Known{"cc", {"text/plain; charset=utf-8", true}},
    Known{"cpp", {"text/plain; charset=utf-8", true}},
    Known{"css", {"text/css; charset=utf-8"}},
    Known{"csv", {"text/csv; charset=utf-8"}},
    Known{"doc", {"application/msword"}},
    Known{"docx", {"application/vnd.openxmlformats-officedocument.wordprocessingml.document"}},
    Known{"eml", {"message/rfc822"}},
    Known{"epub", {"application/epub+zip"}},
    Known{"flac", {"audio/flac", true}},
    Known{"gif", {"image/gif", true}},
    Known{"go", {"text/plain; charset=utf-8", true}},
    Known{"gz", {"application/gzip"}},
    Known{"h", {"text/plain; charset=utf-8", true}},
    Known{"heic", {"image/heic"}},
    Known{"htm", {"text/html; charset=utf-8"}},
    Known{"html", {"text/html; charset=utf-8"}},
    Known{"ico", {"image/vnd.microsoft.icon", true}},
    Known{"ics", {"text/calendar; charset=utf-8"}},
    Known{"java", {"text/plain; charset=utf-8", true}},
    Known{"jpeg", {"image/jpeg", true}},
    Known{"jpg", {"image/jpeg", true}},
    Known{"js", {"text/javascript; charset=utf-8"}},
    Known{"json", {"application/json"}},
    Known{"jsonl", {"application/jsonl"}},
    Known{"log", {"text/plain; charset=utf-8", true}},
    Known{"m4a", {"audio/mp4", true}},
    Known{"md", {"text/markdown; charset=utf-8"}},
    Known{"mjs", {"text/javascript; charset=utf-8"}},
    Known{"mov", {"video/quicktime", true}},
    Known{"mp3", {"audio/mpeg", true}},
    Known{"mp4", {"video/mp4", true}},
    Known{"odp", {"application/vnd.oasis.opendocument.presentation"}},
    Known{"ods", {"application/vnd.oasis.opendocument.spreadsheet"}},
    Known{"odt", {"application/vnd.oasis.opendocument.text"}},
    Known{"oga", {"audio/ogg", true}},
    Known{"ogg", {"audio/ogg", true}},
    Known{"ogv", {"video/ogg", true}},
    Known{"opus", {"audio/ogg", true}},
    Known{"otf", {"font/otf"}},
    Known{"parquet", {"application/vnd.apache.parquet"}},
    Known{"pdf", {"application/pdf"}},
    Known{"png", {"image/png", true}},
    Known{"ppt", {"application/vnd.ms-powerpoint"}},
    Known{"pptx", {"application/vnd.openxmlformats-officedocument.presentationml.presentation"}},
    Known{"py", {"text/plain; charset=utf-8", true}},
    Known{"rs", {"text/plain; charset=utf-8", true}},
    Known{"rtf", {"application/rtf"}},
    Known{"sh", {"text/plain; charset=utf-8", true}},
    Known{"svg", {"image/svg+xml"}},
    Known{"tar", {"application/x-tar"}},
    Known{"tif", {"image/tiff"}},
    Known{"tiff", {"image/tiff"}},
    Known{"toml", {"application/toml"}},
    Known{"ts", {"text/plain; charset=utf-8", true}},
    Known{"tsv", {"text/tab-separated-values; charset=utf-8"}},
    Known{"ttf", {"font/ttf"}},
    Known{"txt", {"text/plain; charset=utf-8", true}},
    Known{"wasm", {"application/wasm"}},
    Known{"wav", {"audio/wav", true}},
    Known{"weba", {"audio/webm", true}},
    Known{"webm", {"video/webm", true}},
    Known{"webp", {"image/webp", true}},
    Known{"woff", {"font/woff"}},
    Known{"woff2", {"font/woff2"}},
    Known{"xhtml", {"application/xhtml+xml"}},
    Known{"xls", {"application/vnd.ms-excel"}},
    Known{"xlsx", {"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}},
    Known{"xml", {"application/xml"}},
    Known{"yaml", {"application/yaml"}},
    Known{"yml", {"application/yaml"}},
    Known{"zip", {"application/zip"}},
    Known{"zst", {"application/zstd"}},
};

constexpr bool in_order() {
  for (std::size_t i = 1; i < kKnown.size(); ++i) {
    if (!(kKnown[i - 1].end < kKnown[i].end)) return false;
  }
  return true;
}
static_assert(in_order());

}  // namespace

MediaType media_type_of(std::string_view path) {
  const auto name = path.substr(path.rfind('/') + 1);
  const auto dot = name.rfind('.');
  const auto end = dot == std::string_view::npos ? std::string()
                                                 : ascii_lower(std::string(name.substr(dot + 1)));
  const auto found =
      std::lower_bound(kKnown.begin(), kKnown.end(), end,
                       [](const Known& known, const std::string& e) { return known.end < e; });
  if (found == kKnown.end() || found->end != end) return {"application/octet-stream"};
  return found->type;
}

}  // namespace colloquy::files
