#!/usr/bin/env bash
# Runs a command with a DynamoDB Local of its own, empty and on loopback only:
#   with_local.sh FOLDER COMMAND…
# FOLDER is where fetch.sh has put it. The command finds it in COLLOQUY_TEST_DYNAMODB (a URL).
set -euo pipefail
folder=$1
shift
emulator=$(echo "$folder"/*/emulator)
log=$(mktemp)
for _ in 1 2 3 4 5; do
  port=$((20000 + RANDOM % 10000))
  (cd "$emulator" && exec env LD_PRELOAD="$folder/loopback_bind.so" java -Xmx1g -XX:+UseSerialGC \
    -XX:TieredStopAtLevel=1 -Djava.net.preferIPv4Stack=true -Djava.library.path=DynamoDBLocal_lib \
    -jar DynamoDBLocal.jar -disableTelemetry -inMemory -sharedDb -port "$port") >"$log" 2>&1 9>&- &
  java=$!
  trap 'kill $java 2>/dev/null || true; wait $java 2>/dev/null || true; rm -f "$log"' EXIT
  for _ in $(seq 600); do
    if curl -s -o /dev/null --max-time 2 "http://127.0.0.1:$port/"; then
      COLLOQUY_TEST_DYNAMODB="http://127.0.0.1:$port" "$@"
      exit $?
    fi
    kill -0 $java 2>/dev/null || break # the port was taken
    sleep 0.1
  done
  kill $java 2>/dev/null || true
done
cat "$log" >&2
echo "DynamoDB Local did not start" >&2
exit 1
