#!/usr/bin/env bash
# Starts a cluster of one node, and KEDA in it, from what build.sh made. See README.md.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
state=$(cd "$here/../../.." && pwd)/.e2e/cluster
bin=$state/bin pki=$state/pki run=/run/airflow-wall-cluster
node=node address=10.89.0.2 services=10.96.0.0/16 service=10.96.0.1 pods=10.244.0.0/16
export KUBECONFIG=$pki/admin.conf
mkdir -p "$state"/{cni,log,pid,pki,volumes} "$run"

fail() { echo "error: $*" >&2; exit 1; }
inside() { nsenter --net=/run/netns/airflow-wall "$@"; }
kube() { inside kubectl "$@"; }
start() { # name, command
  local pid=$state/pid/$1
  [ -s "$pid" ] && kill -0 "$(cat "$pid")" 2>/dev/null && return
  setsid nsenter --net=/run/netns/airflow-wall "${@:2}" >"$state/log/$1.log" 2>&1 </dev/null &
  echo $! >"$pid"
}
until_answers() { # command
  for _ in $(seq 180); do "$@" >/dev/null 2>&1 && return; sleep 1; done
  fail "no answer for three minutes: $*; see $state/log"
}
for program in containerd dnsmasq docker etcd iptables kubectl runc; do
  command -v "$program" >/dev/null || fail "\`$program\` is not installed; README.md says from which packages"
done
[ -x "$bin/keda" ] || fail "nothing is built; run tests/e2e/cluster/build.sh"

# --- a network of its own: nothing in it leads out, whatever a pod asks for
if ! ip netns list | grep -qw airflow-wall; then
  ip netns add airflow-wall
  inside ip link set lo up
  inside ip link add node0 type veth peer name nowhere
  inside ip address add $address/24 dev node0
  inside ip link set node0 up
  inside ip link set nowhere up
  inside ip route add default dev node0
fi
inside sysctl --quiet --write net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1

# --- the control plane; what breaks Pod Security "restricted" is refused everywhere but where the cluster's own pods are
"$here/pki.sh" "$pki" $address $node $service
cat >"$state/admission.yaml" <<EOF
apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
  - name: PodSecurity
    configuration:
      apiVersion: pod-security.admission.config.k8s.io/v1
      kind: PodSecurityConfiguration
      defaults: {enforce: restricted, enforce-version: latest, warn: restricted, warn-version: latest}
      exemptions: {namespaces: [kube-system]}
EOF
start etcd etcd --data-dir "$state/etcd" --unsafe-no-fsync
start kube-apiserver "$bin/kube-apiserver" --etcd-servers http://127.0.0.1:2379 --advertise-address $address --allow-privileged \
  --tls-cert-file "$pki/apiserver.crt" --tls-private-key-file "$pki/apiserver.key" --client-ca-file "$pki/ca.crt" \
  --service-account-key-file "$pki/sa.pub" --service-account-signing-key-file "$pki/sa.key" \
  --service-account-issuer https://kubernetes.default.svc.cluster.local --service-cluster-ip-range $services \
  --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction --admission-control-config-file "$state/admission.yaml" \
  --kubelet-client-certificate "$pki/admin.crt" --kubelet-client-key "$pki/admin.key" --kubelet-certificate-authority "$pki/ca.crt" \
  --kubelet-preferred-address-types InternalIP \
  --requestheader-client-ca-file "$pki/ca.crt" --requestheader-allowed-names front-proxy \
  --requestheader-username-headers X-Remote-User --requestheader-group-headers X-Remote-Group \
  --requestheader-extra-headers-prefix X-Remote-Extra- \
  --proxy-client-cert-file "$pki/front-proxy.crt" --proxy-client-key-file "$pki/front-proxy.key"
until_answers kube get --raw /readyz
own=(--kubeconfig "$KUBECONFIG" --authentication-kubeconfig "$KUBECONFIG" --authorization-kubeconfig "$KUBECONFIG" --leader-elect=false)
start kube-controller-manager "$bin/kube-controller-manager" "${own[@]}" --use-service-account-credentials \
  --service-account-private-key-file "$pki/sa.key" --root-ca-file "$pki/ca.crt" --cluster-cidr $pods
start kube-scheduler "$bin/kube-scheduler" "${own[@]}"

# --- the node
cat >"$state/cni/10-pods.conflist" <<EOF
{"cniVersion": "0.4.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "pods0", "isGateway": true, "hairpinMode": true, "ipam": {"type": "host-local",
   "dataDir": "$run/addresses", "ranges": [[{"subnet": "$pods"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
EOF
# `restrict_oom_score_adj`: without the right to raise a process's priority when memory runs out, e.g. in a container,
# no pod would start otherwise.
cat >"$state/containerd.toml" <<EOF
version = 2
root = "$state/containerd"
state = "$run/containerd"
[grpc]
  address = "$run/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$state/cni"
EOF
cat >"$state/kubelet.yaml" <<EOF
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {x509: {clientCAFile: $pki/ca.crt}, anonymous: {enabled: false}, webhook: {enabled: true}}
authorization: {mode: Webhook}
tlsCertFile: $pki/node.crt
tlsPrivateKeyFile: $pki/node.key
containerRuntimeEndpoint: unix://$run/containerd.sock
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
clusterDNS: [$address]
clusterDomain: cluster.local
resolvConf: $state/resolv.conf
evictionHard: {memory.available: 200Mi, nodefs.available: 1Gi, imagefs.available: 1Gi}
imageGCHighThresholdPercent: 100
EOF
: >"$state/resolv.conf"
start containerd containerd --config "$state/containerd.toml"
until_answers ctr --address "$run/containerd.sock" version
"$here/images.sh"
start kubelet "$bin/kubelet" --config "$state/kubelet.yaml" --kubeconfig "$pki/node.conf" --hostname-override $node \
  --node-ip $address --root-dir "$state/kubelet"
start kube-proxy "$bin/kube-proxy" --kubeconfig "$KUBECONFIG" --hostname-override $node --cluster-cidr $pods --proxy-mode iptables \
  --conntrack-max-per-core 0 --conntrack-min 0 --conntrack-tcp-timeout-established 0s --conntrack-tcp-timeout-close-wait 0s
start dns "$here/dns.sh" $address "$state/dns"

# --- volumes, as many as a few releases want, and KEDA
kube apply --filename - <<EOF
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: standard, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: kubernetes.io/no-provisioner
EOF
for n in $(seq 20); do
  install --directory --mode 777 "$state/volumes/$n"
  echo "---
apiVersion: v1
kind: PersistentVolume
metadata: {name: volume-$n}
spec: {capacity: {storage: 10Gi}, accessModes: [ReadWriteOnce, ReadWriteMany], storageClassName: standard, hostPath: {path: $state/volumes/$n}}"
done | kube apply --filename - >/dev/null
keda=$(cd "$state/go/keda" && GOFLAGS=-mod=mod go list -m -f '{{.Dir}}' github.com/kedacore/keda/v2)
kubectl kustomize "$keda/config/default" \
  | sed 's#image: ghcr.io/kedacore/.*#image: localhost/keda:1#; s#imagePullPolicy: Always#imagePullPolicy: IfNotPresent#' \
  | kube apply --server-side --filename - >/dev/null
until_answers kube --namespace keda wait deployment --all --for condition=Available --timeout 60s
until_answers kube get --raw /apis/external.metrics.k8s.io/v1beta1
kube get nodes
