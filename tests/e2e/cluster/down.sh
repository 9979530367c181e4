#!/usr/bin/env bash
# Stops the cluster and forgets what was in it; what build.sh made stays.
set -uo pipefail
state=$(cd "$(dirname "$0")/../../.." && pwd)/.e2e/cluster
run=/run/airflow-wall-cluster
end() { # names
  for name in "$@"; do
    pid=$(cat "$state/pid/$name" 2>/dev/null) || continue
    kill "$pid" 2>/dev/null
    for _ in $(seq 20); do kill -0 "$pid" 2>/dev/null || break; sleep 0.5; done
    kill -9 "$pid" 2>/dev/null
    rm "$state/pid/$name"
  done
}
containers() { ctr --address "$run/containerd.sock" --namespace k8s.io "$@"; }

end kubelet dns kube-proxy kube-scheduler kube-controller-manager
networks=$(for id in $(containers containers list --quiet); do containers containers info "$id"; done | grep -o 'netns/cni-[^"]*' | sort -u)
for id in $(containers tasks list --quiet); do containers tasks delete --force "$id"; done >/dev/null 2>&1
for id in $(containers containers list --quiet); do containers containers delete "$id"; done >/dev/null 2>&1
end containerd kube-apiserver etcd
grep -oE "(${state}|${run})/[^ ]+" /proc/mounts | sort -r | xargs --no-run-if-empty umount
for network in $networks airflow-wall; do ip netns delete "${network#netns/}"; done
find /sys/fs/cgroup -depth -type d -path '*/kubepods*' -exec rmdir {} \; 2>/dev/null
rm -rf "$run" "${state:?}"/{etcd,kubelet,volumes,cni,dns,pki,log}
