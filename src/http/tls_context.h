// The server's certificate and key, read again when their files change. Thread-safe.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

namespace colloquy::http {

class TlsCertificate {
 public:
  // Throws Error(kInvalid) when the files cannot be used.
  TlsCertificate(std::string certificate_file, std::string key_file);

  // For a new connection: what the files hold now, or the last that could be used where they
  // cannot; that is logged once for each change. Costs two stat calls.
  std::shared_ptr<boost::asio::ssl::context> current();

 private:
  // What tells one state of a file from the next.
  struct Stamp {
    std::int64_t changed_ns = 0;
    std::uint64_t inode = 0;
    std::int64_t bytes = -1;

    bool operator==(const Stamp&) const = default;
  };
  static constexpr std::int64_t kUnsettled = -2;  // as `bytes`: changed just now
  static Stamp stamp_of(const std::string& file);
  std::shared_ptr<boost::asio::ssl::context> load() const;

  const std::string certificate_file_;
  const std::string key_file_;
  std::mutex mutex_;
  Stamp certificate_stamp_;                             // guarded by mutex_
  Stamp key_stamp_;                                     // guarded by mutex_
  std::shared_ptr<boost::asio::ssl::context> context_;  // guarded by mutex_
};

}  // namespace colloquy::http
