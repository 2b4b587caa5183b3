#!/bin/sh
# pipe.sh WRITER ARGUMENT READER ARGUMENT...: gives what the writer writes to the
# reader and fails if either of them does.
set -eu
output=$(mktemp)
trap 'rm -f "$output"' EXIT
"$1" "$2" >"$output"
shift 2
"$@" <"$output"
