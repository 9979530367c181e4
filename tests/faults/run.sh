#!/usr/bin/env bash
# Have every fault befall a whole Airflow, by LocalExecutor and by CeleryExecutor, in a venv apart.
set -euo pipefail
cd "$(dirname "$0")/../.."

PYTHON=${PYTHON:-python3}
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/airflow-wall
VENV=$CACHE/faults
STAMP=$VENV/.installed
WANTED=(-c constraints.txt -e '.[local,amazon,google]' --group faults)

if [ ! -e "$STAMP" ] || [ pyproject.toml -nt "$STAMP" ] || [ constraints.txt -nt "$STAMP" ] || [ "$(cat "$STAMP")" != "$PWD" ]; then
  uv=$(command -v uv || echo .venv/bin/uv)
  if [ -x "$uv" ]; then
    "$uv" venv --quiet --clear --python "$PYTHON" "$VENV"
    "$uv" pip install --quiet --compile-bytecode --python "$VENV/bin/python" "${WANTED[@]}"
  else
    "$PYTHON" -m venv --clear "$VENV"
    "$VENV/bin/python" -m pip install --quiet --upgrade 'pip>=25.1'
    "$VENV/bin/python" -m pip install --quiet "${WANTED[@]}"
  fi
  echo "$PWD" >"$STAMP"
fi

results=$VENV/results status=0
mkdir -p "$results"
for executor in ${EXECUTOR:-local celery}; do
  "$VENV/bin/python" tests/faults/main.py --executor "$executor" ${ONLY:+--only "$ONLY"} --results "$results/$executor.json" || status=1
done
if [ -z "${ONLY:-}${EXECUTOR:-}" ]; then
  "$VENV/bin/python" tests/faults/report.py "$results/local.json" "$results/celery.json" --page docs/faults.md
fi
exit $status
