#!/usr/bin/env bash
# Hit every part of a whole Airflow, with LocalExecutor and with CeleryExecutor. ONLY names cases, with patterns and
# commas; EXECUTOR is `local` or `celery`. Without either, docs/faults.md is written anew.
set -euo pipefail
cd "$(dirname "$0")/../.."

. tests/venv.sh
use_venv faults -c constraints.txt -r pyproject.toml --extra local --extra amazon --extra google --extra spark --group faults

results=.venvs/fault-results status=0
mkdir -p "$results"
for executor in ${EXECUTOR:-local celery}; do
  "$VENV/bin/python" tests/faults/main.py --executor "$executor" ${ONLY:+--only "$ONLY"} --results "$results/$executor.json" || status=1
done
if [ -z "${ONLY:-}${EXECUTOR:-}" ]; then
  "$VENV/bin/python" tests/faults/report.py "$results/local.json" "$results/celery.json" --page docs/faults.md
fi
exit $status
