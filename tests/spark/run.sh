#!/usr/bin/env bash
# Start, use, break and end real clusters of Spark, and compare the results of its SQL with those of the embedded engine.
set -euo pipefail
cd "$(dirname "$0")/../.."

. tests/venv.sh
use_venv spark -c constraints.txt -r pyproject.toml --extra local --extra spark pytest pytest-timeout
"$VENV/bin/python" -m pytest -q -p no:cacheprovider tests/spark tests/test_conventions.py::test_public_names_have_docstrings "$@"
