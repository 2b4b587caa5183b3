#include "http/tls_context.h"

#include <openssl/ssl.h>
#include <sys/stat.h>
#include <time.h>

#include <array>
#include <boost/system/system_error.hpp>
#include <utility>

#include "base/error.h"
#include "telemetry/log.h"

namespace colloquy::http {

namespace ssl = boost::asio::ssl;

namespace {

// A file that changed this recently may change again without its time showing it.
constexpr std::int64_t kUnsettledNanoseconds = 50'000'000;
constexpr std::int64_t kNanoseconds = 1'000'000'000;

std::int64_t now_nanoseconds() {
  struct timespec now {};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * kNanoseconds + now.tv_nsec;
}

// Forward secrecy and authenticated encryption only; TLS 1.3 has no other.
constexpr const char* kTls12Ciphers = "ECDHE+AESGCM:ECDHE+CHACHA20";

int select_protocol(SSL*, const unsigned char** out, unsigned char* out_bytes,
                    const unsigned char* offered, unsigned int offered_bytes, void*) {
  static constexpr std::array<unsigned char, 9> kHttp11 = {8,   'h', 't', 't', 'p',
                                                           '/', '1', '.', '1'};
  unsigned char* selected = nullptr;
  if (SSL_select_next_proto(&selected, out_bytes, kHttp11.data(), kHttp11.size(), offered,
                            offered_bytes) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;  // RFC 7301, 3.2
  }
  *out = selected;
  return SSL_TLSEXT_ERR_OK;
}

// Without it OpenSSL asks the terminal for an encrypted key's passphrase, and an event loop waits.
int no_passphrase(char*, int, int, void*) { return -1; }

}  // namespace

TlsCertificate::TlsCertificate(std::string certificate_file, std::string key_file)
    : certificate_file_(std::move(certificate_file)), key_file_(std::move(key_file)) {
  certificate_stamp_ = stamp_of(certificate_file_);
  key_stamp_ = stamp_of(key_file_);
  try {
    context_ = load();
  } catch (const boost::system::system_error& error) {
    throw Error(ErrorCode::kInvalid, "The TLS certificate " + certificate_file_ + " with the key " +
                                         key_file_ + " cannot be used: " + error.code().message());
  }
}

std::shared_ptr<ssl::context> TlsCertificate::current() {
  std::scoped_lock lock(mutex_);
  const Stamp certificate = stamp_of(certificate_file_);
  const Stamp key = stamp_of(key_file_);
  const bool settled = certificate.bytes != kUnsettled && key.bytes != kUnsettled;
  if (settled && certificate == certificate_stamp_ && key == key_stamp_) return context_;
  certificate_stamp_ = certificate;
  key_stamp_ = key;
  try {
    context_ = load();
    telemetry::log_info("http.tls_certificate_reloaded", {{"file", certificate_file_}});
  } catch (const boost::system::system_error& error) {
    // Also the moment between the change of one file and that of the other.
    telemetry::log_error("http.tls_certificate_unusable",
                         {{"file", certificate_file_}, {"error", error.code().message()}});
  }
  return context_;
}

TlsCertificate::Stamp TlsCertificate::stamp_of(const std::string& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) return {};
  const std::int64_t changed_ns = status.st_mtim.tv_sec * kNanoseconds + status.st_mtim.tv_nsec;
  if (now_nanoseconds() - changed_ns < kUnsettledNanoseconds) return {changed_ns, 0, kUnsettled};
  return {changed_ns, status.st_ino, status.st_size};
}

std::shared_ptr<ssl::context> TlsCertificate::load() const {
  auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  SSL_CTX* native = context->native_handle();
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(native, kTls12Ciphers);
  SSL_CTX_set_options(native, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_alpn_select_cb(native, select_protocol, nullptr);
  SSL_CTX_set_default_passwd_cb(native, no_passphrase);
  context->use_certificate_chain_file(certificate_file_);
  context->use_private_key_file(key_file_, ssl::context::pem);
  if (SSL_CTX_check_private_key(native) != 1) {
    throw boost::system::system_error(
        boost::system::errc::make_error_code(boost::system::errc::invalid_argument));
  }
  return context;
}

}  // namespace colloquy::http
