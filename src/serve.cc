#include "serve.h"

#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "api/api.h"
#include "auth/key_set.h"
#include "auth/token_authenticator.h"
#include "auth/token_key.h"
#include "base/error.h"
#include "chat/conversations.h"
#include "chat/turns.h"
#include "http/server.h"
#include "llm/demo/demo_provider.h"
#include "llm/openai/openai_provider.h"
#include "net/http_client.h"
#include "store/rocksdb/rocksdb_store.h"
#include "telemetry/log.h"

namespace colloquy {
namespace {

namespace asio = boost::asio;
using config::ServeConfig;
using std::chrono::milliseconds;

// How long responses that are under way when the turns have ended may take.
constexpr auto kResponsesBound = milliseconds(3'000);
// How long the event loops may take to run dry after that.
constexpr auto kLoopsBound = milliseconds(5'000);

std::string environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nobody sets any
  return value == nullptr ? "" : value;
}

std::shared_ptr<net::HttpClient> make_http_client() {
  net::HttpClient::Options options;
  options.https_proxy = environment("HTTPS_PROXY");
  options.no_proxy = environment("NO_PROXY");
  return std::make_shared<net::HttpClient>(options);
}

std::unique_ptr<llm::Provider> make_provider(const ServeConfig& config,
                                             std::shared_ptr<net::HttpClient> client) {
  if (config.model == config::ModelKind::kDemo) {
    llm::DemoOptions options;
    options.delay_per_token = config.demo_token_delay;
    return std::make_unique<llm::DemoProvider>(options);
  }
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
  return std::make_unique<llm::OpenAiProvider>(std::move(options), std::move(client));
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

std::shared_ptr<auth::KeySet> make_key_set(const std::string& source, const Clock& clock,
                                           std::shared_ptr<net::HttpClient> client) {
  if (!source.starts_with("http://") && !source.starts_with("https://")) {
    return std::make_shared<auth::FileKeySet>(source);
  }
  auto fetch = [client = std::move(client), source] { return fetch_key_set(client, source); };
  return std::make_shared<auth::FetchedKeySet>(fetch, clock);
}

std::vector<auth::Algorithm> to_algorithms(const std::vector<std::string>& names) {
  std::vector<auth::Algorithm> algorithms;
  for (const auto& name : names) {
    if (auto algorithm = auth::parse_algorithm(name)) algorithms.push_back(*algorithm);
  }
  return algorithms;
}

auth::TokenKey load_key(const std::string& value, const std::string& file, const std::string& data,
                        bool create) {
  auth::TokenKeySource source;
  source.file = file;
  source.value = value;
  source.data_folder = data;
  source.create_if_missing = create;
  return auth::load_token_key(source);
}

std::string issuer_of(const std::string& setting) {
  return setting.empty() ? std::string(auth::kEmbeddedIssuer) : setting;
}

// Everything that answers, in the order in which each needs those before it.
class ServerProcess {
 public:
  ServerProcess(const ServeConfig& config, const std::string& version) : config_(config) {
    std::filesystem::create_directories(config.data);
    make_authenticator();
    open_store();
    auto client = http_client_;
    provider_ = make_provider(config, std::move(client));
    make_chat();
    make_api(version);
    make_loops();
    make_servers();
  }

  void start(std::ostream& out) {
    stop_on_signal();
    admin_server_->start();
    server_->start();
    announce(out);
    for (auto& loop : loops_) {
      threads_.emplace_back([&loop] { loop->run(); });
    }
    telemetry::log_info("server.started", {{"port", static_cast<unsigned>(server_->port())}});
  }

  int run() {
    control_.run();
    return EXIT_SUCCESS;
  }

 private:
  void make_authenticator() {
    auth::TokenOptions options;
    options.algorithms = to_algorithms(config_.auth_algorithms);
    options.audiences = config_.auth_audience;
    options.issuer = issuer_of(config_.auth_issuer);
    if (!config_.jwks.empty()) options.key_set = make_key_set(config_.jwks, clock_, http_client_);
    const auto& names = config_.auth_algorithms;
    bool own_tokens =
        config_.jwks.empty() || std::find(names.begin(), names.end(), "HS256") != names.end();
    if (own_tokens) {
      token_key_ = load_key(config_.token_key, config_.token_key_file, config_.data, true);
      if (!token_key_->warning.empty()) {
        telemetry::log_warning("token_key.unsafe", {{"detail", token_key_->warning}});
      }
      options.hs256_key = token_key_->secret;
    }
    authenticator_ = std::make_unique<auth::TokenAuthenticator>(std::move(options), clock_);
  }

  void open_store() {
    store::RocksDbOptions options;
    options.path = (std::filesystem::path(config_.data) / "store").string();
    options.block_cache_bytes = config_.block_cache_bytes;
    options.min_free_disk_bytes = config_.min_free_disk_bytes;
    options.write_queue_limit = config_.write_queue;
    store_ = store::RocksDbStore::open(std::move(options), clock_, ids_, metrics_);
  }

  void make_chat() {
    chat::ChatOptions options;
    options.context_messages = config_.context_messages;
    options.context_tokens = config_.context_tokens;
    options.max_tokens_default = config_.max_tokens_default;
    options.max_content_bytes = config_.max_content_bytes;
    options.max_turns = config_.max_turns;
    options.turn_timeout = config_.turn_timeout;
    conversations_ = std::make_unique<chat::Conversations>(*store_, options);
    token_limiter_ = std::make_unique<api::RateLimiter>(clock_, config_.tokens_per_minute);
    request_limiter_ = std::make_unique<api::RateLimiter>(clock_, config_.requests_per_minute);
    turns_ =
        std::make_unique<chat::Turns>(*store_, *provider_, clock_, metrics_, options,
                                      [this](const UserId& user, std::int64_t tokens) {
                                        token_limiter_->charge(user, static_cast<double>(tokens));
                                      });
  }

  void make_api(const std::string& version) {
    api::Services services{*conversations_, *turns_, *store_, *authenticator_, *request_limiter_,
                           *token_limiter_, clock_,  ids_,    metrics_,        version};
    api_ = std::make_unique<api::Api>(
        services, api::ApiOptions{config_.cors_origins, config_.gzip_min_bytes});
    auto& dropped = metrics_.gauge("colloquy_log_lines_dropped",
                                   "Log lines that could not be written, or not in time.");
    auto& connections = metrics_.gauge("colloquy_http_connections", "Connections open now.");
    metrics_.before_render([this, &dropped, &connections] {
      dropped.Set(static_cast<double>(telemetry::dropped_log_lines()));
      if (server_) connections.Set(static_cast<double>(server_->connections()));
    });
  }

  void make_loops() {
    auto count = config_.threads > 0 ? static_cast<unsigned>(config_.threads)
                                     : std::max(1U, std::thread::hardware_concurrency());
    for (unsigned i = 0; i < count; ++i) {
      loops_.push_back(std::make_unique<asio::io_context>(1));
      guards_.push_back(asio::make_work_guard(*loops_.back()));
    }
  }

  void make_servers() {
    http::ServerOptions options;
    options.address = config_.listen.address;
    options.port = config_.listen.port;
    options.tls_certificate_file = config_.tls_cert;
    options.tls_key_file = config_.tls_key;
    options.limits = {config_.max_header_bytes, config_.max_body_bytes,  config_.max_connections,
                      config_.idle_timeout,     config_.request_timeout, config_.write_timeout};
    std::vector<asio::io_context*> loops;
    for (auto& loop : loops_) loops.push_back(loop.get());
    server_ =
        std::make_unique<http::Server>(loops, options, api_->public_handler(), api_->early_reply());
    http::ServerOptions admin;
    admin.address = config_.admin_listen.address;
    admin.port = config_.admin_listen.port;
    admin_server_ = std::make_unique<http::Server>(std::vector<asio::io_context*>{&control_}, admin,
                                                   api_->admin_handler(), api_->early_reply());
  }

  static std::string url(const config::ListenAddress& listen, unsigned short port, bool tls) {
    bool six = listen.address.find(':') != std::string::npos;
    std::string host = six ? "[" + listen.address + "]" : listen.address;
    return (tls ? "https://" : "http://") + host + ":" + std::to_string(port);
  }

  void announce(std::ostream& out) const {
    auto base = url(config_.listen, server_->port(), !config_.tls_cert.empty());
    out << "listening on " << base << "\n";
    out << "admin on " << url(config_.admin_listen, admin_server_->port(), false) << "\n";
    // A token is shown to a person at this machine, and never to a log.
    if (isatty(STDOUT_FILENO) == 1 && config_.listen.loopback() && token_key_ &&
        config_.auth_audience.empty()) {
      auto token = auth::mint_token(token_key_->secret, "you", 24L * 60 * 60, clock_.now_s(),
                                    issuer_of(config_.auth_issuer));
      out << "\nTry it (the token is yours for a day):\n\n  curl -s "
          << (config_.tls_cert.empty() ? "" : "-k ") << base
          << "/generate -H 'Content-Type: application/json' -d '{\"prompt\": \"Hello!\"}' "
          << "-H 'Authorization: Bearer " << token << "'\n";
    }
    out << std::flush;
  }

  void stop_on_signal() {
    signals_.async_wait([this](boost::system::error_code error, int) {
      if (error) return;
      telemetry::log_info("server.stopping", {{"turns_running", turns_->running()}});
      asio::co_spawn(control_, stop(), asio::detached);
      // Whoever asks twice does not want to wait.
      signals_.async_wait([](boost::system::error_code again, int) {
        if (!again) _exit(EXIT_FAILURE);
      });
    });
  }

  Task<> stop() {
    server_->stop_accepting();
    co_await turns_->drain(config_.shutdown_timeout);
    asio::steady_timer timer(control_);
    auto give_up = std::chrono::steady_clock::now() + kResponsesBound;
    while (server_->connections() > 0 && std::chrono::steady_clock::now() < give_up) {
      timer.expires_after(milliseconds(20));
      co_await timer.async_wait(asio::use_awaitable);
    }
    server_->close_all();
    admin_server_->stop_accepting();
    admin_server_->close_all();
    guards_.clear();
    co_await wait_for_loops();
    for (auto& thread : threads_) thread.join();
    telemetry::log_info("server.stopped");
    control_.stop();
  }

  // All is saved by now. Loops that do not run dry hold nothing that is worth the wait.
  Task<> wait_for_loops() {
    asio::steady_timer timer(control_);
    auto give_up = std::chrono::steady_clock::now() + kLoopsBound;
    auto stopped = [this] {
      return std::all_of(loops_.begin(), loops_.end(), [](auto& loop) { return loop->stopped(); });
    };
    while (!stopped()) {
      if (std::chrono::steady_clock::now() > give_up) {
        telemetry::log_warning("server.stopped", {{"detail", "connections were left open"}});
        telemetry::stop_log();
        _exit(EXIT_SUCCESS);
      }
      timer.expires_after(milliseconds(5));
      co_await timer.async_wait(asio::use_awaitable);
    }
  }

  const ServeConfig& config_;
  SystemClock clock_;
  RandomIdSource ids_;
  telemetry::Metrics metrics_;
  // The loops end after all that runs on them.
  asio::io_context control_{1};
  asio::signal_set signals_{control_, SIGTERM, SIGINT};
  std::vector<std::unique_ptr<asio::io_context>> loops_;
  std::vector<asio::executor_work_guard<asio::io_context::executor_type>> guards_;
  std::shared_ptr<net::HttpClient> http_client_ = make_http_client();
  std::optional<auth::TokenKey> token_key_;
  std::unique_ptr<auth::Authenticator> authenticator_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<llm::Provider> provider_;
  std::unique_ptr<chat::Conversations> conversations_;
  std::unique_ptr<api::RateLimiter> token_limiter_;
  std::unique_ptr<api::RateLimiter> request_limiter_;
  std::unique_ptr<chat::Turns> turns_;
  std::unique_ptr<api::Api> api_;
  std::unique_ptr<http::Server> server_;
  std::unique_ptr<http::Server> admin_server_;
  std::vector<std::thread> threads_;
};

}  // namespace

int serve(const ServeConfig& config, const std::string& version, std::ostream& out) {
  telemetry::start_log(telemetry::parse_log_level(config.log_level));
  struct StopLog {
    ~StopLog() { telemetry::stop_log(); }
  } stop_log;
  ServerProcess process(config, version);
  process.start(out);
  return process.run();
}

int print_token(const config::TokenConfig& config, std::ostream& out) {
  auto key = load_key(config.token_key, config.token_key_file, config.data, true);
  auto seconds = std::chrono::duration_cast<std::chrono::seconds>(config.ttl).count();
  out << auth::mint_token(key.secret, config.user, seconds, SystemClock().now_s(),
                          issuer_of(config.auth_issuer))
      << "\n";
  return EXIT_SUCCESS;
}

}  // namespace colloquy
