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
#include <functional>
#include <iostream>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "api/api.h"
#include "auth/key_set.h"
#include "auth/token_authenticator.h"
#include "auth/token_key.h"
#include "auth/user_id.h"
#include "backup/restore.h"
#include "chat/background_model.h"
#include "chat/context_builder.h"
#include "chat/conversations.h"
#include "chat/event_hub.h"
#include "chat/expiry_news.h"
#include "chat/observed_store.h"
#include "chat/summaries.h"
#include "chat/titles.h"
#include "chat/turns.h"
#include "cluster/owner.h"
#include "encryption.h"
#include "erase/eraser.h"
#include "files/user_files.h"
#include "http/server.h"
#include "llm/provider.h"
#include "metrics_in_log.h"
#include "net/http_client.h"
#include "other_servers.h"
#include "parts.h"
#include "run_to_end.h"
#include "running_backup.h"
#include "search/index_files.h"
#include "search/indexed_search.h"
#include "search/scanning_search.h"
#include "store/dynamodb/dynamodb_store.h"
#include "store/rocksdb/rocksdb_store.h"
#include "tables_access.h"
#include "tables_command.h"
#include "telemetry/log.h"
#include "telemetry/process_metrics.h"

namespace colloquy {
namespace {

namespace asio = boost::asio;
using config::ServeConfig;
using std::chrono::milliseconds;

// How long responses that are under way when the turns have ended may take.
constexpr auto kResponsesBound = milliseconds(3'000);
// How much of it is for the other servers to be told the last of what happened.
constexpr auto kTellingBound = milliseconds(1'000);
// How long titles and summaries may take to stop.
constexpr auto kBackgroundBound = milliseconds(2'000);
// How long the event loops may take to run dry after that.
constexpr auto kLoopsBound = milliseconds(5'000);
// How long a step of erasing a user may take.
constexpr auto kEraserBound = milliseconds(8'000);
// How long the last of what was committed may take into the backup.
constexpr auto kBackupBound = milliseconds(5'000);
// How much longer than a turn its lease is, and a little more.
constexpr auto kLeaseMargin = std::chrono::seconds(120);

// Everything that answers. What only the settings can make or refuse comes first, with the
// addresses; then what opens the data folder, each needing those before it.
class ServerProcess {
 public:
  ServerProcess(const ServeConfig& config, const std::string& version) : config_(config) {
    check_tls_files(config);
    check_backup_target(config);
    http_client_ = make_http_client(config);
    provider_ = make_provider(config, http_client_, metrics_);
    key_set_ = make_key_set(config, clock_, http_client_);
    if (accepts_own_tokens()) token_key_ = find_token_key(config);
    make_loops();
    bind_servers();
    if (!config.advertise.empty()) {
      others_ = std::make_unique<OtherServers>(config, instance_, clock_, metrics_);
    }
    if (config.store == config::StoreKind::kDynamoDb) find_tables();
    if (encrypts()) find_keys();

    make_data_folder();
    make_authenticator();
    open_store();
    encrypt_store();
    if (embedded_ != nullptr) follow_embedded();
    files_ =
        open_files(config, encryption_ ? &encryption_->keyring() : nullptr, clock_, ids_, metrics_);
    make_chat();
    make_eraser();
    make_api(version);
  }

  ~ServerProcess() { expiry_news_.forget(); }

  void start(std::ostream& out) {
    stop_on_signal();
    admin_server_->start();
    server_->start();
    // A start that is refused leaves the log to the backup that reads it next.
    if (embedded_ != nullptr && config_.backup_to.empty()) embedded_->drop_kept_logs();
    if (others_) others_->start(control_.get_executor());
    if (metrics_in_log_) metrics_in_log_->start();
    asio::co_spawn(control_, erase::Eraser::run(eraser_), asio::detached);
    if (mark_watch_) {
      asio::co_spawn(control_, mark_watch_->run([this](auto& keyring) { end_plain(keyring); }),
                     asio::detached);
    }
    announce(out);
    for (auto& loop : loops_) {
      threads_.emplace_back([&loop] { loop->run(); });
    }
    telemetry::log_info("server.started", {{"port", static_cast<unsigned>(server_->port())}});
  }

  int run() {
    control_.run();
    return exit_code_;
  }

 private:
  bool accepts_own_tokens() const {
    const auto& names = config_.auth_algorithms;
    return config_.jwks.empty() || std::find(names.begin(), names.end(), "HS256") != names.end();
  }

  bool encrypts() const { return config_.encryption.kind != config::EncryptionKind::kOff; }
  bool searches() const { return config_.search && !encrypts(); }

  void find_keys() {
    if (!tables_) check_keyring_apart(config_);
    if (tables_) require_keys_table(config_.encryption, tables_->client(), control_);
    keys_ = std::make_unique<KeysAccess>(config_.encryption, config_.sources, config_.dynamodb,
                                         tables_ ? &tables_->client() : nullptr, clock_,
                                         control_.get_executor());
  }

  void encrypt_store() {
    texts_ = store_.get();
    if (!encrypts()) {
      require_plain(*store_, control_);
      if (tables_) mark_watch_ = std::make_unique<MarkWatch>(*store_);
      return;
    }
    encryption_ =
        std::make_unique<Encryption>(*keys_, *store_, *sealed_writes_, *intake_, clock_, control_);
    texts_ = &encryption_->store();
    intake_ = &encryption_->store();
  }

  // What is written here from now on would be plain, and what others write nobody here could read.
  void end_plain(const std::string& keyring) {
    telemetry::log_error("encryption.missing",
                         {{"detail", "another server has encrypted the store with the keyring " +
                                         keyring + ": this one needs --encryption too"}});
    exit_code_ = EXIT_FAILURE;
    eraser_->stop();
    gate_.admit_until(erase::UserGate::Time::min());
    std::raise(SIGTERM);
  }

  void make_data_folder() {
    for_setting(config_.sources.of("data") + " \"" + config_.data + "\"",
                [this] { std::filesystem::create_directories(config_.data); });
  }

  void make_authenticator() {
    auth::TokenOptions options;
    options.algorithms = algorithms_of(config_);
    options.audiences = config_.auth_audience;
    options.issuer = issuer_of(config_.auth_issuer);
    options.key_set = key_set_;
    if (key_set_ && options.audiences.empty()) {
      telemetry::log_warning("auth.any_audience",
                             {{"detail",
                               "tokens of the issuer are accepted whatever application "
                               "they were made for: set --auth-audience"}});
    }
    if (accepts_own_tokens()) {
      if (!token_key_) token_key_ = make_token_key(config_);
      if (!token_key_->warning.empty()) {
        telemetry::log_warning("token_key.unsafe", {{"detail", token_key_->warning}});
      }
      options.hs256_key = token_key_->secret;
    }
    authenticator_ = std::make_unique<auth::TokenAuthenticator>(std::move(options), clock_);
  }

  void open_store() {
    if (config_.store == config::StoreKind::kDynamoDb) {
      open_tables();
    } else {
      open_embedded();
    }
  }

  void find_tables() {
    tables_ =
        std::make_unique<TablesAccess>(config_.dynamodb, clock_, metrics_, control_.get_executor());
    require_tables(tables_->client(), config_.dynamodb, control_);
  }

  void open_tables() {
    store::DynamoDbOptions options;
    options.tables = table_names(config_.dynamodb);
    options.owner = cluster::owner_text(instance_, config_.advertise);
    options.updated_index = config_.dynamodb.updated_index;
    options.sealed_contents = encrypts();
    options.longest_turn =
        std::chrono::duration_cast<std::chrono::seconds>(config_.turn_timeout) + kLeaseMargin;
    options.sweep_interval = config_.dynamodb_sweep_interval;
    options.background = control_.get_executor();
    options.retention_seconds = retention_seconds();
    options.removal_rate = config_.removal_rate;
    options.on_expired = tell_expired();
    auto store = std::make_unique<store::DynamoDbStore>(std::move(options), tables_->client(),
                                                        clock_, ids_, metrics_);
    prepare_tables(*store, tables_->client(), control_);
    sealed_writes_ = store.get();
    intake_ = store.get();
    erasures_ = store.get();
    store_ = std::move(store);
    if (searches()) {
      search_ = std::make_unique<search::ScanningSearch>(*store_, clock_, metrics_);
    }
  }

  std::optional<std::int64_t> retention_seconds() const {
    auto seconds = std::chrono::duration_cast<std::chrono::seconds>(config_.retention).count();
    return seconds > 0 ? std::optional<std::int64_t>(seconds) : std::nullopt;
  }

  std::function<void(const UserId&, ConversationId)> tell_expired() {
    return [this](const UserId& user, ConversationId id) { expiry_news_.expired(user, id); };
  }

  void open_embedded() {
    backup::require_restored(config_.data);
    store::RocksDbOptions options;
    options.path = (std::filesystem::path(config_.data) / "store").string();
    options.block_cache_bytes = config_.block_cache_bytes;
    options.min_free_disk_bytes = config_.min_free_disk_bytes;
    options.write_queue_limit = config_.write_queue;
    options.retention_seconds = retention_seconds();
    options.removal_rate = config_.removal_rate;
    options.on_expired = tell_expired();
    options.keep_log = !config_.backup_to.empty();
    options.keep_changes = searches();
    options.sealed_contents = encrypts();
    auto opened = store::RocksDbStore::open(std::move(options), clock_, ids_, metrics_);
    embedded_ = opened.get();
    sealed_writes_ = opened.get();
    intake_ = opened.get();
    erasures_ = opened.get();
    store_ = std::move(opened);
  }

  // Once the store is known to be one that this server may open: nothing of a start that is refused
  // stays.
  void follow_embedded() {
    backup_ = std::make_unique<RunningBackup>(config_, *embedded_, clock_, ids_, metrics_);
    search::IndexOptions index;
    index.folder = (std::filesystem::path(config_.data) / "search").string();
    index.min_free_disk_bytes = config_.min_free_disk_bytes;
    if (!searches()) {
      search::index_files::remove_all(index.folder);
      return;
    }
    search_ = std::make_unique<search::IndexedSearch>(std::move(index), *embedded_,
                                                      embedded_->change_feed(), clock_, metrics_);
  }

  void make_chat() {
    const auto options = chat_options(config_);
    events_ = std::make_unique<chat::EventHub>(ids_.next(clock_.now_ms()).to_string(), metrics_);
    if (others_) others_->tell_events_of(*events_);
    observed_ = std::make_unique<chat::ObservedStore>(*texts_);
    contexts_ = std::make_unique<chat::ContextBuilder>(*observed_, *provider_, options);
    background_ = std::make_unique<chat::BackgroundModel>(*provider_, metrics_);
    titles_ = std::make_unique<chat::Titles>(*observed_, *background_);
    summaries_ = std::make_unique<chat::Summaries>(*observed_, *contexts_, *background_);
    observed_->add(*events_);
    expiry_news_.tell(*events_);
    bool model_titles =
        config_.titles == config::Titles::kModel ||
        (config_.titles == config::Titles::kAuto && config_.model != config::ModelKind::kDemo);
    if (model_titles) observed_->add(*titles_);
    observed_->add(*summaries_);
    conversations_ = std::make_unique<chat::Conversations>(*observed_, options);
    token_limiter_ = std::make_unique<api::RateLimiter>(clock_, config_.tokens_per_minute);
    request_limiter_ = std::make_unique<api::RateLimiter>(clock_, config_.requests_per_minute);
    turns_ = std::make_unique<chat::Turns>(
        *observed_, *provider_, clock_, metrics_, options,
        [this](const UserId& user, std::int64_t tokens) {
          token_limiter_->charge(user, static_cast<double>(tokens));
        },
        others_ ? &others_->for_turns() : nullptr);
  }

  // Users whose erasure was cut short may not write until it has ended.
  void make_eraser() {
    erase::EraserParts parts{*erasures_, gate_, files_.get(), search_.get()};
    if (backup_ && !config_.backup_to.empty()) {
      parts.note = [this](const store::ErasedUser& erased) { backup_->note_erased(erased); };
      parts.note_begun = [this](const UserId& user) { backup_->note_erasing(user); };
    }
    parts.quiet = [this](const UserId& user) { turns_->cancel_all(user); };
    if (encryption_) parts.keys = &encryption_->keyring();
    eraser_ = std::make_shared<erase::Eraser>(std::move(parts), metrics_);
    run_to_end(control_, eraser_->look());
    control_.restart();
  }

  void make_api(const std::string& version) {
    api::Services services{*conversations_,
                           *turns_,
                           *contexts_,
                           *events_,
                           *texts_,
                           *intake_,
                           *authenticator_,
                           *request_limiter_,
                           *token_limiter_,
                           clock_,
                           ids_,
                           metrics_,
                           version,
                           config_.write_timeout,
                           config_.max_content_bytes,
                           std::nullopt};
    services.max_import_bytes = config_.max_import_bytes;
    services.search = search_.get();
    if (others_) services.cluster.emplace(others_->member());
    services.files = files_.get();
    services.gate = &gate_;
    services.eraser = eraser_.get();
    telemetry::measure_process(metrics_);
    if (config_.metrics_emf) {
      metrics_in_log_ = std::make_unique<MetricsInLog>(config_, instance_, clock_, metrics_,
                                                       control_.get_executor());
    }
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

  // Takes the addresses. Whoever connects waits until start(), when there is an API to answer.
  void bind_servers() {
    http::ServerOptions options;
    options.address = config_.listen.address;
    options.port = config_.listen.port;
    options.tls_certificate_file = config_.tls_cert;
    options.tls_key_file = config_.tls_key;
    options.limits = {config_.max_header_bytes, config_.max_body_bytes,  config_.max_connections,
                      config_.idle_timeout,     config_.request_timeout, config_.write_timeout};
    options.streamed_body = [this](const http::Request& request) {
      return api_->streamed_body_bytes(request);
    };
    std::vector<asio::io_context*> loops;
    for (auto& loop : loops_) loops.push_back(loop.get());
    for_setting(config_.sources.of("listen"), [&] {
      server_ = std::make_unique<http::Server>(
          loops, options,
          [this](http::Request& request) { return api_->public_handler()(request); },
          early_reply());
    });
    http::ServerOptions admin;
    admin.address = config_.admin_listen.address;
    admin.port = config_.admin_listen.port;
    for_setting(config_.sources.of("admin-listen"), [&] {
      admin_server_ = std::make_unique<http::Server>(
          std::vector<asio::io_context*>{&control_}, admin,
          [this](http::Request& request) { return api_->admin_handler()(request); }, early_reply());
    });
  }

  http::EarlyReply early_reply() {
    return
        [this](int status, std::string_view reason) { return api_->early_reply()(status, reason); };
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
    eraser_->stop();
    if (mark_watch_) mark_watch_->stop();
    co_await turns_->drain(config_.shutdown_timeout);
    events_->close();
    if (others_) co_await others_->stop_following();
    co_await background_->drain(kBackgroundBound);
    auto give_up = std::chrono::steady_clock::now() + kResponsesBound;
    if (others_) {
      std::function<std::size_t()> told = [this] { return others_->followers(); };
      bool all_told = co_await wait_for_connections(std::move(told), give_up - kTellingBound);
      others_->stop_telling(all_told);
    }
    std::function<std::size_t()> none = [] { return 0; };
    co_await wait_for_connections(std::move(none), give_up);
    server_->close_all();
    admin_server_->stop_accepting();
    admin_server_->close_all();
    guards_.clear();
    co_await wait_for_loops();
    for (auto& thread : threads_) thread.join();
    bool erased = co_await eraser_->wait_until_ended(kEraserBound);
    if (mark_watch_) co_await mark_watch_->wait_until_ended(kEraserBound);
    bool shipped = erased && (!backup_ || backup_->stop(kBackupBound));
    bool closed = co_await store_->close() && shipped;
    if (metrics_in_log_) metrics_in_log_->finish();
    telemetry::log_info("server.stopped");
    if (!closed) {
      telemetry::stop_log();
      _exit(EXIT_SUCCESS);
    }
    control_.stop();
  }

  // Whether no connection is left but so many by then.
  Task<bool> wait_for_connections(std::function<std::size_t()> may_stay,
                                  std::chrono::steady_clock::time_point give_up) {
    asio::steady_timer timer(control_);
    while (server_->connections() > may_stay()) {
      if (std::chrono::steady_clock::now() >= give_up) co_return false;
      timer.expires_after(milliseconds(20));
      co_await timer.async_wait(asio::use_awaitable);
    }
    co_return true;
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
        if (metrics_in_log_) metrics_in_log_->finish();
        telemetry::log_warning("server.stopped", {{"detail", "connections were left open"}});
        telemetry::stop_log();
        _exit(EXIT_SUCCESS);
      }
      timer.expires_after(milliseconds(5));
      co_await timer.async_wait(asio::use_awaitable);
    }
  }

  const ServeConfig& config_;
  int exit_code_ = EXIT_SUCCESS;
  SystemClock clock_;
  RandomIdSource ids_;
  const std::string instance_ = ids_.next(clock_.now_ms()).to_string();  // this process
  telemetry::Metrics metrics_;
  // The loops end after all that runs on them.
  asio::io_context control_{1};
  asio::signal_set signals_{control_, SIGTERM, SIGINT};
  std::vector<std::unique_ptr<asio::io_context>> loops_;
  std::vector<asio::executor_work_guard<asio::io_context::executor_type>> guards_;
  std::shared_ptr<net::HttpClient> http_client_;
  std::shared_ptr<auth::KeySet> key_set_;
  std::optional<auth::TokenKey> token_key_;
  std::unique_ptr<auth::Authenticator> authenticator_;
  std::unique_ptr<TablesAccess> tables_;
  chat::ExpiryNews expiry_news_;  // the store's, of its own thread
  std::unique_ptr<store::Store> store_;
  store::RocksDbStore* embedded_ = nullptr;       // the store; null: tables
  store::SealedWrites* sealed_writes_ = nullptr;  // the store
  store::Intake* intake_ = nullptr;               // the store, or what encrypts
  store::Erasures* erasures_ = nullptr;           // the store
  std::unique_ptr<KeysAccess> keys_;
  std::unique_ptr<Encryption> encryption_;
  std::unique_ptr<MarkWatch> mark_watch_;  // where others may encrypt what this server does not
  store::Store* texts_ = nullptr;          // the store, or what encrypts
  std::unique_ptr<RunningBackup> backup_;
  std::unique_ptr<search::Search> search_;
  std::unique_ptr<llm::Provider> provider_;
  std::unique_ptr<chat::Conversations> conversations_;
  std::unique_ptr<chat::EventHub> events_;
  std::unique_ptr<chat::ObservedStore> observed_;
  std::unique_ptr<chat::ContextBuilder> contexts_;
  std::unique_ptr<chat::BackgroundModel> background_;
  std::unique_ptr<chat::Titles> titles_;
  std::unique_ptr<chat::Summaries> summaries_;
  std::unique_ptr<api::RateLimiter> token_limiter_;
  std::unique_ptr<api::RateLimiter> request_limiter_;
  std::unique_ptr<OtherServers> others_;
  std::unique_ptr<chat::Turns> turns_;
  std::unique_ptr<files::UserFiles> files_;
  erase::UserGate gate_;
  std::shared_ptr<erase::Eraser> eraser_;
  std::unique_ptr<api::Api> api_;
  std::unique_ptr<http::Server> server_;
  std::unique_ptr<http::Server> admin_server_;
  std::unique_ptr<MetricsInLog> metrics_in_log_;
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
  if (!auth::is_user_id(config.user)) {
    throw config::ConfigError(config.sources.of("user") +
                              " must be 1 to 256 bytes of UTF-8 without control characters");
  }
  auto key = make_token_key(config);
  // A server of another data folder takes no such token: a mistyped --data must not go unseen.
  if (key.made) std::cerr << "colloquy: there was no token key; made " << key.origin << "\n";
  if (!key.warning.empty()) std::cerr << "colloquy: " << key.warning << "\n";
  auto seconds = std::chrono::duration_cast<std::chrono::seconds>(config.ttl).count();
  out << auth::mint_token(key.secret, config.user, seconds, SystemClock().now_s(),
                          issuer_of(config.auth_issuer))
      << "\n";
  return EXIT_SUCCESS;
}

}  // namespace colloquy
