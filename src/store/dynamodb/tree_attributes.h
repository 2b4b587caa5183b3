// The branches of a conversation as attributes of its item: `branches` (bytes: a format, then of
// each its parent, its fork and its first), `active_branch` and `active_up_to`. Each is left out
// where it says nothing. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "store/branches.h"
#include "store/dynamodb/attributes.h"

namespace colloquy::store::dynamodb {

// The value of `branches`; empty where there are none.
std::string branch_bytes(const BranchTable& tree);

void write_tree(AttributeWriter& to, const BranchTable& tree);
// kInternal for what no tree is.
BranchTable read_tree(const AttributeReader& from);

}  // namespace colloquy::store::dynamodb
