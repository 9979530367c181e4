#!/usr/bin/env bash
# Install the chart on the cluster of KUBECONFIG, run `helm test`, scale a queue from 0 and back to 0 with tasks running,
# upgrade in the middle of them, and remove it all. Nothing else on the cluster is touched.
#
#   IMAGE      what to install, as repository:tag; the cluster must be able to have it  (airflow-wall:0.1.0)
#   NAMESPACE  made for this, and removed                                             (airflow-wall-e2e)
#   TIMEOUT    for each step                                                          (20m)
set -euo pipefail
cd "$(dirname "$0")/../.."

IMAGE=${IMAGE:-airflow-wall:0.1.0}
NAMESPACE=${NAMESPACE:-airflow-wall-e2e}
TIMEOUT=${TIMEOUT:-20m}
NAME=wall-airflow-wall

fail() { echo "error: $*" >&2; exit 1; }
step() { echo "== $(date +%T) $*"; }
kube() { kubectl --namespace "$NAMESPACE" "$@"; }

for program in kubectl helm; do
  command -v "$program" >/dev/null || fail "\`$program\` is not installed"
done
kubectl version --request-timeout=10s >/dev/null 2>&1 || fail "no cluster answers; set KUBECONFIG, or \`kind create cluster\`"
kubectl get crd scaledobjects.keda.sh >/dev/null 2>&1 || fail "the cluster has no KEDA; see docs/deployment/kubernetes.md, Trying it with kind"
kubectl get namespace "$NAMESPACE" >/dev/null 2>&1 && fail "namespace $NAMESPACE is there already; remove it, or set NAMESPACE"

chart() {
  helm --namespace "$NAMESPACE" "$1" wall helm --values helm/ci/dev-values.yaml --values tests/e2e/kubernetes-values.yaml \
    --set "images.airflow.repository=${IMAGE%:*}" --set "images.airflow.tag=${IMAGE##*:}" --wait --timeout "$TIMEOUT" "${@:2}"
}

clean() {
  local code=$?
  if [ "$code" != 0 ]; then
    kube get pods,scaledobjects,hpa,jobs || true
    kube get events --sort-by=.lastTimestamp | tail -30 || true
    kube logs "deployment/$NAME-scheduler" --tail=50 || true
  fi
  step "remove"
  helm --namespace "$NAMESPACE" uninstall wall --wait --timeout "$TIMEOUT" || true
  kubectl delete namespace "$NAMESPACE" --timeout "$TIMEOUT" || true
  exit "$code"
}

# Print the result of a query of the metadata database.
asked() {
  kube exec "deployment/$NAME-scheduler" --container scheduler -- python -c '
import sys
from airflow import settings
from sqlalchemy import text
settings.configure_orm()
with settings.engine.connect() as database:
    print(database.execute(text(sys.argv[1])).scalar())' "$1" | tail -1
}

# Wait until a command prints what is expected, as a regular expression.
until_is() {
  local expected=$1 found='' deadline=$((SECONDS + 1200))
  shift
  while found=$("$@" 2>/dev/null || true); ! [[ $found =~ ^($expected)$ ]]; do
    [ "$SECONDS" -lt "$deadline" ] || fail "\`$*\` is $found, not $expected"
    sleep 5
  done
  echo "   $found"
}
workers() { kube get "deployment/$NAME-worker-burst" --output 'jsonpath={.spec.replicas}'; }
ending() {
  kube get pods --selector app.kubernetes.io/component=worker,airflow-wall/set=burst \
    --output 'jsonpath={.items[*].metadata.deletionTimestamp}' | wc -w
}
running() { asked "SELECT count(*) FROM task_instance WHERE dag_id = 'burst' AND state = 'running'"; }

trap clean EXIT
step "install"
chart install --create-namespace
step "helm test"
helm --namespace "$NAMESPACE" test wall --logs --timeout "$TIMEOUT"
step "no tasks: no workers of queue burst"
until_is 0 workers
step "six tasks of five minutes: three workers"
kube exec "deployment/$NAME-scheduler" --container scheduler -- airflow dags unpause --yes burst >/dev/null
kube exec "deployment/$NAME-scheduler" --container scheduler -- airflow dags trigger burst >/dev/null
until_is 3 workers
until_is 6 running
step "upgrade while they run: all pods are renewed, and the old workers finish their tasks"
chart upgrade --set config.core.parallelism=64
until_is 3 ending
[ "$(running)" != 0 ] || fail "all tasks ended before their workers were told to: this cluster is too slow for the test"
step "the run succeeds, each task in its first try"
until_is 'success|failed' asked "SELECT state FROM dag_run WHERE dag_id = 'burst'"
until_is 'success' asked "SELECT state FROM dag_run WHERE dag_id = 'burst'"
until_is 6 asked "SELECT count(*) FROM task_instance WHERE dag_id = 'burst' AND state = 'success' AND try_number = 1"
step "no tasks: no workers"
until_is 0 workers
step "helm test again"
helm --namespace "$NAMESPACE" test wall --logs --timeout "$TIMEOUT"
step "passed"
