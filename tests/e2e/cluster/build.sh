#!/usr/bin/env bash
# Builds Kubernetes and KEDA from their Go modules into .e2e/cluster/bin: half an hour on two cores, once.
set -euo pipefail
cd "$(dirname "$0")"
here=$PWD
kubernetes=${KUBERNETES_VERSION:-1.35.0}
keda=${KEDA_VERSION:-2.20.2}
state=$(cd ../../.. && pwd)/.e2e/cluster
mkdir -p "$state/bin" "$state/go/kube" "$state/go/keda"
export GOFLAGS="-mod=mod -buildvcs=false" CGO_ENABLED=0

# Print the path of the go.mod of a module. Go ignores its `replace` and `exclude`, because it is not the main module.
file() { go mod download -json "$1" | sed -n 's/^\t"GoMod": "\(.*\)",$/\1/p'; }

cd "$state/go/kube"
cp "$here/kube.go" .
given=$(file "k8s.io/kubernetes@v$kubernetes")
{
  echo "module cluster"
  grep '^go ' "$given"
  echo "require k8s.io/kubernetes v$kubernetes"
  # Kubernetes finds its parts in folders of its repository; they are published under the same number, but with 0.
  sed -n "s#^\t\(k8s.io/[a-z-]*\) => ./staging.*#replace \1 => \1 v0.${kubernetes#*.}#p" "$given"
} >go.mod
go mod tidy
version=k8s.io/component-base/version
go build -ldflags "-s -w -X $version.gitVersion=v$kubernetes -X $version.gitMajor=1 -X $version.gitMinor=$(cut -d. -f2 <<<"$kubernetes")" \
  -o "$state/bin/kube" .
for part in kube-apiserver kube-controller-manager kube-proxy kube-scheduler kubelet; do ln -sf kube "$state/bin/$part"; done

cd "$state/go/keda"
given=$(file "github.com/kedacore/keda/v2@v$keda")
{
  echo "module keda"
  grep '^go ' "$given"
  echo "require github.com/kedacore/keda/v2 v$keda"
  for program in adapter operator webhooks; do echo "tool github.com/kedacore/keda/v2/cmd/$program"; done
  sed -n '/^\(replace\|exclude\) ($/,/^)$/p; /^\(replace\|exclude\) [^(]/p' "$given"
} >go.mod
go mod tidy
for pair in keda=operator keda-adapter=adapter keda-admission-webhooks=webhooks; do
  go build -ldflags "-s -w" -o "$state/bin/${pair%=*}" "github.com/kedacore/keda/v2/cmd/${pair#*=}"
done
