// What a person asks of the tables in DynamoDB (`colloquy tables`), and what a server that starts
// does.
#pragma once

#include <boost/asio/io_context.hpp>
#include <ostream>

#include "config/config.h"
#include "store/dynamodb/client.h"
#include "store/dynamodb/dynamodb_store.h"

namespace colloquy {

// Carries out the command and tells of it on `out`. Returns the exit status: 1 where a check has
// found an error. Throws Error.
int run_tables(const config::TablesCommand& command, std::ostream& out);

// Logs what is not quite as it should be. Throws ConfigError that says what to run where the tables
// are not there or not what they must be, or cannot be used, or do not answer within some seconds.
// Runs `loop` meanwhile, which then goes on with whatever else has begun on it.
void require_tables(store::dynamodb::Client& client, const config::DynamoDbConfig& config,
                    boost::asio::io_context& loop);
// Awaits the store's prepare() in the same way. Throws ConfigError.
void prepare_tables(store::DynamoDbStore& store, store::dynamodb::Client& client,
                    boost::asio::io_context& loop);

}  // namespace colloquy
