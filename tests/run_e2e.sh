#!/usr/bin/env bash
# Runs the end-to-end and fault tests against a built server, and ends with their counts.
#
#   tests/run_e2e.sh                 all of them
#   tests/run_e2e.sh e2e             one folder
#   tests/run_e2e.sh e2e/tls         what begins so
#   COLLOQUY_BINARY=build/asan/colloquy tests/run_e2e.sh
#
# Exits with 0 only if every test passed.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"

COLLOQUY_BINARY="$(realpath -m "${COLLOQUY_BINARY:-$here/../build/release/colloquy}")"
export COLLOQUY_BINARY
cd "$here"
if [[ ! -x "$COLLOQUY_BINARY" ]]; then
  echo "run_e2e.sh: no program at $COLLOQUY_BINARY: build it, or set COLLOQUY_BINARY" >&2
  exit 2
fi
if ! cmp -s package-lock.json node_modules/.installed; then  # as ./test does
  npm ci --no-audit --no-fund
  cp package-lock.json node_modules/.installed
fi

files=()
for wanted in "${@:-}"; do
  shopt -s nullglob
  case "$wanted" in
    "") files+=(e2e/*.test.mjs fault/*.test.mjs) ;;
    *.test.mjs) files+=("$wanted") ;;
    *) if [[ -d "$wanted" ]]; then files+=("$wanted"/*.test.mjs); else files+=("$wanted"*.test.mjs); fi ;;
  esac
  shopt -u nullglob
done
if [[ ${#files[@]} -eq 0 ]]; then
  echo "run_e2e.sh: no tests match: $*" >&2
  exit 2
fi

exec node --test --test-reporter=spec "${files[@]}"
