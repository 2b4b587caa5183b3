// The parts of the process that its settings alone can make or refuse: keys, TLS
// files, the model. Making them opens nothing of the data folder's, so that what
// is wrong is refused before anything is written. All throw ConfigError that names
// the setting, and block on files: call them before the event loops run.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/key_set.h"
#include "auth/token_key.h"
#include "auth/verification_key.h"
#include "base/clock.h"
#include "base/ids.h"
#include "chat/options.h"
#include "config/config.h"
#include "files/user_files.h"
#include "llm/provider.h"
#include "net/http_client.h"
#include "telemetry/metrics.h"

namespace colloquy {

// Runs `make`; what it throws is told as the fault of the setting that stands at `source`.
void for_setting(const std::string& source, const std::function<void()>& make);

// With the proxy that the environment names.
std::unique_ptr<net::HttpClient> make_http_client(net::HttpClient::Options options = {});
// For model and key set; null where no setting asks for a client.
std::shared_ptr<net::HttpClient> make_http_client(const config::ServeConfig& config);

// Reads the file of a model in the process, which may take its time.
std::unique_ptr<llm::Provider> make_provider(const config::ServeConfig& config,
                                             std::shared_ptr<net::HttpClient> client,
                                             telemetry::Metrics& metrics);

// Null where none is set. A file is read, a URL only looked at.
std::shared_ptr<auth::KeySet> make_key_set(const config::ServeConfig& config, const Clock& clock,
                                           std::shared_ptr<net::HttpClient> client);

std::vector<auth::Algorithm> algorithms_of(const config::ServeConfig& config);
std::string issuer_of(std::string_view setting);

// The files of --tls-cert and --tls-key can be used together.
void check_tls_files(const config::ServeConfig& config);

// The folder of --files, made where it is missing; null where none are kept: with "off", with
// tables, and, told in the log, where none was given and the default cannot be used. `keyring`: of
// encrypted ones, null where nothing is encrypted; it outlives the files.
std::unique_ptr<files::UserFiles> open_files(const config::ServeConfig& config,
                                             keyring::Keyring* keyring, const Clock& clock,
                                             IdSource& ids, telemetry::Metrics& metrics);

// What the settings say of conversations and turns.
chat::ChatOptions chat_options(const config::ServeConfig& config);

// The key of the embedded default's tokens, if there is one already; nothing is made.
template <class Config>  // ServeConfig or TokenConfig
std::optional<auth::TokenKey> find_token_key(const Config& config);
// The same, made in the data folder (which is made too) where there was none.
template <class Config>
auth::TokenKey make_token_key(const Config& config);

}  // namespace colloquy
