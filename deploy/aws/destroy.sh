#!/usr/bin/env bash
# Delete everything that was created, with all data: chart, nodes, load balancer, database, buckets, cluster, network.
. "$(dirname "$0")/lib.sh"
need terraform aws kubectl helm

connect
echo "This deletes cluster, database and buckets of \`$cluster\` in $region, with all data in them."
read -r -p "Type $cluster to go on: " answer
[ "$answer" = "$cluster" ] || fail "nothing was deleted"

# First what Kubernetes created outside of terraform: load balancers and nodes would keep the network from ending.
step "chart and nodes"
helm uninstall airflow --namespace airflow --ignore-not-found --wait --timeout 20m
kubectl delete namespace airflow --ignore-not-found --timeout 20m
helm uninstall keda --namespace keda --ignore-not-found --wait --timeout 10m
kubectl delete nodepools.karpenter.sh airflow-workers --ignore-not-found --timeout 20m

step "protection off"
terraform apply -auto-approve -var protect=false
step "everything else"
terraform destroy -auto-approve -var protect=false
rm -f "$KUBECONFIG"
