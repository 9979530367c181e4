#!/usr/bin/env bash
# Gives the node the images that the chart asks for: our own, stand-ins (tests/e2e/standins), a pause, and KEDA's.
set -euo pipefail
cd "$(dirname "$0")/../../.."
state=$PWD/.e2e/cluster
into() { docker save "$@" | ctr --address /run/airflow-wall-cluster/containerd.sock --namespace k8s.io images import - >/dev/null; }

work=$state/images
mkdir -p "$work"
cat >"$work/pause.c" <<'EOF'
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
static void end(int signal) { _exit(0); }
static void reap(int signal) { while (waitpid(-1, 0, WNOHANG) > 0); }
int main(void) { signal(SIGINT, end); signal(SIGTERM, end); signal(SIGCHLD, reap); for (;;) pause(); }
EOF
cc -static -Os -o "$work/pause" "$work/pause.c"
tar --directory "$work" --create pause | docker import --change 'ENTRYPOINT ["/pause"]' - localhost/pause:1 >/dev/null
tar --directory "$state/bin" --create keda keda-adapter keda-admission-webhooks \
  | docker import --change 'USER 65532:65532' - localhost/keda:1 >/dev/null
docker tag airflow-wall:e2e airflow-wall:0.1.0
docker tag airflow-wall-standin/postgres postgres:17
docker tag airflow-wall-standin/redis redis:7.4
docker tag airflow-wall-standin/statsd-exporter quay.io/prometheus/statsd-exporter:v0.30.0
into localhost/pause:1 localhost/keda:1 airflow-wall:0.1.0 postgres:17 redis:7.4 quay.io/prometheus/statsd-exporter:v0.30.0
