#include "llm/llama/model_file.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "llm/llama/llama_harness.h"

namespace colloquy::llm {
namespace {

using ::testing::HasSubstr;

std::string refusal_of(const std::string& path) {
  try {
    const ModelFile model(path);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalid);
    return error.message();
  }
  return "taken";
}

TEST(ModelFileTest, AGoodFileHasItsNameContextAndTemplate) {
  const ModelFile model(model_path("tiny"));
  EXPECT_EQ(model.name(), "tiny");
  EXPECT_EQ(model.trained_tokens(), 16384);
  EXPECT_THAT(model.chat_template(), HasSubstr("<|im_start|>"));
}

TEST(ModelFileTest, TextBecomesTokensAndTextAgain) {
  const ModelFile model(model_path("tiny"));
  for (const std::string text : {"the hérring 👋\n", "<|im_end|>", " ", ""}) {
    std::string again;
    for (const auto token : model.tokenize(text, false, false)) again += model.piece(token);
    EXPECT_EQ(again, text);
  }
  EXPECT_EQ(model.count_tokens("xyz"), 3U);
  EXPECT_EQ(model.count_tokens("the"), 1U);
}

TEST(ModelFileTest, ControlTokensAreReadOnlyWhereTheyAreAskedFor) {
  const ModelFile model(model_path("tiny"));
  const auto read = model.tokenize("<|im_end|>", false, true);
  ASSERT_EQ(read.size(), 1U);
  EXPECT_TRUE(model.is_control(read[0]));
  EXPECT_TRUE(model.ends_answer(read[0]));
  EXPECT_EQ(model.piece(read[0]), "");
  EXPECT_EQ(model.tokenize("<|im_end|>", false, false).size(), 10U);
}

TEST(ModelFileTest, AWordOfAnyLengthIsReadAndCounted) {
  const ModelFile model(model_path("regular_expressions"));
  for (const std::string character : {"a", " ", "7", "!", "é", "\n"}) {
    std::string text;
    while (text.size() < 40'000) text += character;
    std::string again;
    for (const auto token : model.tokenize(text, true, false)) again += model.piece(token);
    EXPECT_EQ(again, text);
    EXPECT_EQ(model.count_tokens(text), text.size());
  }
}

TEST(ModelFileTest, UnsuitedFilesAreRefusedInOneSentenceEach) {
  const std::vector<std::pair<std::string, std::string>> files{
      {"not_gguf", "is not a GGUF file"},
      {"empty", "is not a GGUF file"},
      {"cut_in_its_head", "is broken or cut off"},
      {"cut_in_its_weights", "is cut off: it has "},
      {"no_template", "has no chat template"},
      {"strange_template", "has a chat template that llama.cpp's library does not know"},
      {"no_vocabulary", "has no vocabulary"},
      {"embeddings", "makes embeddings, not text"},
      {"strange_architecture", "cannot be loaded: "},
      {"missing_weights", "cannot be loaded: "},
      {"not_there", "cannot be read: No such file or directory"},
  };
  for (const auto& [name, why] : files) {
    const auto refusal = refusal_of(model_path(name));
    EXPECT_THAT(refusal, HasSubstr(why)) << name;
    EXPECT_THAT(refusal, HasSubstr(name + ".gguf")) << name;
    EXPECT_EQ(refusal.find('\n'), std::string::npos) << refusal;
  }
  EXPECT_THAT(refusal_of("/"), HasSubstr("is a folder"));
}

}  // namespace
}  // namespace colloquy::llm
