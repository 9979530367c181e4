#!/usr/bin/env bash
# Render every values set and look through it with checkov. What is let through is in checkov.yaml, with the reason.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
for values in helm/values.yaml helm/ci/*-values.yaml; do
  helm template wall helm --namespace data --values "$values" >"$folder/$(basename "$values")"
done
uv tool run 'checkov>=3.3,<4' --config-file helm/ci/checkov.yaml --directory "$folder"
