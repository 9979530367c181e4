#!/usr/bin/env bash
# Train, save, promote and score models of PyTorch, in an environment of its own: the wheel is large. Arguments are
# passed to pytest.
set -euo pipefail
cd "$(dirname "$0")/../.."

. tests/venv.sh

use_venv torch -c constraints.txt -r pyproject.toml --extra local --extra torch "pytest>=8.4" "pytest-timeout>=2.3"
"$VENV/bin/python" -m pytest -q -p no:cacheprovider tests/pytorch "$@"
