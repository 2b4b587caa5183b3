#include "keyring/aws/kms_master_keys.h"

#include <gmock/gmock.h>

#include <boost/asio/io_context.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <vector>

#include "base/base64.h"
#include "base/error.h"
#include "base/testing/run_task.h"
#include "keyring/data_key.h"
#include "keyring/folder_key_storage.h"
#include "keyring/keyring.h"
#include "net/testing/scripted_server.h"
#include "store/testing/temporary_folder.h"

namespace colloquy::keyring {
namespace {

namespace json = boost::json;
using net::testing::Peer;
using net::testing::response;
using net::testing::ScriptedRequest;
using net::testing::ScriptedServer;
using testing::HasSubstr;

constexpr std::int64_t kNowMs = 1'790'000'000'000;
const aws::Credentials kCredentials{"AKIDEXAMPLE", "secretofthecaller", "", {}};

std::string header(const ScriptedRequest& request, const std::string& name) {
  return request.header(name).value_or("");
}

// Is it signed as the service would check it, for KMS in its region?
bool is_signed(const ScriptedRequest& request) {
  std::vector<net::HeaderField> headers{{"Content-Type", header(request, "Content-Type")},
                                        {"X-Amz-Target", header(request, "X-Amz-Target")}};
  const auto& body = request.body;
  auto host = header(request, "Host");
  aws::SigningRequest signing;
  signing.method = "POST";
  signing.host = host;
  signing.headers = &headers;
  signing.body = body;
  aws::SigningKeys keys;
  for (const auto& field : aws::sign(signing, kCredentials, {"eu-west-1", "kms"}, kNowMs, keys)) {
    if (header(request, field.name) != field.value) return false;
  }
  return header(request, "Authorization").find("/eu-west-1/kms/aws4_request") != std::string::npos;
}

std::string refusal(const std::string& type) {
  return response(400, R"({"__type":")" + type + R"(","message":"no"})",
                  "application/x-amz-json-1.1", "");
}
std::string ok(const json::object& body) {
  return response(200, json::serialize(body), "application/x-amz-json-1.1", "");
}

constexpr const char* kFirst = "arn:aws:kms:eu-west-1:111122223333:key/first";
constexpr const char* kSecond = "arn:aws:kms:eu-west-1:111122223333:key/second";

// Wraps as the service does: with its keys, for one context. A key that is named has to be the one
// that wrapped.
struct Service {
  const char* alias = kFirst;  // what alias/colloquy is of

  std::string key_of(const json::object& body) const {
    std::string name(body.at("KeyId").as_string());
    return name == "alias/colloquy" ? alias : name;
  }
  static std::string secret_of(std::string_view key) {
    return std::string(kSecretBytes, key.back());
  }

  std::string serve(const ScriptedRequest& request) const {
    if (!is_signed(request)) return refusal("InvalidSignatureException");
    auto body = json::parse(request.body).as_object();
    auto context = json::serialize(body.at("EncryptionContext"));
    if (header(request, "X-Amz-Target") == "TrentService.Encrypt") {
      auto key = key_of(body);
      if (key != kFirst && key != kSecond) return refusal("NotFoundException");
      auto plain = base64_decode(std::string(body.at("Plaintext").as_string())).value();
      auto blob = key + "|" + seal(secret_of(key), plain, context);
      return ok({{"CiphertextBlob", base64_encode(blob)}, {"KeyId", key}});
    }
    auto blob = base64_decode(std::string(body.at("CiphertextBlob").as_string())).value();
    auto key = blob.substr(0, blob.find('|'));
    if (body.contains("KeyId") && key_of(body) != key) return refusal("IncorrectKeyException");
    auto plain = open(secret_of(key), blob.substr(key.size() + 1), context);
    if (!plain) return refusal("com.amazonaws.kms#InvalidCiphertextException");
    return ok({{"Plaintext", base64_encode(*plain)}, {"KeyId", key}});
  }

  void script(Peer& peer) const {
    while (auto request = peer.read_request()) peer.send(serve(*request));
  }
};

class KmsTest : public testing::Test {
 protected:
  KmsMasterKeys keys(const ScriptedServer& server, std::string key = "alias/colloquy") {
    KmsOptions options;
    options.key = std::move(key);
    options.endpoint = server.url("");
    options.region = "eu-west-1";
    options.policy.retry_delay = std::chrono::milliseconds(2);
    return {options, http_, credentials_, clock_};
  }
  template <class T>
  Error error_of(Task<T> task) {
    try {
      run_task(loop_, std::move(task));
    } catch (const Error& error) {
      return error;
    }
    ADD_FAILURE() << "nothing was thrown";
    return internal_error("");
  }

