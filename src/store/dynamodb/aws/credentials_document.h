// The JSON document in which the container endpoint and the instance metadata service hand out
// credentials. A pure function; any thread.
#pragma once

#include <string_view>

#include "store/dynamodb/aws/credentials.h"

namespace colloquy::aws {

// Throws provider_failure when it is no such document, or one whose `Code` is another than
// "Success". The error never holds a piece of it, but that code where it looks like one.
Credentials parse_credentials_document(std::string_view text, std::string_view provider);

// A vendor's error code as a log may show it: itself when it is one word of at most 64 letters,
// digits and dots, else "an unreadable code".
std::string_view loggable_code(std::string_view code);

}  // namespace colloquy::aws
