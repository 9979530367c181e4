#!/usr/bin/env bash
# Run a pipeline once in the cluster and wait for its end: first-run.sh PIPELINE [DATE]. Prints how many workers run.
. "$(dirname "$0")/lib.sh"
need terraform aws kubectl

pipeline=${1:?usage: first-run.sh PIPELINE [DATE]} date=${2:-$(date --utc +%Y-%m-%d)}
run=first-run-$(date --utc +%Y%m%dT%H%M%S)
airflow() { kube exec deployment/airflow-scheduler --container scheduler -- airflow "$@" 2>/dev/null; }
state() { airflow dags list-runs "$pipeline" --output json | python3 -c '
import json, sys
print(next((run["state"] for run in json.load(sys.stdin) if run["run_id"] == sys.argv[1]), "unknown"))' "$run"; }

connect
step "start $pipeline for $date as $run"
airflow dags unpause --yes "$pipeline" >/dev/null || fail "Airflow has no pipeline $pipeline: see \`airflow dags list-import-errors\`"
airflow dags trigger "$pipeline" --run-id "$run" --logical-date "$date" >/dev/null
before=
while :; do
  now="$(state), $(kube get deployment/airflow-worker --output 'jsonpath={.status.readyReplicas}') workers"
  [ "$now" = "$before" ] || step "$now"
  before=$now
  case $now in success*) exit 0 ;; failed*) fail "the run failed; its log: kubectl --namespace airflow port-forward service/airflow-api-server 8080" ;; esac
  sleep 10
done
