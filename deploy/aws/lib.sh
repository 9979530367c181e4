#!/usr/bin/env bash
# Functions and names for install.sh, first-run.sh and destroy.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
export KUBECONFIG=$PWD/.kubeconfig # your own kubeconfig stays as it is

step() { echo "== $*"; }
fail() { echo "error: $*" >&2; exit 1; }
need() { # programs
  for program; do command -v "$program" >/dev/null || fail "\`$program\` is not installed"; done
}
installation() { # key: one value of terraform's output
  terraform output -json installation | python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"
}
kube() { kubectl --namespace airflow "$@"; }
connect() {
  terraform output -json installation >/dev/null 2>&1 || fail "nothing is installed yet: run \`terraform apply\` first"
  cluster=$(installation cluster) region=$(installation region)
  aws eks update-kubeconfig --name "$cluster" --region "$region" --kubeconfig "$KUBECONFIG" >/dev/null
}
