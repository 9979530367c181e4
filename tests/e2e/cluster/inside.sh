#!/usr/bin/env bash
# Runs a command where the cluster is, with its kubeconfig: `inside.sh make e2e-kubernetes`.
set -euo pipefail
export KUBECONFIG=$(cd "$(dirname "$0")/../../.." && pwd)/.e2e/cluster/pki/admin.conf
exec nsenter --net=/run/netns/airflow-wall "$@"
