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
using ::testing::Not;
using ::testing::StartsWith;
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
  EXPECT_EQ(config.titles, Titles::kAuto);
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
  EXPECT_THAT(refusal({"--model", "llama"}), HasSubstr("--llama-model"));
}

TEST(Config, ASecretIsNotAFlagAndIsNeverShown) {
  const std::vector<std::string> openai{"--model",     "openai",         "--openai-base-url",
                                        "http://h/v1", "--openai-model", "m"};
  EXPECT_THAT(refusal({"--openai-api-key", "sk-1"}), HasSubstr("COLLOQUY_OPENAI_API_KEY"));
  EXPECT_EQ(serve(openai, {{"COLLOQUY_OPENAI_API_KEY", "sk-2"}, {"OPENAI_API_KEY", "sk-3"}})
                .openai_api_key,
            "sk-2");
  EXPECT_EQ(serve(openai, {{"OPENAI_API_KEY", "sk-3"}}).openai_api_key, "sk-3");
  EXPECT_EQ(serve({}, {{"OPENAI_API_KEY", "sk-3"}}).openai_api_key, "");
}

TEST(Config, AnApiKeyThatCannotBeSentIsRefusedByTheNameItHas) {
  const std::vector<std::string> openai{"--model",     "openai",         "--openai-base-url",
                                        "http://h/v1", "--openai-model", "m"};
  for (const char* bad : {"sk-1\n", "sk 1", "sk\x01", "sk-\xc3\xa4"}) {
    auto own = refusal(openai, {{"COLLOQUY_OPENAI_API_KEY", bad}});
    EXPECT_THAT(own, HasSubstr("COLLOQUY_OPENAI_API_KEY"));
    EXPECT_THAT(own, Not(HasSubstr("sk")));
    auto shared = refusal(openai, {{"OPENAI_API_KEY", bad}});
    EXPECT_THAT(shared, StartsWith("OPENAI_API_KEY"));
    EXPECT_THAT(shared, Not(HasSubstr("sk")));
    serve({}, {{"OPENAI_API_KEY", bad}});
  }
}

TEST(Config, ASettingThatWouldHaveNoEffectIsRefused) {
  const std::vector<std::pair<std::vector<std::string>, const char*>> cases{
      {{"--openai-base-url", "http://h/v1"}, "--openai-base-url has no effect"},
      {{"--openai-strict-alternation", "false"}, "--openai-strict-alternation has no effect"},
      {{"--openai-idle-timeout", "60s"}, "--openai-idle-timeout has no effect"},
      {{"--llama-slots", "2"}, "--llama-slots has no effect without --model llama"},
      {{"--metrics-emf-interval", "10s"}, "--metrics-emf-interval has no effect"},
      {{"--metrics-emf", "--metrics-emf-interval", "999ms"}, "--metrics-emf-interval"},
      {{"--metrics-emf", "--metrics-emf-interval", "61m"}, "--metrics-emf-interval"},
      {{"--metrics-emf", "--metrics-emf-service", "a b"}, "--metrics-emf-service"},
      {{"--metrics-emf", "--metrics-emf-service", ":a"}, "--metrics-emf-service"},
      {{"--model", "llama", "--llama-model", "x", "--openai-model", "m"},
       "--openai-model has no effect"},
      {{"--model", "llama", "--llama-model", "x", "--demo-token-delay", "1s"},
       "--demo-token-delay has no effect"},
      {{"--auth-algorithms", "HS256,RS256"}, "--auth-algorithms: RS256 needs --jwks"},
      {{"--jwks", "k", "--auth-issuer", "i", "--auth-algorithms", "HS256"},
       "--jwks has no effect: --auth-algorithms"},
      {{"--jwks", "k", "--auth-issuer", "i", "--token-key-file", "f"},
       "--token-key-file has no effect with --jwks"},
      {{"--model", "openai", "--openai-base-url", "http://h/v1", "--openai-model", "m",
        "--demo-token-delay", "1s"},
       "--demo-token-delay has no effect"},
      {{"--listen", "127.0.0.1:80", "--admin-listen", "127.0.0.1:80"}, "--admin-listen is"},
      {{"--store", "dynamodb", "--peers", "http://h:1"}, "--peers needs --advertise"},
      {{"--store", "dynamodb", "--peers", "http://h:1,h:2"}, "--peers \"http://h:1,h:2\" must be"},
  };
  for (const auto& [arguments, named] : cases) EXPECT_THAT(refusal(arguments), StartsWith(named));
  EXPECT_THAT(refusal({}, {{"COLLOQUY_OPENAI_API_KEY", "sk-1"}}),
              StartsWith("COLLOQUY_OPENAI_API_KEY has no effect"));
  EXPECT_THAT(refusal({"--token-key-file", "f"}, {{"COLLOQUY_TOKEN_KEY", "k"}}),
              StartsWith("COLLOQUY_TOKEN_KEY and --token-key-file"));
  auto file = temporary_file("openai-models = a,b\n");
  EXPECT_THAT(refusal({"--config", file}), StartsWith("openai-models in the config file has no"));
  std::remove(file.c_str());
}

