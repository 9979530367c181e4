#!/usr/bin/env bash
# Build and push the image, then install KEDA, the secrets, your pipelines and the chart. Run it again after every change:
# it replaces only what differs, and running tasks go on.
#
#   PIPELINES  folder with your pipelines                    (../../dags)
#   TAG        version of the image                          (the commit)
. "$(dirname "$0")/lib.sh"
need terraform aws kubectl helm docker curl git python3

PIPELINES=${PIPELINES:-../../dags}
KEDA=2.20.2
repository=../..
commit=$(git -C "$repository" rev-parse --short=12 HEAD)
[ -z "$(git -C "$repository" status --porcelain)" ] || commit=$commit-$(date +%Y%m%d%H%M%S)
TAG=${TAG:-$commit}
[ -d "$PIPELINES" ] || fail "there is no folder $PIPELINES; set PIPELINES"

step "connect"
connect
image=$(installation image)

step "image $image:$TAG"
if ! aws ecr describe-images --region "$region" --repository-name "${image#*/}" --image-ids "imageTag=$TAG" >/dev/null 2>&1; then
  aws ecr get-login-password --region "$region" | docker login --username AWS --password-stdin "${image%%/*}"
  docker build --platform linux/amd64 --build-arg EXTRAS=amazon --tag "$image:$TAG" "$repository"
  docker push "$image:$TAG"
fi

step "cluster"
kubectl apply --filename kubernetes/cluster.yaml
terraform output -raw node_pool | kubectl apply --filename -
helm upgrade --install keda keda --repo https://kedacore.github.io/charts --version "$KEDA" \
  --namespace keda --create-namespace --wait --timeout 10m

step "secrets"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
curl --fail --silent --show-error --output "$work/ca.crt" https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem
kube create configmap rds-authority --from-file="$work/ca.crt" --dry-run=client --output yaml |
  kubectl apply --server-side --force-conflicts --filename -
terraform output -json installation | IMAGE=$image:$TAG REGION=$region python3 -c '
import json, os, subprocess, sys
installation = json.load(sys.stdin)
def value(name):
    command = ["aws", "secretsmanager", "get-secret-value", "--region", os.environ["REGION"], "--secret-id", name]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["SecretString"]
secrets = {key: value(name) for key, name in installation["secrets"].items()}
json.dump({"installation": installation, "secrets": secrets, "image": os.environ["IMAGE"]}, sys.stdout)' |
  python3 kubernetes/manifests.py | kubectl apply --server-side --force-conflicts --filename -

step "pipelines of $PIPELINES"
files=()
for file in "$PIPELINES"/*; do
  case $file in *.yaml | *.yml | *.py | *.sql | *.md | *.txt) files+=(--from-file="$file") ;; esac
done
kube create configmap airflow-pipelines "${files[@]}" --dry-run=client --output yaml |
  kubectl apply --server-side --force-conflicts --filename -

step "airflow"
terraform output -raw values >"$work/values.yaml"
helm upgrade --install airflow "$repository/helm" --namespace airflow --values "$work/values.yaml" \
  --set-string "images.airflow.tag=$TAG" --wait --timeout 20m

ui=$(installation ui)
cat <<END

Airflow is installed. Use the cluster: export KUBECONFIG=$KUBECONFIG
UI: ${ui:-kubectl --namespace airflow port-forward service/airflow-api-server 8080, then http://localhost:8080}
User admin, password: aws secretsmanager get-secret-value --region $region --secret-id $cluster/admin-password --query SecretString --output text
END
