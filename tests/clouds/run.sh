#!/usr/bin/env bash
# Start, use, break and end clusters over a real wire: of EMR as moto serves it, and of a Dataproc of our own.
set -euo pipefail
cd "$(dirname "$0")/../.."

. tests/venv.sh
use_venv clouds -c constraints.txt -r pyproject.toml --extra local --extra buckets --extra amazon --extra google --group clouds
"$VENV/bin/python" -m pytest -q -p no:cacheprovider tests/clouds tests/test_conventions.py::test_public_names_have_docstrings "$@"
