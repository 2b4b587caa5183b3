#include "config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "config/values.h"

namespace colloquy::config {
namespace {

using ::testing::HasSubstr;
using Variables = std::map<std::string, std::string>;

Environment environment_of(Variables variables) {
  Environment environment;
  for (const auto& [name, value] : variables) environment.names.push_back(name);
  environment.get = [variables](const std::string& name) -> std::optional<std::string> {
    auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  };
  return environment;
}

ServeConfig serve(std::vector<std::string> arguments, Variables variables = {}) {
  std::ostringstream out;
  auto config = parse_serve(arguments, environment_of(std::move(variables)), out);
  EXPECT_TRUE(config.has_value());
  return config.value_or(ServeConfig());
}

std::string refusal(std::vector<std::string> arguments, Variables variables = {}) {
  try {
    std::ostringstream out;
    parse_serve(arguments, environment_of(std::move(variables)), out);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

std::string temporary_file(const std::string& content) {
  std::string path = ::testing::TempDir() + "colloquy_config_test.toml";
  std::ofstream(path) << content;
  return path;
}

TEST(Config, EveryDefaultPassesItsOwnCheck) {
  auto config = serve({});
  EXPECT_EQ(config.listen.port, 8080);
  EXPECT_TRUE(config.listen.loopback());
  EXPECT_EQ(config.context_messages, 5U);
  EXPECT_EQ(config.max_content_bytes, 1024U * 1024U);
}

TEST(Config, AFlagWinsOverTheEnvironmentAndThatOverTheFile) {
  auto file = temporary_file("context-messages = 7\nlog-level = \"warning\"\nthreads = 3\n");
  auto config = serve({"--config", file, "--context-messages", "9"},
                      {{"COLLOQUY_CONTEXT_MESSAGES", "8"}, {"COLLOQUY_THREADS", "2"}});
  EXPECT_EQ(config.context_messages, 9U);
  EXPECT_EQ(config.threads, 2);
  EXPECT_EQ(config.log_level, "warning");
  EXPECT_EQ(serve({}, {{"COLLOQUY_CONFIG", file}}).context_messages, 7U);
  std::remove(file.c_str());
}

TEST(Config, NamesWhatItDoesNotKnow) {
  EXPECT_THAT(refusal({"--contxt-messages", "3"}), HasSubstr("--contxt-messages"));
  EXPECT_THAT(refusal({}, {{"COLLOQUY_CONTXT", "3"}}), HasSubstr("COLLOQUY_CONTXT"));
  auto file = temporary_file("contxt = 7\n");
  EXPECT_THAT(refusal({"--config", file}), HasSubstr("contxt"));
  std::remove(file.c_str());
  EXPECT_THAT(refusal({"--config", "/nonexistent/file"}), HasSubstr("/nonexistent/file"));
}

TEST(Config, NamesTheSettingWhoseValueIsWrongAndWhereItStood) {
  EXPECT_THAT(refusal({"--listen", "8080"}), HasSubstr("--listen \"8080\" must be ADDRESS:PORT"));
  EXPECT_THAT(refusal({}, {{"COLLOQUY_IDLE_TIMEOUT", "5"}}),
              HasSubstr("COLLOQUY_IDLE_TIMEOUT \"5\""));
  EXPECT_THAT(refusal({"--model", "gpt"}), HasSubstr("--model \"gpt\""));
  EXPECT_THAT(refusal({"--tls-cert", "a.pem"}), HasSubstr("--tls-key"));
  EXPECT_THAT(refusal({"--jwks", "keys.json"}), HasSubstr("--auth-issuer"));
  EXPECT_THAT(refusal({"--auth-algorithms", "none"}), HasSubstr("--auth-algorithms"));
  EXPECT_THAT(refusal({"--cors-origins", "example.org"}), HasSubstr("--cors-origins"));
  EXPECT_THAT(refusal({"--model", "openai"}), HasSubstr("--openai-base-url"));
}

TEST(Config, ASecretIsNotAFlagAndIsNeverShown) {
  EXPECT_THAT(refusal({"--openai-api-key", "sk-1"}), HasSubstr("COLLOQUY_OPENAI_API_KEY"));
  EXPECT_EQ(
      serve({}, {{"COLLOQUY_OPENAI_API_KEY", "sk-2"}, {"OPENAI_API_KEY", "sk-3"}}).openai_api_key,
      "sk-2");
  EXPECT_EQ(serve({}, {{"OPENAI_API_KEY", "sk-3"}}).openai_api_key, "sk-3");
}

TEST(Config, VariablesThatKubernetesSetsForAServiceAreNoSettings) {
  serve({}, {{"COLLOQUY_SERVICE_HOST", "10.0.0.1"}, {"COLLOQUY_PORT_80_TCP", "tcp://10.0.0.1:80"}});
}

TEST(Config, EverySettingHasANameOfItsOwnAndAHelp) {
  std::set<std::string_view> names;
  for (const auto& setting : serve_settings()) {
    EXPECT_TRUE(names.insert(setting.name).second) << setting.name;
    EXPECT_TRUE(setting.help.ends_with(".")) << setting.name;
    EXPECT_THAT(settings_markdown(), HasSubstr(environment_name(setting.name)));
  }
}

TEST(Values, ReadsDurationsAndBytesWithTheirUnits) {
  EXPECT_EQ(parse_duration("90d"), std::chrono::hours(24 * 90));
  EXPECT_EQ(parse_duration("500ms"), std::chrono::milliseconds(500));
  EXPECT_EQ(parse_bytes("64KiB"), 65536U);
  EXPECT_EQ(parse_bytes("1GiB"), 1U << 30U);
  for (const char* bad :
       {"", "s", "-1s", "1", "1 s", "99999999999999999999d", "9999999999999999d"}) {
    EXPECT_THROW(parse_duration(bad), ConfigError) << bad;
  }
  for (const char* bad : {"", "-5", "5kb", "x"}) EXPECT_THROW(parse_bytes(bad), ConfigError) << bad;
}

TEST(Values, ReadsAddressesOfBothFamilies) {
  EXPECT_EQ(parse_listen("[::1]:0").address, "::1");
  EXPECT_EQ(parse_listen("localhost:80").address, "127.0.0.1");
  EXPECT_FALSE(parse_listen("0.0.0.0:80").loopback());
  for (const char* bad :
       {"", "127.0.0.1", ":80", "example.org:80", "127.0.0.1:65536", "127.0.0.1:x"}) {
    EXPECT_THROW(parse_listen(bad), ConfigError) << bad;
  }
}

}  // namespace
}  // namespace colloquy::config
