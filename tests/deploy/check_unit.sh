#!/bin/bash
# Runs inside the Debian that package.test.mjs boots: uses the service as systemd runs it, and writes what it saw to /var/check.log.
exec >/var/check.log 2>&1
set -x
fail() { echo "FAILED: $*"; journalctl -u colloquy --no-pager | tail -n 50; systemctl status colloquy --no-pager; exit 1; }
listens() {
  for _ in $(seq 300); do
    if (exec 3<>/dev/tcp/127.0.0.1/8080); then return; fi
    sleep 0.1
  done
  fail "nobody listens"
}
# The operator's page, as it stands.
bash -euxo pipefail /root/page.sh || fail "the page"
listens
systemctl is-active colloquy || fail "it does not run"

ask() { # <method> <path> <body>: the status and the body
  exec 3<>/dev/tcp/127.0.0.1/8080 || fail "nobody listens"
  printf '%s %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %s\r\nConnection: close\r\n\r\n%s' \
    "$1" "$2" "$token" "${#3}" "$3" >&3
  cat <&3
}
token=$(runuser -u colloquy -- colloquy token --data /var/lib/colloquy/data --user alice) || fail "no token"
ask POST /generate '{"prompt": "My name is Alice."}' | tee /tmp/answer | grep -q 'HTTP/1.1 200' || fail "no answer: $(cat /tmp/answer)"
ask PUT /files/notes.txt 'hello' | grep -q 'HTTP/1.1 201' || fail "no file"
[ "$(cat /app/user_data/alice/notes.txt)" = hello ] || fail "the file is not where the page says"
ask GET '/search?q=Alice' '' | grep -q 'HTTP/1.1 200' || fail "no search"

pid=$(systemctl show -p MainPID --value colloquy)
grep -q '^NoNewPrivs:.1$' "/proc/$pid/status" || fail "privileges"
grep -q '^Seccomp:.2$' "/proc/$pid/status" || fail "no filter of system calls"
grep -q '^CapEff:.0*$' "/proc/$pid/status" || fail "capabilities"
grep -q '^CapBnd:.0*$' "/proc/$pid/status" || fail "bounding set"
[ "$(stat -c %U "/proc/$pid")" = colloquy ] || fail "user"
[ "$(stat -c %a /var/lib/colloquy)" = 700 ] || fail "others may look into the data"
# What the process may not see or write: its own mounts say so.
grep -qE ' / / ro[, ]' "/proc/$pid/mountinfo" || grep -E ' / ' "/proc/$pid/mountinfo" | grep -qE ' ro[, ]' || fail "it may write everywhere"

kill -KILL "$pid"
for _ in $(seq 100); do
  [ "$(systemctl show -p MainPID --value colloquy)" != "$pid" ] && systemctl is-active colloquy && break
  sleep 0.2
done
listens
ask GET /conversations '' | tee /tmp/answer | grep -q 'My name is Alice' || fail "it has forgotten: $(cat /tmp/answer)"
systemctl stop colloquy || fail "stop"
[ "$(systemctl show -p Result --value colloquy)" = success ] || fail "it did not stop in order"
[ "$(systemctl show -p ExecMainStatus --value colloquy)" = 0 ] || fail "exit status"
journalctl -u colloquy --no-pager | grep -q 'server.stopped' || fail "log"
echo "all is well"
