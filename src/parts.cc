#include "parts.h"

#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include "auth/jwks.h"
#include "base/error.h"
#include "base/file_system.h"
#include "http/tls_context.h"
#include "llm/demo/demo_provider.h"
#include "llm/openai/openai_provider.h"
#ifdef COLLOQUY_LLAMA
#include "llm/llama/llama_provider.h"
#endif
#include "net/url.h"
#include "telemetry/log.h"

namespace colloquy {
namespace {

using config::ConfigError;
using config::ServeConfig;

// Of the embedded store, unless the settings say otherwise.
constexpr auto kPartialSaveInterval = std::chrono::milliseconds(1'000);

std::string environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nobody sets any
  return value == nullptr ? "" : value;
}

bool is_url(const std::string& place) {
  return place.starts_with("http://") || place.starts_with("https://");
}

std::unique_ptr<llm::Provider> make_demo(const ServeConfig& config) {
  llm::DemoOptions options;
  options.delay_per_token = config.demo_token_delay;
  return std::make_unique<llm::DemoProvider>(options);
}

#ifdef COLLOQUY_LLAMA
std::unique_ptr<llm::Provider> make_llama(const ServeConfig& config, telemetry::Metrics& metrics) {
  llm::EngineOptions options;
  options.slots = config.llama_slots;
  options.context_tokens = config.llama_context;
  options.queue = config.llama_queue;
  options.threads = config.llama_threads;
  std::unique_ptr<llm::Provider> provider;
  for_setting(config.sources.of("llama-model"), [&] {
    provider = std::make_unique<llm::LlamaProvider>(config.llama_model, options, metrics);
  });
  return provider;
}
#else
std::unique_ptr<llm::Provider> make_llama(const ServeConfig& config, telemetry::Metrics& /*none*/) {
  throw ConfigError(config.sources.of("model") +
                    " llama: this program was built without it (CMake's COLLOQUY_LLAMA)");
}
#endif

// Both without links, "." and "..".
bool is_within(const std::filesystem::path& inner, const std::filesystem::path& outer) {
  const auto relative = inner.lexically_relative(outer);
  return !relative.empty() && *relative.begin() != "..";
}

// A user's folder must be nothing of ours, whatever the user is called: no key is to be read as a
// file, and nothing of the store's to be replaced by one.
void check_apart(const std::filesystem::path& files, const ServeConfig& config) {
  namespace fs = std::filesystem;
  const auto theirs = fs::weakly_canonical(fs::absolute(files));
  const auto data = fs::weakly_canonical(fs::absolute(config.data));
  const auto refuse = [&data](const fs::path& ours) {
    throw Error(ErrorCode::kInvalid, "must be a folder apart from the server's own " +
                                         ours.string() + ", such as " + (data / "files").string());
  };
  std::vector<std::string> folders{config.data, config.backup_to, config.encryption.keyring};
  std::vector<std::string> all{config.token_key_file,
                               config.cluster_key_file,
                               config.tls_cert,
                               config.tls_key,
                               config.encryption.master_key_file,
                               is_url(config.jwks) ? "" : config.jwks};
  all.insert(all.end(), folders.begin(), folders.end());
  for (const auto& ours : all) {
    if (ours.empty()) continue;
    const auto found = fs::weakly_canonical(fs::absolute(ours));
    if (is_within(found, theirs)) refuse(found);
  }
  for (const auto* name : {"store", "search"}) folders.push_back((data / name).string());
  for (const auto& ours : folders) {
    if (ours.empty() || ours == config.data) continue;
    const auto found = fs::weakly_canonical(fs::absolute(ours));
    if (is_within(theirs, found)) refuse(found);
  }
}

// What the store is to have left on the same file system is not for files.
std::size_t kept_for_store(const std::filesystem::path& files, const ServeConfig& config) {
  if (config.store != config::StoreKind::kRocksDb) return 0;
  struct stat theirs {};
  struct stat ours {};
  const bool known = ::stat(files.c_str(), &theirs) == 0 && ::stat(config.data.c_str(), &ours) == 0;
  return known && theirs.st_dev == ours.st_dev ? config.min_free_disk_bytes : 0;
}

std::unique_ptr<files::UserFiles> open_files_in(const std::string& folder,
                                                const ServeConfig& config,
                                                keyring::Keyring* keyring, const Clock& clock,
                                                IdSource& ids, telemetry::Metrics& metrics) {
  files::UserFilesOptions options;
  options.folder = folder;
  options.unique = ids.next(clock.now_ms()).to_string();
  options.quota = {config.files_quota_bytes, config.files_quota_count};
  options.max_file_bytes = config.max_file_bytes;
  options.threads = config.files_threads;
  options.keyring = keyring;
  options.encrypt = config.encrypt_files;
  std::unique_ptr<files::UserFiles> opened;
  for_setting(config.sources.of("files") + " \"" + folder + "\"", [&] {
    std::filesystem::create_directories(folder);
    options.min_free_bytes = config.files_min_free_bytes + kept_for_store(folder, config);
    opened =
        std::make_unique<files::UserFiles>(std::move(options), linux_file_system(), clock, metrics);
  });
  return opened;
}

Task<std::string> fetch_key_set(std::shared_ptr<net::HttpClient> client, std::string url) {
  net::HttpRequest request;
  request.url = std::move(url);
  request.headers.push_back({"Accept", "application/json"});
  auto response = co_await client->fetch(std::move(request), auth::kKeySetBytesMax);
  if (response.status != 200) {
    throw unavailable("The key set cannot be had.", "status " + std::to_string(response.status));
  }
  co_return std::move(response.body);
}

void check_readable(const std::string& source, const std::string& path) {
  errno = 0;
  std::ifstream file(path);
  file.peek();  // a folder can be opened, but not read
  if (!file.bad() && file.is_open()) return;
  throw ConfigError(source + " \"" + path +
                    "\" cannot be read: " + std::generic_category().message(errno));
}

bool in_data_folder(const auth::TokenKeySource& source) {
  return source.file.empty() && source.value.empty();
}

template <class Config>
auth::TokenKeySource key_source(const Config& config) {
  auth::TokenKeySource source;
  source.file = config.token_key_file;
  source.value = config.token_key;
  source.data_folder = config.data;
  return source;
}

template <class Config>
auth::TokenKey load_key(const Config& config, const auth::TokenKeySource& source) {
  const char* setting = !source.file.empty()    ? "token-key-file"
                        : !source.value.empty() ? "token-key"
                                                : "data";
  auth::TokenKey key;
  for_setting(config.sources.of(setting), [&] { key = auth::load_token_key(source); });
  return key;
}

}  // namespace

void for_setting(const std::string& source, const std::function<void()>& make) {
  try {
    make();
  } catch (const Error& error) {
    throw ConfigError(source + ": " + error.message());
  } catch (const std::system_error& error) {
    throw ConfigError(source + ": " + error.code().message());
  }
}

std::unique_ptr<net::HttpClient> make_http_client(net::HttpClient::Options options) {
  options.https_proxy = environment("HTTPS_PROXY");
  options.no_proxy = environment("NO_PROXY");
  std::unique_ptr<net::HttpClient> client;
  for_setting("HTTPS_PROXY", [&] { client = std::make_unique<net::HttpClient>(options); });
  return client;
}

std::shared_ptr<net::HttpClient> make_http_client(const ServeConfig& config) {
  if (config.model != config::ModelKind::kOpenAi && !is_url(config.jwks)) return nullptr;
  return make_http_client();
}

std::unique_ptr<llm::Provider> make_provider(const ServeConfig& config,
                                             std::shared_ptr<net::HttpClient> client,
                                             telemetry::Metrics& metrics) {
  if (config.model == config::ModelKind::kDemo) return make_demo(config);
  if (config.model == config::ModelKind::kLlama) return make_llama(config, metrics);
  llm::OpenAiOptions options;
  options.base_url = config.openai_base_url;
  options.api_key = config.openai_api_key;
  options.model = config.openai_model;
  options.allowed_models = config.openai_models;
  options.roles =
      config.openai_strict_alternation ? llm::Roles::kStrictlyAlternating : llm::Roles::kAsTheyAre;
  options.connect_timeout = config.openai_connect_timeout;
  options.first_token_timeout = config.openai_first_token_timeout;
  options.idle_timeout = config.openai_idle_timeout;
  options.content_bytes_max = config.max_content_bytes;
  std::unique_ptr<llm::Provider> provider;
  // The model's name and the key have been checked with the settings: only the URL is left.
  for_setting(config.sources.of("openai-base-url"), [&] {
    provider = std::make_unique<llm::OpenAiProvider>(std::move(options), std::move(client));
  });
  return provider;
}

std::shared_ptr<auth::KeySet> make_key_set(const ServeConfig& config, const Clock& clock,
                                           std::shared_ptr<net::HttpClient> client) {
  const std::string& place = config.jwks;
  if (place.empty()) return nullptr;
  std::shared_ptr<auth::KeySet> keys;
  if (!is_url(place)) {
    for_setting(config.sources.of("jwks"),
                [&] { keys = std::make_shared<auth::FileKeySet>(place); });
    return keys;
  }
  if (!net::parse_url(place)) {
    throw ConfigError(config.sources.of("jwks") + " \"" + place + "\" is not a URL");
  }
  auto fetch = [client = std::move(client), place] { return fetch_key_set(client, place); };
  return std::make_shared<auth::FetchedKeySet>(fetch, clock);
}

std::unique_ptr<files::UserFiles> open_files(const ServeConfig& config, keyring::Keyring* keyring,
                                             const Clock& clock, IdSource& ids,
                                             telemetry::Metrics& metrics) {
  if (config.files == "off") return nullptr;
  const bool is_given = !config.files.empty();
  std::string folder = config.files;
  if (!is_given && config.store == config::StoreKind::kRocksDb) {
    folder = (std::filesystem::path(config.data) / "files").string();
  }
  if (folder.empty()) return nullptr;
  for_setting(config.sources.of("files") + " \"" + folder + "\"",
              [&] { check_apart(folder, config); });
  try {
    return open_files_in(folder, config, keyring, clock, ids, metrics);
  } catch (const ConfigError& error) {
    if (is_given) throw;
    // Nobody has asked for any, and all else works without them.
    telemetry::log_warning("files.none", {{"detail", error.what()}});
    return nullptr;
  }
}

std::vector<auth::Algorithm> algorithms_of(const ServeConfig& config) {
  std::vector<auth::Algorithm> algorithms;
  for (const auto& name : config.auth_algorithms) {
    if (auto algorithm = auth::parse_algorithm(name)) algorithms.push_back(*algorithm);
  }
  return algorithms;
}

std::string issuer_of(std::string_view setting) {
  return std::string(setting.empty() ? auth::kEmbeddedIssuer : setting);
}

void check_tls_files(const ServeConfig& config) {
  if (config.tls_cert.empty()) return;
  const auto certificate = config.sources.of("tls-cert");
  const auto key = config.sources.of("tls-key");
  check_readable(certificate, config.tls_cert);
  check_readable(key, config.tls_key);
  for_setting(certificate + " with " + key,
              [&] { http::TlsCertificate(config.tls_cert, config.tls_key); });
}

chat::ChatOptions chat_options(const ServeConfig& config) {
  chat::ChatOptions options;
  // A budget alone decides alone.
  if (config.context_tokens > 0 && !config.sources.has("context-messages")) {
    options.context_messages.reset();
  } else {
    options.context_messages = config.context_messages;
  }
  options.context_summary = config.context_summary;
  options.context_tokens = config.context_tokens;
  options.max_tokens_default = config.max_tokens_default;
  options.max_content_bytes = config.max_content_bytes;
  options.max_turns = config.max_turns;
  options.temporary_ttl_seconds =
      std::chrono::duration_cast<std::chrono::seconds>(config.temporary_ttl).count();
  options.turn_timeout = config.turn_timeout;
  options.partial_save_interval = config.partial_save_interval.value_or(
      config.store == config::StoreKind::kRocksDb ? kPartialSaveInterval
                                                  : std::chrono::milliseconds(0));
  return options;
}

template <class Config>
std::optional<auth::TokenKey> find_token_key(const Config& config) {
  auto source = key_source(config);
  source.create_if_missing = false;
  std::error_code error;  // what cannot be looked at is told by whoever tries to make it
  if (in_data_folder(source) &&
      !std::filesystem::exists(source.data_folder / auth::kTokenKeyFileName, error)) {
    return std::nullopt;
  }
  return load_key(config, source);
}

template <class Config>
auth::TokenKey make_token_key(const Config& config) {
  return load_key(config, key_source(config));
}

template std::optional<auth::TokenKey> find_token_key(const ServeConfig&);
template std::optional<auth::TokenKey> find_token_key(const config::TokenConfig&);
template auth::TokenKey make_token_key(const ServeConfig&);
template auth::TokenKey make_token_key(const config::TokenConfig&);

}  // namespace colloquy
