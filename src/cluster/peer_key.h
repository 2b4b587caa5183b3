// The key that the servers on one store share, and what is signed with it. It never leaves the
// process: a request carries a MAC (HMAC-SHA-256) of all that it asks, with the time, and an answer
// one that only a holder of the key can make of that request. Immutable; any thread.
//
//   Colloquy-Peer: v1 TIME NONCE USER INSTANCE MAC       of a request; USER in hexadecimal, "-":
//   none Colloquy-Peer: v1 MAC                                of its answer
//
// A request for whatever process answers at an address (kAnyInstance) could be passed on to another
// server by somebody in between. So what is answered to it must not be of use without the key: it
// is encrypted (sealed.h) with a key that both sides make of the request and of a salt of the
// answer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"

namespace colloquy::cluster {

inline constexpr const char* kPeerHeader = "Colloquy-Peer";
// How far the clocks of two servers may be apart, and how long a request is good for.
inline constexpr std::int64_t kPeerSeconds = 60;

// Of a request whose sender does not know yet who will answer. No process has this name.
inline constexpr const char* kAnyInstance = "any";

struct PeerRequest {
  std::string method;
  std::string target;
  std::string instance;  // of the server that is asked
  UserId user;           // empty: it is of no user
};

// A request whose MAC was right.
struct TrustedRequest {
  UserId user;
  std::string instance;
  std::string mac;
  std::size_t secret = 0;
};

class PeerKey {
 public:
  // The first secret signs, every one is accepted. Throws Error(kInvalid) for none, or one of less
  // than 32 bytes.
  explicit PeerKey(std::vector<std::string> secrets);
  // One secret a line. Throws Error(kInvalid, kNotFound) that names the file.
  static PeerKey load(const std::string& path);

  // The header's value, and the MAC in it.
  struct Signed {
    std::string header;
    std::string mac;
  };
  Signed sign(const PeerRequest& request, std::int64_t now_s) const;
  // nullopt: not of a holder of the key, not this request, or too old.
  std::optional<TrustedRequest> verify(std::string_view method, std::string_view target,
                                       std::string_view header, std::int64_t now_s) const;

  // The header's value of the answer with that status.
  std::string prove(const TrustedRequest& request, int status) const;
  bool proves(std::string_view header, std::string_view request_mac, int status) const;

  // 32 bytes that only the holders of the key can make of a request and the `salt` of its answer:
  // for the side that answers, and for the one that has asked.
  std::string sealing_key(const TrustedRequest& request, std::string_view salt) const;
  std::string sealing_key(std::string_view request_mac, std::string_view salt) const;
  // Never the same twice.
  static std::string make_salt();

 private:
  std::string request_mac(std::size_t secret, std::string_view method, std::string_view target,
                          std::string_view fields) const;
  std::string answer_mac(std::size_t secret, std::string_view request_mac, int status) const;
  std::string key_of(std::size_t secret, std::string_view request_mac, std::string_view salt) const;

  std::vector<std::string> secrets_;
};

}  // namespace colloquy::cluster
