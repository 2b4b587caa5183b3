# Sourced by ./run and ./test: installs the Debian packages that are missing.

build_packages="g++ cmake ninja-build ccache ca-certificates
  libboost1.81-dev libboost-json1.81-dev librocksdb-dev libcli11-dev
  prometheus-cpp-dev libssl-dev zlib1g-dev
  libsqlite3-dev libutf8proc-dev"

test_packages="clang-14 libclang-rt-14-dev llvm-14 clang-format-14 clang-tidy-14 libgtest-dev
  libgmock-dev openssl curl procps mount default-jre-headless bsdutils
  zip unzip jq systemd systemd-container dpkg-dev file debootstrap buildah runc"

bench_packages="wrk"

install_missing() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  echo "installing ${missing[*]}" >&2
  local root=()
  [ "$(id -u)" -eq 0 ] || root=(sudo)
  "${root[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get install -y -qq --no-install-recommends \
    "${missing[@]}" >&2
}

# nginx into build/nginx, for bench/run. The package is not installed: that would start a server.
unpack_nginx() {
  [ -x build/nginx/usr/sbin/nginx ] || command -v /usr/sbin/nginx >/dev/null && return
  mkdir -p build/nginx
  (cd build/nginx && apt-get download -qq nginx && dpkg -x nginx_*.deb .) >&2 ||
    echo "nginx is not to be had: measuring without it" >&2
}

# Published lists of path traversals into build/traversals, for the tests of files. Their package is not installed:
# it would bring Python along.
unpack_traversals() {
  [ -d build/traversals/usr/share/wfuzz/wordlist ] && return
  local root=()
  [ "$(id -u)" -eq 0 ] || root=(sudo)
  mkdir -p build/traversals
  (cd build/traversals &&
    { apt-get download -qq wfuzz || { "${root[@]}" apt-get update -qq && apt-get download -qq wfuzz; }; } &&
    dpkg -x wfuzz_*.deb . && rm wfuzz_*.deb) >&2
}

# Prometheus and promtool into build/prometheus, for the tests of rules and dashboard. Their package is not installed: that would
# start a server. They need no library but C's.
unpack_prometheus() {
  local programs=build/prometheus/usr/bin
  [ -x $programs/promtool ] && [ -x $programs/prometheus ] && return
  local root=()
  [ "$(id -u)" -eq 0 ] || root=(sudo)
  mkdir -p build/prometheus
  (cd build/prometheus &&
    { apt-get download -qq prometheus || { "${root[@]}" apt-get update -qq && apt-get download -qq prometheus; }; } &&
    dpkg -x prometheus_*.deb . && rm prometheus_*.deb) >&2
  if ldd $programs/promtool $programs/prometheus | grep 'not found' >&2; then
    echo "build/prometheus: this machine does not have these libraries" >&2
    return 1
  fi
}

# Node.js and npm, from Debian where the machine has none of its own.
install_node() {
  command -v node >/dev/null && command -v npm >/dev/null || install_missing nodejs npm
}
