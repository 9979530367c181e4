#!/usr/bin/env bash
# Makes an authority, the certificates of a cluster of one node, and its kubeconfigs: FOLDER ADDRESS NODE SERVICE.
set -euo pipefail
cd "$1"; address=$2; node=$3; service=$4
[ -s admin.conf ] && exit 0

key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }
signed() { # name, subject, further extensions
  key "$1"
  openssl req -new -key "$1.key" -subj "$2" -out "$1.csr"
  printf '%s\n' subjectKeyIdentifier=hash authorityKeyIdentifier=keyid "${@:3}" >"$1.ext"
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile "$1.ext" -out "$1.crt" 2>/dev/null
}

key ca
openssl req -x509 -new -key ca.key -days 30 -subj /CN=cluster -addext keyUsage=critical,keyCertSign,digitalSignature -out ca.crt
key sa
openssl ec -in sa.key -pubout -out sa.pub 2>/dev/null
names=$(printf ',DNS:%s' localhost kubernetes kubernetes.default kubernetes.default.svc kubernetes.default.svc.cluster.local)
signed apiserver /CN=kube-apiserver extendedKeyUsage=serverAuth "subjectAltName=IP:127.0.0.1,IP:$address,IP:$service$names"
signed admin /O=system:masters/CN=admin extendedKeyUsage=clientAuth
signed front-proxy /CN=front-proxy extendedKeyUsage=clientAuth
signed node "/O=system:nodes/CN=system:node:$node" extendedKeyUsage=serverAuth,clientAuth "subjectAltName=IP:$address,DNS:$node"

for who in admin node; do
  conf() { kubectl --kubeconfig "$who.conf" config "$@" >/dev/null; }
  conf set-cluster here --server=https://127.0.0.1:6443 --certificate-authority=ca.crt --embed-certs
  conf set-credentials "$who" --client-certificate="$who.crt" --client-key="$who.key" --embed-certs
  conf set-context here --cluster=here --user="$who"
  conf use-context here
done
