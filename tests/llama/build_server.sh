#!/usr/bin/env bash
# Builds llama.cpp's own server into the folder of llama.cpp $1 (scripts/fetch_llama.sh); quick the second time.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$1
exec 9>"$folder/.server.lock"
flock 9
[ -f "$folder/server/build.ninja" ] || cmake -G Ninja -S "$here/server" -B "$folder/server" -DLLAMA_FOLDER="$folder"
cmake --build "$folder/server"
