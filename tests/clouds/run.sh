#!/usr/bin/env bash
# Start, use, break and end clusters over a real wire, in a venv apart: EMR as moto serves it, and a Dataproc of our own.
set -euo pipefail
cd "$(dirname "$0")/../.."

. tests/venv.sh
have_venv clouds -c constraints.txt -e '.[local,amazon,google]' --group clouds
AIRFLOW_HOME=$VENV/airflow exec "$VENV/bin/python" -m pytest -q -p no:cacheprovider tests/clouds tests/test_conventions.py "$@"
