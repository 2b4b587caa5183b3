#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <thread>

#include "http/server.h"
#include "http/testing/raw_client.h"
#include "http/testing/test_server.h"

namespace colloquy::http {
namespace {

using testing::echo;
using testing::RawClient;
using testing::TestServer;

// A folder with a self-signed certificate and its key.
class TlsFiles {
 public:
  TlsFiles() : folder_(::testing::TempDir() + "colloquy-tls-" + std::to_string(::getpid())) {
    std::filesystem::create_directories(folder_);
    write("first");
  }
  ~TlsFiles() { std::filesystem::remove_all(folder_); }
  TlsFiles(const TlsFiles&) = delete;
  TlsFiles& operator=(const TlsFiles&) = delete;

  // With a passphrase the key is encrypted.
  void write(const std::string& common_name, const char* passphrase = nullptr) const {
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME* name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1,
                               0);
    X509_set_issuer_name(certificate, name);
    X509_sign(certificate, key, EVP_sha256());
    std::FILE* file = std::fopen(this->certificate().c_str(), "w");
    PEM_write_X509(file, certificate);
    std::fclose(file);
    file = std::fopen(this->key().c_str(), "w");
    PEM_write_PrivateKey(file, key, passphrase == nullptr ? nullptr : EVP_aes_128_cbc(), nullptr, 0,
                         nullptr, const_cast<char*>(passphrase));
    std::fclose(file);
    X509_free(certificate);
    EVP_PKEY_free(key);
  }
  void spoil() const { std::ofstream(certificate()) << "nothing"; }

  std::string certificate() const { return folder_ + "/certificate.pem"; }
  std::string key() const { return folder_ + "/key.pem"; }
  ServerOptions options() const {
    ServerOptions options;
    options.tls_certificate_file = certificate();
    options.tls_key_file = key();
    return options;
  }

 private:
  std::string folder_;
};

// Whoever asks at the terminal or the standard input gets these lines.
class StandardInput {
 public:
  explicit StandardInput(std::string_view lines) : before_(::dup(STDIN_FILENO)) {
    std::array<int, 2> pipe{};
    EXPECT_EQ(::pipe(pipe.data()), 0);
    EXPECT_EQ(::write(pipe[1], lines.data(), lines.size()), static_cast<ssize_t>(lines.size()));
    ::dup2(pipe[0], STDIN_FILENO);
    ::close(pipe[0]);
    ::close(pipe[1]);
  }
  ~StandardInput() {
    ::dup2(before_, STDIN_FILENO);
    ::close(before_);
  }
  StandardInput(const StandardInput&) = delete;
  StandardInput& operator=(const StandardInput&) = delete;

 private:
  int before_;
};

// A blocking TLS client that does not check whom it talks to.
class TlsClient {
 public:
  explicit TlsClient(unsigned short port, int most_version = TLS1_3_VERSION,
                     std::string_view protocol = {})
      : raw_(port), context_(SSL_CTX_new(TLS_client_method())), ssl_(SSL_new(context_)) {
    SSL_set_max_proto_version(ssl_, most_version);
    SSL_set_security_level(ssl_, 0);
    if (!protocol.empty()) {
      const std::string list =
          std::string(1, static_cast<char>(protocol.size())) + std::string(protocol);
      SSL_set_alpn_protos(ssl_, reinterpret_cast<const unsigned char*>(list.data()),
                          static_cast<unsigned>(list.size()));
    }
    SSL_set_fd(ssl_, raw_.descriptor());
    connected_ = SSL_connect(ssl_) == 1;
  }
  ~TlsClient() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
  }
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  bool connected() const { return connected_; }
  std::string version() const { return SSL_get_version(ssl_); }
  std::string protocol() const {
    const unsigned char* data = nullptr;
    unsigned bytes = 0;
    SSL_get0_alpn_selected(ssl_, &data, &bytes);
    return {reinterpret_cast<const char*>(data), bytes};
  }
  std::string server_name() const {
    X509* certificate = SSL_get1_peer_certificate(ssl_);
    if (certificate == nullptr) return "";
    std::array<char, 64> name{};
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name.data(),
                              static_cast<int>(name.size()));
    X509_free(certificate);
    return name.data();
  }
  void send(std::string_view bytes) {
    SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()));
  }
  // Everything up to the end of the connection; `clean` where that was announced.
  std::string receive_all(bool& clean) {
    std::string text;
    std::array<char, 16384> room;
    int received = 0;
    while ((received = SSL_read(ssl_, room.data(), static_cast<int>(room.size()))) > 0) {
      text.append(room.data(), static_cast<std::size_t>(received));
    }
    clean = SSL_get_error(ssl_, received) == SSL_ERROR_ZERO_RETURN;
    return text;
  }

 private:
  RawClient raw_;
  SSL_CTX* context_;
  SSL* ssl_;
  bool connected_ = false;
};

