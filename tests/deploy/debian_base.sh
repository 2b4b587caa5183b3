#!/usr/bin/env bash
# Makes the folder $1/base.tar: a Debian 12 with nothing in it but what every Debian has, by debootstrap. Quick where it is there
# already. Where this machine cannot make one, it says so, and the tests that need it say that they are skipped.
set -euo pipefail
folder=$1
mkdir -p "$folder"
exec 9>"$folder/.lock"
flock 9
[ ! -e "$folder/base.tar" ] || exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v debootstrap >/dev/null; then
  echo "!!!! SKIPPED: package and image: debootstrap needs root and its package" >&2
  exit 77
fi
work=$(mktemp -d "$folder/debootstrap.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
# Nothing here outlives a crash of the machine, so nothing waits for its disk.
if ! DPKG_FORCE=unsafe-io debootstrap --variant=minbase bookworm "$work" >"$folder/debootstrap.log" 2>&1; then
  tail -n 5 "$folder/debootstrap.log" >&2
  echo "!!!! SKIPPED: package and image: debootstrap does not work here" >&2
  exit 77
fi
chmod 0755 "$work"
# As Debian's own images have it.
echo force-unsafe-io >"$work/etc/dpkg/dpkg.cfg.d/unsafe-io"
echo 'Acquire::Languages "none";' >"$work/etc/apt/apt.conf.d/no-languages"
rm -f "$work"/var/cache/apt/archives/*.deb
tar -C "$work" -cf "$folder/base.tar.part" .
mv "$folder/base.tar.part" "$folder/base.tar"
