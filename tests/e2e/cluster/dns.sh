#!/usr/bin/env bash
# Answers for the names of Services: dnsmasq with a file of hosts that follows the API. ADDRESS FOLDER.
set -euo pipefail
address=$1; folder=$2
mkdir -p "$folder"
: >"$folder/hosts"
dnsmasq --keep-in-foreground --no-resolv --no-hosts --addn-hosts="$folder/hosts" --local=/cluster.local/ \
  --listen-address="$address" --bind-interfaces --user=root --log-facility=- &
server=$!
trap 'kill $server' EXIT
line='{{.spec.clusterIP}} {{.metadata.name}}.{{.metadata.namespace}}.svc.cluster.local{{"\n"}}'
while sleep 2; do
  kubectl get services --all-namespaces --output "go-template={{range .items}}$line{{end}}" >"$folder/new" || continue
  cmp -s "$folder/new" "$folder/hosts" || { cp "$folder/new" "$folder/hosts"; kill -HUP $server; }
done
