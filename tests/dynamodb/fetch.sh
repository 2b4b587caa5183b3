#!/usr/bin/env bash
# Fetches Amazon's DynamoDB Local into the folder $1, and builds what keeps it on loopback. Its
# licence forbids to pass it on, so it is never part of the repository (docs/dependencies.md).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
package=amplify-dynamodb-simulator
version=2.9.30
folder=$1
mkdir -p "$folder"
exec 9>"$folder/.lock"
flock 9
if [ ! -e "$folder/$version/emulator/DynamoDBLocal.jar" ]; then
  work=$(mktemp -d "$folder/fetch.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  (cd "$work" && npm pack --silent "$package@$version" >/dev/null)
  tar -xzf "$work/$package-$version.tgz" -C "$work"
  rm -rf "${folder:?}/$version"
  mv "$work/package" "$folder/$version"
fi
if [ ! -e "$folder/loopback_bind.so" ] || [ "$here/loopback_bind.c" -nt "$folder/loopback_bind.so" ]; then
  cc -Wall -Wextra -O2 -shared -fPIC -o "$folder/loopback_bind.so" "$here/loopback_bind.c" -ldl
fi
