#!/usr/bin/env bash
# Start, use, break and end clusters over a real wire, in a venv apart: EMR as moto serves it, and a Dataproc of our own.
set -euo pipefail
cd "$(dirname "$0")/../.."

PYTHON=${PYTHON:-python3}
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/airflow-wall
VENV=$CACHE/clouds
STAMP=$VENV/.installed
WANTED=(-c constraints.txt -e '.[local,amazon,google]' --group clouds)

if [ ! -e "$STAMP" ] || [ pyproject.toml -nt "$STAMP" ] || [ constraints.txt -nt "$STAMP" ] || [ "$(cat "$STAMP")" != "$PWD" ]; then
  uv=$(command -v uv || echo .venv/bin/uv)
  if [ -x "$uv" ]; then
    "$uv" venv --quiet --clear --python "$PYTHON" "$VENV"
    "$uv" pip install --quiet --python "$VENV/bin/python" "${WANTED[@]}"
  else
    "$PYTHON" -m venv --clear "$VENV"
    "$VENV/bin/python" -m pip install --quiet --upgrade 'pip>=25.1'
    "$VENV/bin/python" -m pip install --quiet "${WANTED[@]}"
  fi
  echo "$PWD" >"$STAMP"
fi
AIRFLOW_HOME=$VENV/airflow exec "$VENV/bin/python" -m pytest -q -p no:cacheprovider tests/clouds tests/test_conventions.py "$@"