  ManualClock clock_{kNowMs};
  boost::asio::io_context loop_;
  net::HttpClient http_{net::HttpClient::Options{}};
  std::shared_ptr<aws::CachingCredentials> credentials_ = std::make_shared<aws::CachingCredentials>(
      std::make_shared<aws::StaticCredentials>(kCredentials), clock_);
};

void script(Peer& peer) { Service().script(peer); }

TEST_F(KmsTest, WhatIsWrappedIsUnwrappedInItsContextAlone) {
  ScriptedServer server(script);
  auto masters = keys(server);
  auto wrapped = run_task(loop_, masters.wrap(std::string(32, 's'), "alice"));
  EXPECT_EQ(wrapped.master, std::string("kms:") + kFirst);
  EXPECT_EQ(wrapped.bytes.find("ssss"), std::string::npos);
  EXPECT_TRUE(masters.unwraps(wrapped.master));
  EXPECT_EQ(run_task(loop_, masters.unwrap(wrapped, "alice")), std::string(32, 's'));
  auto error = error_of(masters.unwrap(wrapped, "bob"));
  EXPECT_EQ(error.code(), ErrorCode::kInternal);
  EXPECT_THAT(error.detail(), HasSubstr("InvalidCiphertextException"));
  wrapped.bytes.back() = static_cast<char>(wrapped.bytes.back() ^ 1);
  EXPECT_EQ(error_of(masters.unwrap(wrapped, "alice")).code(), ErrorCode::kInternal);
}

TEST_F(KmsTest, AnAliasMayBeMovedToAnotherKey) {
  Service before;
  Service after;
  after.alias = kSecond;
  ScriptedServer first([&](Peer& peer) { before.script(peer); });
  ScriptedServer second([&](Peer& peer) { after.script(peer); });
  auto old_masters = keys(first);
  auto masters = keys(second);
  auto wrapped = run_task(loop_, old_masters.wrap(std::string(32, 's'), "alice"));
  EXPECT_EQ(run_task(loop_, masters.unwrap(wrapped, "alice")), std::string(32, 's'));
  // What was wrapped when the name that was given was noted, and not the key.
  wrapped.master = "kms:alias/colloquy";
  EXPECT_EQ(run_task(loop_, masters.unwrap(wrapped, "alice")), std::string(32, 's'));
  // A rotation sees that there is something to do.
  EXPECT_EQ(run_task(loop_, old_masters.current()), std::string("kms:") + kFirst);
  EXPECT_EQ(run_task(loop_, masters.current()), std::string("kms:") + kSecond);
  EXPECT_EQ(run_task(loop_, masters.wrap("secret", "alice")).master, std::string("kms:") + kSecond);
}

TEST_F(KmsTest, RotationFollowsAnAliasThatWasMoved) {
  store::TemporaryFolder folder;
  FolderKeyStorage storage(folder / "keys");
  auto id = run_task(loop_, storage.id(true));
  Service service;
  ScriptedServer server([&](Peer& peer) { service.script(peer); });
  auto masters = keys(server);
  Keyring keyring(id, storage, masters, clock_);
  auto key = run_task(loop_, keyring.find_or_make(UserId("alice")));
  EXPECT_EQ(run_task(loop_, keyring.rotate({})).as_they_were, 1U);
  Service moved;
  moved.alias = kSecond;
  ScriptedServer later([&](Peer& peer) { moved.script(peer); });
  auto now = keys(later);
  Keyring rotating(id, storage, now, clock_);
  EXPECT_EQ(run_task(loop_, rotating.rotate({})).wrapped_anew, 1U);
  EXPECT_EQ(run_task(loop_, rotating.rotate({})).as_they_were, 1U);
  EXPECT_EQ(run_task(loop_, rotating.find(UserId("alice")))->id(), key->id());
}

TEST_F(KmsTest, WhatTheServiceRefusesIsUnavailableAndNamed) {
  ScriptedServer server(script);
  auto unknown = keys(server, "alias/other");
  auto error = error_of(unknown.wrap(std::string(32, 's'), "alice"));
  EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
  EXPECT_THAT(error.detail(), HasSubstr("NotFoundException"));
  ScriptedServer garbled([](Peer& peer) {
    while (peer.read_request()) peer.send(response(200, "[]", "application/json", ""));
  });
  auto masters = keys(garbled);
  EXPECT_EQ(error_of(masters.wrap("s", "alice")).code(), ErrorCode::kUnavailable);
  ScriptedServer silent([](Peer& peer) { peer.read_request(); });
  auto cut = keys(silent);
  EXPECT_EQ(error_of(cut.wrap("s", "alice")).code(), ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace colloquy::keyring
