// A language model in a GGUF file, loaded and found fit for conversations.
//
// Thread-safe: it never changes after it was made.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct llama_model;
struct llama_vocab;

namespace colloquy::llm {

using Token = std::int32_t;

class ModelFile {
 public:
  // Blocks while the file is read. Throws Error(kInvalid) whose message says why a file is refused:
  // it cannot be read, is no GGUF file, is cut off or broken, has no vocabulary or no chat template
  // (or one that llama.cpp does not know), or makes something else than text.
  explicit ModelFile(const std::string& path);
  ~ModelFile();
  ModelFile(const ModelFile&) = delete;
  ModelFile& operator=(const ModelFile&) = delete;

  const std::string& name() const { return name_; }  // the file's, without .gguf
  int trained_tokens() const;                        // the longest context that it was made for
  llama_model* get() const { return model_.get(); }
  const llama_vocab* vocab() const { return vocab_; }
  const std::string& chat_template() const { return chat_template_; }

  // As plain text: what looks like a control token is not one.
  std::size_t count_tokens(std::string_view text) const;
  // `beginning`: with what the model wants at the start of a prompt. `control`: the names of
  // control tokens stand for them; the text may then hold no word that has to be cut.
  std::vector<Token> tokenize(std::string_view text, bool beginning, bool control) const;
  // Whether a word would have to be cut (long_words.h).
  bool has_too_long_a_word(std::string_view text) const;
  bool is_control(Token token) const;
  bool ends_answer(Token token) const;
  // The bytes that a token stands for, not always whole characters; nothing for control tokens.
  std::string piece(Token token) const;
  // No token stands for more bytes.
  std::size_t longest_piece_bytes() const { return longest_piece_bytes_; }

 private:
  struct Free {
    void operator()(llama_model* model) const;
  };

  void add_tokens(std::vector<Token>& tokens, std::string_view text, bool beginning,
                  bool control) const;

  std::string name_;
  std::string chat_template_;
  std::unique_ptr<llama_model, Free> model_;
  const llama_vocab* vocab_ = nullptr;
  std::size_t longest_piece_bytes_ = 1;
};

}  // namespace colloquy::llm
