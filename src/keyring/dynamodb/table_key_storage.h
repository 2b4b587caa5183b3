// A keyring in a table of its own in DynamoDB: an item for each user's key, and one with its id.
// Thread-safe; each call runs on the event loop that awaits it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "keyring/key_storage.h"
#include "store/dynamodb/client.h"

namespace colloquy::keyring {

class TableKeyStorage final : public KeyStorage {
 public:
  // The client outlives it. Where the table is not there, calls throw kUnavailable and say so.
  TableKeyStorage(std::string table, store::dynamodb::Client& client)
      : table_(std::move(table)), client_(client) {}

  // Makes the table where it is missing, and waits until it is there.
  Task<> create();
  // What is not as it must be, a sentence each without its full stop. What the service does not let
  // us ask is not known.
  Task<std::vector<std::string>> faults();

  Task<std::string> id(bool make) override;
  Task<std::optional<KeyRecord>> find(std::string name) override;
  Task<bool> put_new(std::string name, KeyRecord record) override;
  Task<bool> replace(std::string name, KeyRecord before, KeyRecord after) override;
  Task<bool> erase(std::string name, std::string key_id) override;
  Task<KeyPage> list(std::string position) override;

 private:
  Task<boost::json::object> call(std::string operation, boost::json::object body);
  // False where the condition does not hold.
  Task<bool> put(boost::json::object item, std::string condition, boost::json::object values);

  const std::string table_;
  store::dynamodb::Client& client_;
};

}  // namespace colloquy::keyring