TEST(Config, ASettingGivenAsNothingIsNotGiven) {
  serve({}, {{"COLLOQUY_OPENAI_BASE_URL", ""}, {"COLLOQUY_OPENAI_API_KEY", ""}});
}

TEST(Config, SaysWhereASettingStands) {
  auto config =
      serve({"--listen", "127.0.0.1:1"}, {{"COLLOQUY_JWKS", "k"}, {"COLLOQUY_AUTH_ISSUER", "i"}});
  EXPECT_EQ(config.sources.of("listen"), "--listen");
  EXPECT_EQ(config.sources.of("jwks"), "COLLOQUY_JWKS");
  EXPECT_EQ(config.sources.of("data"), "--data");
  EXPECT_TRUE(config.sources.has("jwks"));
  EXPECT_FALSE(config.sources.has("data"));
}

TEST(Config, SearchIsOnUnlessItIsSwitchedOff) {
  EXPECT_TRUE(serve({}).search);
  EXPECT_FALSE(serve({"--search", "off"}).search);
  EXPECT_FALSE(serve({}, {{"COLLOQUY_SEARCH", "off"}}).search);
  EXPECT_TRUE(serve({"--search", "on"}, {{"COLLOQUY_SEARCH", "off"}}).search);
  EXPECT_THAT(refusal({"--search", "yes"}), HasSubstr("search"));
}

TEST(Config, DurationsAndSizesAreBounded) {
  for (const auto& setting : serve_settings()) {
    std::string flag = "--" + std::string(setting.name);
    ServeConfig config;
    bool duration = setting.default_text.ends_with("ms") || setting.name.ends_with("timeout");
    if (duration) {
      for (const char* bad : {"367d", "9999999h", "106751991167d", "99999999999999999999ms"}) {
        EXPECT_THROW(setting.apply(config, bad), ConfigError) << flag;
      }
      // Some have a tighter bound of their own.
      EXPECT_THAT(refusal({flag, "367d"}),
                  testing::AnyOf(HasSubstr(flag + " \"367d\" is too long: 366d"),
                                 HasSubstr(flag + " \"367d\" must be between")));
    }
    if (setting.default_text.ends_with("iB")) {
      for (const char* bad :
           {"99999999999GiB", "8589934591GiB", "18446744073709551615", "99999999999999999999999"}) {
        EXPECT_THROW(setting.apply(config, bad), ConfigError) << flag;
      }
    }
  }
  EXPECT_EQ(serve({"--turn-timeout", "366d"}).turn_timeout, std::chrono::hours(24 * 366));
}

TEST(Config, ATokenIsGoodForTenYearsAtMost) {
  std::ostringstream out;
  auto token = [&out](const char* ttl) {
    return parse_token({"--user", "a", "--ttl", ttl}, environment_of({}), out);
  };
  EXPECT_TRUE(token("3650d"));
  EXPECT_THROW(token("3651d"), ConfigError);
  EXPECT_THROW(token("106751991167d"), ConfigError);
}

TEST(Config, AFlagThatStandsWithoutAValueIsTrue) {
  std::ostringstream out;
  auto tables = [&out](std::vector<std::string> arguments,
                       std::map<std::string, std::string> variables = {}) {
    arguments.insert(arguments.begin(), "create");
    return parse_tables(arguments, environment_of(variables), out)->config;
  };
  EXPECT_FALSE(tables({}).dynamodb.updated_index);
  EXPECT_TRUE(tables({"--updated-index"}).dynamodb.updated_index);
  auto both = tables({"--updated-index", "--no-secondary-indexes", "--dynamodb-region", "r"});
  EXPECT_TRUE(both.dynamodb.updated_index);
  EXPECT_FALSE(both.secondary_indexes);
  EXPECT_EQ(both.dynamodb.region, "r");
  EXPECT_FALSE(tables({"--updated-index", "false"}).dynamodb.updated_index);
  EXPECT_FALSE(tables({"--updated-index=false"}, {{"COLLOQUY_UPDATED_INDEX", "true"}})
                   .dynamodb.updated_index);
  EXPECT_TRUE(tables({}, {{"COLLOQUY_UPDATED_INDEX", "true"}}).dynamodb.updated_index);
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

TEST(Values, KnowsOriginsThatABrowserSends) {
  for (const char* good :
       {"*", "https://chat.example.org", "http://localhost:5173", "http://[::1]:80"})
    EXPECT_NO_THROW(check_origin(good)) << good;
  for (const char* bad : {"https://", "https://a/", "https://A.example", "ftp://x", "https://*.a",
                          "https://a\r\nb", "null", ""})
    EXPECT_THROW(check_origin(bad), ConfigError) << bad;
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
