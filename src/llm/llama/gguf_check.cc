#include "llm/llama/gguf_check.h"

#include <gguf.h>
#include <llama.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <system_error>

#include "base/error.h"
#include "llm/llama/library.h"

namespace colloquy::llm {
namespace {

struct FreeGguf {
  void operator()(gguf_context* context) const { gguf_free(context); }
};
using Gguf = std::unique_ptr<gguf_context, FreeGguf>;

Error refused(const std::string& path, const std::string& why) {
  return {ErrorCode::kInvalid, "\"" + path + "\" " + why};
}

void check_magic(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) throw refused(path, "is a folder");
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  char magic[4] = {};
  file.read(magic, sizeof magic);
  if (!file.is_open() || file.bad()) {
    throw refused(path, "cannot be read: " + std::generic_category().message(errno));
  }
  if (file.gcount() != sizeof magic || std::string(magic, sizeof magic) != "GGUF") {
    throw refused(path, "is not a GGUF file");
  }
}

std::optional<std::string> text_of(const gguf_context* file, const std::string& key) {
  const auto id = gguf_find_key(file, key.c_str());
  if (id < 0 || gguf_get_kv_type(file, id) != GGUF_TYPE_STRING) return std::nullopt;
  return gguf_get_val_str(file, id);
}

std::uint32_t number_of(const gguf_context* file, const std::string& key) {
  const auto id = gguf_find_key(file, key.c_str());
  if (id < 0 || gguf_get_kv_type(file, id) != GGUF_TYPE_UINT32) return 0;
  return gguf_get_val_u32(file, id);
}

bool is_false(const gguf_context* file, const std::string& key) {
  const auto id = gguf_find_key(file, key.c_str());
  return id >= 0 && gguf_get_kv_type(file, id) == GGUF_TYPE_BOOL && !gguf_get_val_bool(file, id);
}

void check_whole(const std::string& path, const gguf_context* file) {
  std::uint64_t needed = gguf_get_data_offset(file);
  for (std::int64_t i = 0; i < gguf_get_n_tensors(file); ++i) {
    const std::uint64_t end = gguf_get_data_offset(file) + gguf_get_tensor_offset(file, i) +
                              gguf_get_tensor_size(file, i);
    if (end > needed) needed = end;
  }
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error || size >= needed) return;
  throw refused(path, "is cut off: it has " + std::to_string(size) + " of " +
                          std::to_string(needed) + " bytes");
}

}  // namespace

std::string check_gguf(const std::string& path) {
  check_magic(path);
  const LlamaComplaints complaints;
  const Gguf file(gguf_init_from_file(path.c_str(), {/*no_alloc=*/true, /*ctx=*/nullptr}));
  if (!file) throw refused(path, "is broken or cut off: " + complaints.first());
  const auto architecture = text_of(file.get(), "general.architecture");
  if (!architecture) throw refused(path, "does not say of which architecture its model is");
  if (text_of(file.get(), "general.type").value_or("model") != "model") {
    throw refused(path, "is not a model but an addition to one");
  }
  check_whole(path, file.get());
  const auto tokenizer = text_of(file.get(), "tokenizer.ggml.model");
  if (!tokenizer || tokenizer == "no_vocab" || tokenizer == "none") {
    throw refused(path, "has no vocabulary");
  }
  if (number_of(file.get(), *architecture + ".pooling_type") != 0 ||
      is_false(file.get(), *architecture + ".attention.causal")) {
    throw refused(path, "is a model that makes embeddings, not text");
  }
  auto chat_template = text_of(file.get(), "tokenizer.chat_template");
  if (!chat_template || chat_template->empty()) {
    throw refused(path, "has no chat template: it was not made for conversations");
  }
  const llama_chat_message message{"user", "x"};
  if (llama_chat_apply_template(chat_template->c_str(), &message, 1, true, nullptr, 0) < 0) {
    throw refused(path, "has a chat template that llama.cpp's library does not know");
  }
  return std::move(*chat_template);
}

}  // namespace colloquy::llm
