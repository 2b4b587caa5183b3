#!/usr/bin/env bash
# Makes a VolumeSnapshot of each claim in CLAIMS, waits until it can be used, and only then removes what is
# older than the newest KEEP of that claim. Ends with 1 where a claim got none; the others get theirs all the same.
set -euo pipefail
: "${NAMESPACE:?}" "${CLAIMS:?}" "${SNAPSHOT_CLASS:?}" "${INSTANCE:?}" "${KEEP:?}" "${READY_TIMEOUT:?}"
account=${SERVICE_ACCOUNT_FOLDER:-/var/run/secrets/kubernetes.io/serviceaccount}
host=$KUBERNETES_SERVICE_HOST
case $host in *:*) host="[$host]" ;; esac
base="https://$host:${KUBERNETES_SERVICE_PORT:-443}/apis/snapshot.storage.k8s.io/v1/namespaces/$NAMESPACE/volumesnapshots"

call() { # <method> <address> [<body>]: prints the answer, and fails for a status that is none of success
  # The token is renewed while this runs, and is no argument, which others could read.
  curl --silent --show-error --fail-with-body --max-time 30 --cacert "$account/ca.crt" \
    --header @<(echo "Authorization: Bearer $(cat "$account/token")") --header 'Content-Type: application/json' \
    --request "$1" "$2" ${3:+--data "$3"}
}

snapshot_of() { # <claim>
  local claim=$1 name body ready deadline old
  name="$claim-$(date -u +%Y%m%d-%H%M%S)"
  body=$(jq -n --arg name "$name" --arg claim "$claim" --arg class "$SNAPSHOT_CLASS" --arg instance "$INSTANCE" '{
    apiVersion: "snapshot.storage.k8s.io/v1", kind: "VolumeSnapshot",
    metadata: {name: $name, labels: {"colloquy/claim": $claim, "app.kubernetes.io/instance": $instance}},
    spec: {volumeSnapshotClassName: $class, source: {persistentVolumeClaimName: $claim}}}')
  call POST "$base" "$body" >/dev/null || return 1
  deadline=$((SECONDS + READY_TIMEOUT))
  while :; do
    # One answer that fails to come is no reason to leave a good snapshot behind.
    ready=$(call GET "$base/$name" | jq -r '.status.readyToUse // false') || ready=unknown
    [ "$ready" != true ] || break
    if [ "$SECONDS" -ge "$deadline" ]; then
      echo "$name was not ready after $READY_TIMEOUT seconds; nothing is removed" >&2
      return 1
    fi
    sleep "${POLL_SECONDS:-5}"
  done
  echo "$name is ready"
  # Whatever is older than the oldest that is kept goes, also what never became ready.
  old=$(call GET "$base?labelSelector=colloquy%2Fclaim%3D$claim" | jq -r --argjson keep "$KEEP" '
    def age: [.metadata.creationTimestamp, .metadata.name];
    [.items[] | select(.metadata.deletionTimestamp | not)]
    | ([.[] | select(.status.readyToUse)] | sort_by(age)) as $ready
    | select(($ready | length) > $keep) | ($ready[-$keep] | age) as $oldest
    | .[] | select(age < $oldest) | .metadata.name') || return 1
  for name in $old; do
    call DELETE "$base/$name" >/dev/null || return 1
    echo "$name is removed"
  done
}

failed=0
for claim in $CLAIMS; do
  snapshot_of "$claim" || { echo "$claim has no new snapshot" >&2; failed=1; }
done
exit "$failed"
