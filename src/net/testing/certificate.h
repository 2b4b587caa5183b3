// For tests: a key and a certificate for one host name, signed by itself, made by OpenSSL anew.
#pragma once

#include <string>

namespace colloquy::net::testing {

class TestCertificate {
 public:
  // `host` is a DNS name or an IP address. The files live as long as the object.
  explicit TestCertificate(const std::string& host);
  ~TestCertificate();
  TestCertificate(const TestCertificate&) = delete;
  TestCertificate& operator=(const TestCertificate&) = delete;

  const std::string& certificate_file() const { return certificate_file_; }  // PEM; also its own CA
  const std::string& key_file() const { return key_file_; }

 private:
  std::string folder_;
  std::string certificate_file_;
  std::string key_file_;
};

}  // namespace colloquy::net::testing
