#!/usr/bin/env bash
# Start, use, break and end real clusters of Spark, and have its SQL give what the embedded engine gives, in a venv apart.
set -euo pipefail
cd "$(dirname "$0")/../.."

. tests/venv.sh
have_venv spark -c constraints.txt -e '.[local,spark]' pytest pytest-timeout
AIRFLOW_HOME=$VENV/airflow exec "$VENV/bin/python" -m pytest -q -p no:cacheprovider tests/spark tests/test_conventions.py::test_public_names_have_docstrings "$@"
