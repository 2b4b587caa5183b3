#include "llm/token_estimate.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace colloquy::llm {
namespace {

struct Sample {
  const char* text;
  std::size_t newer;  // its tokens by o200k_base and by cl100k_base
  std::size_t older;
};

constexpr std::array kSamples{
    Sample{"The quick brown fox jumps over the lazy dog, and the conversation goes on for a while. "
           "What would you recommend for a weekend in Lisbon with two small children?",
           33, 33},
    Sample{"ok", 1, 1},
    Sample{"Die Donaudampfschifffahrtsgesellschaft hat gestern überraschend mitgeteilt, dass die "
           "Fähren bis auf Weiteres nicht mehr verkehren.",
           30, 41},
    Sample{
        "Скажи, пожалуйста, как лучше всего добраться до аэропорта, если у меня всего два часа и "
        "тяжёлый чемодан?",
        29, 53},
    Sample{"Πες μου, σε παρακαλώ, πώς μπορώ να φτάσω στο αεροδρόμιο αν έχω μόνο δύο ώρες.", 32, 69},
    Sample{"من فضلك أخبرني كيف يمكنني الوصول إلى المطار إذا كان لدي ساعتان فقط وحقيبة ثقيلة.", 25,
           56},
    Sample{"कृपया मुझे बताइए कि अगर मेरे पास केवल दो घंटे हों तो मैं हवाई अड्डे तक कैसे पहुँच सकता हूँ।", 29, 94},
    Sample{"กรุณาบอกฉันว่าฉันจะไปสนามบินได้อย่างไรถ้าฉันมีเวลาแค่สองชั่วโมง", 29, 58},
    Sample{"请告诉我，如果我只有两个小时而且行李很重，怎样去机场最好？", 20, 32},
    Sample{"二時間しかなくて、スーツケースが重い場合、空港へはどう行くのが一番いいですか。", 29,
           38},
    Sample{"두 시간밖에 없고 가방이 무거운데 공항까지 어떻게 가는 것이 가장 좋을까요?", 24, 45},
    Sample{"🎉🎊🥳👨‍👩‍👧‍👦🏳️‍🌈", 23, 36},
    Sample{"3.14159265358979323846264338327950288419716939937510", 19, 19},
    Sample{"for (int i = 0; i < n; ++i) {\n    if (a[i] != b[i]) {\n        return "
           "std::make_pair(i, false);\n    }\n}\n",
           40, 40},
    Sample{
        "{\"id\":\"0192f0c1-7a3b-7cde-8f01-23456789abcd\",\"items\":[{\"a\":1,\"b\":null},{\"a\":2,"
        "\"b\":true}]}",
        48, 47},
    Sample{"| a | b |\n| --- | --- |\n| 1 | 2 |\n| 3 | 4 |\n", 24, 24},
    Sample{"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+"
           "M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
           53, 54},
};

TEST(EstimateTokens, IsNeverGrosslyBelowTheTokenizersInUse) {
  for (const auto& sample : kSamples) {
    auto estimate = static_cast<double>(estimate_tokens(sample.text));
    EXPECT_GE(estimate, 0.75 * static_cast<double>(sample.older)) << sample.text;
    EXPECT_GE(estimate, 0.75 * static_cast<double>(sample.newer)) << sample.text;
    EXPECT_LE(estimate, 4 * static_cast<double>(sample.newer)) << sample.text;
  }
}

TEST(EstimateTokens, TakesAnyBytes) {
  EXPECT_EQ(estimate_tokens(""), 0U);
  EXPECT_EQ(estimate_tokens("\xff\xfe\x80"), 6U);
  EXPECT_EQ(estimate_tokens(std::string(4000, 'a')), 2000U);
}

TEST(EstimateTokens, DoesNotDependOnHowTheTextIsCut) {
  for (const auto& sample : kSamples) {
    const std::string_view text = sample.text;
    TokenEstimate byte_by_byte;
    for (std::size_t i = 0; i < text.size(); ++i) {
      byte_by_byte.add(text.substr(i, 1));
      EXPECT_EQ(byte_by_byte.tokens(), estimate_tokens(text.substr(0, i + 1)));
    }
  }
}

}  // namespace
}  // namespace colloquy::llm
