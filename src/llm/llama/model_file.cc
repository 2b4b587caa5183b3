#include "llm/llama/model_file.h"

#include <llama.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <utility>

#include "base/error.h"
#include "llm/llama/gguf_check.h"
#include "llm/llama/library.h"
#include "llm/llama/long_words.h"

namespace colloquy::llm {
namespace {

Error refused(const std::string& path, const std::string& why) {
  return {ErrorCode::kInvalid, "\"" + path + "\" " + why};
}

llama_model* load(const std::string& path) {
  const LlamaComplaints complaints;
  auto parameters = llama_model_default_params();
  auto* model = llama_model_load_from_file(path.c_str(), parameters);
  if (model == nullptr) throw refused(path, "cannot be loaded: " + complaints.first());
  return model;
}

}  // namespace

void ModelFile::Free::operator()(llama_model* model) const { llama_model_free(model); }

ModelFile::ModelFile(const std::string& path) {
  start_llama();
  chat_template_ = check_gguf(path);
  const std::filesystem::path file(path);
  name_ = file.extension() == ".gguf" ? file.stem().string() : file.filename().string();
  model_.reset(load(path));
  vocab_ = llama_model_get_vocab(get());
  if (llama_vocab_type(vocab_) == LLAMA_VOCAB_TYPE_NONE) throw refused(path, "has no vocabulary");
  if (llama_model_has_encoder(get()) || !llama_model_has_decoder(get()) ||
      llama_model_is_diffusion(get())) {
    throw refused(path, "is not a model that answers word by word");
  }
  for (Token token = 0; token < llama_vocab_n_tokens(vocab_); ++token) {
    longest_piece_bytes_ = std::max(longest_piece_bytes_, piece(token).size());
  }
}

ModelFile::~ModelFile() = default;

int ModelFile::trained_tokens() const { return llama_model_n_ctx_train(get()); }

std::size_t ModelFile::count_tokens(std::string_view text) const {
  return tokenize(text, false, false).size();
}

bool ModelFile::has_too_long_a_word(std::string_view text) const {
  return llama_vocab_type(vocab_) == LLAMA_VOCAB_TYPE_BPE && cut_long_words(text).size() > 1;
}

std::vector<Token> ModelFile::tokenize(std::string_view text, bool beginning, bool control) const {
  std::vector<Token> tokens;
  if (control || llama_vocab_type(vocab_) != LLAMA_VOCAB_TYPE_BPE) {
    add_tokens(tokens, text, beginning, control);
    return tokens;
  }
  for (const auto piece : cut_long_words(text)) {
    add_tokens(tokens, piece, std::exchange(beginning, false), false);
  }
  return tokens;
}

void ModelFile::add_tokens(std::vector<Token>& tokens, std::string_view text, bool beginning,
                           bool control) const {
  if (text.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max() / 2)) {
    throw invalid_field("prompt", "is too long for the model");
  }
  const auto bytes = static_cast<std::int32_t>(text.size());
  const auto before = tokens.size();
  auto room = text.size() / 2 + 16;
  for (;;) {
    tokens.resize(before + room);
    const auto count = llama_tokenize(vocab_, text.data(), bytes, tokens.data() + before,
                                      static_cast<std::int32_t>(room), beginning, control);
    if (count >= 0) return tokens.resize(before + static_cast<std::size_t>(count));
    if (count == std::numeric_limits<std::int32_t>::min()) {
      throw invalid_field("prompt", "is too long for the model");
    }
    room = static_cast<std::size_t>(-count);
  }
}

bool ModelFile::is_control(Token token) const {
  return (llama_vocab_get_attr(vocab_, token) &
          (LLAMA_TOKEN_ATTR_CONTROL | LLAMA_TOKEN_ATTR_UNKNOWN)) != 0;
}

bool ModelFile::ends_answer(Token token) const { return llama_vocab_is_eog(vocab_, token); }

std::string ModelFile::piece(Token token) const {
  std::string bytes(32, '\0');
  for (;;) {
    const auto size = llama_token_to_piece(vocab_, token, bytes.data(),
                                           static_cast<std::int32_t>(bytes.size()), 0, false);
    bytes.resize(static_cast<std::size_t>(size < 0 ? -size : size));
    if (size >= 0) return bytes;
  }
}

}  // namespace colloquy::llm