constexpr const char* kClose = "GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

TEST(ServerTls, AnswersOverTls12And13) {
  const TlsFiles files;
  TestServer server(echo, {}, 1, files.options());
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsClient client(server.port(), version, "http/1.1");
    ASSERT_TRUE(client.connected());
    EXPECT_EQ(client.version(), version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3");
    EXPECT_EQ(client.protocol(), "http/1.1");
    const std::string body(500'000, 'x');
    client.send("POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 500000\r\n\r\n" + body + kClose);
    bool clean = false;
    const std::string bytes = client.receive_all(clean);
    EXPECT_NE(bytes.find("POST /b " + body), std::string::npos);
    EXPECT_TRUE(bytes.ends_with("\r\n\r\nGET /a "));
    EXPECT_TRUE(clean);
  }
}

TEST(ServerTls, RefusesOldVersionsOtherProtocolsAndPlainText) {
  const TlsFiles files;
  ServerLimits limits;
  TestServer server(echo, limits, 1, files.options());
  EXPECT_FALSE(TlsClient(server.port(), TLS1_1_VERSION).connected());
  EXPECT_FALSE(TlsClient(server.port(), TLS1_3_VERSION, "h2").connected());
  RawClient plain(server.port());
  plain.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(plain.receive(), std::nullopt);
}

TEST(ServerTls, AHandshakeHasADeadline) {
  const TlsFiles files;
  ServerLimits limits;
  limits.request = std::chrono::milliseconds(100);
  TestServer server(echo, limits, 1, files.options());
  RawClient silent(server.port());
  EXPECT_EQ(silent.receive_all(), "");
  EXPECT_TRUE(server.has_connections(0));
}

TEST(ServerTls, TellsALateClientOverTls) {
  const TlsFiles files;
  ServerLimits limits;
  limits.request = std::chrono::milliseconds(200);
  TestServer server(echo, limits, 1, files.options());
  TlsClient client(server.port());
  client.send("GET / HTTP/1.1\r\nHost: h");
  bool clean = false;
  EXPECT_TRUE(client.receive_all(clean).starts_with("HTTP/1.1 408 "));
  EXPECT_TRUE(clean);
}

TEST(ServerTls, ACutStreamIsNotEndedCleanly) {
  const TlsFiles files;
  TestServer server(
      [](Request&) -> Task<Response> {
        Response response;
        response.stream = [](BodyWriter& body) -> Task<> {
          co_await body.write("half");
          throw std::runtime_error("no more");
        };
        co_return response;
      },
      {}, 1, files.options());
  TlsClient client(server.port());
  client.send(kClose);
  bool clean = true;
  EXPECT_TRUE(client.receive_all(clean).ends_with("\r\n\r\n4\r\nhalf\r\n"));
  EXPECT_FALSE(clean);
}

TEST(ServerTls, ReadsAChangedCertificateAndKeepsTheOldOneWhenItIsBroken) {
  const TlsFiles files;
  TestServer server(echo, {}, 1, files.options());
  TlsClient before(server.port());
  EXPECT_EQ(before.server_name(), "first");
  files.write("second");
  EXPECT_EQ(TlsClient(server.port()).server_name(), "second");
  files.spoil();
  EXPECT_EQ(TlsClient(server.port()).server_name(), "second");
  files.write("third");
  EXPECT_EQ(TlsClient(server.port()).server_name(), "third");
  before.send(kClose);  // an open connection goes on
  bool clean = false;
  EXPECT_TRUE(before.receive_all(clean).ends_with("GET /a "));
}

TEST(ServerTls, NobodyIsAskedForThePassphraseOfAnEncryptedKey) {
  const TlsFiles files;
  const StandardInput typed("secret\nsecret\n");
  TestServer server(echo, {}, 1, files.options());
  files.write("encrypted", "secret");
  EXPECT_EQ(TlsClient(server.port()).server_name(), "first");
  EXPECT_THROW(TestServer(echo, {}, 1, files.options()), Error);
}

TEST(ServerTls, DoesNotStartWithoutAUsableCertificate) {
  const TlsFiles files;
  files.spoil();
  EXPECT_THROW(TestServer(echo, {}, 1, files.options()), Error);
  ServerOptions options = files.options();
  options.tls_key_file.clear();
  EXPECT_THROW(TestServer(echo, {}, 1, options), Error);
}

}  // namespace
}  // namespace colloquy::http
