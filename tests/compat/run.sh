#!/usr/bin/env bash
# Build the suite's documents by us and by the newest Airflow that has an importer of its own, and run our importer in
# that Airflow: in its DAG processor, with pipelines that come from a folder, Git, S3 and GCS.
set -euo pipefail
cd "$(dirname "$0")/../.."

# Before 3.4 is out its parts are pre-releases, each of which has to be named to be taken.
WANTED=("apache-airflow>=3.4.0b1,<3.5" "apache-airflow-core>=3.4.0b1,<3.5" "apache-airflow-task-sdk>=1.4.0b1,<1.5")
# Two of these providers ask for older libraries than constraints.txt has, so they are only in this environment.
WANTED+=(apache-airflow-providers-{amazon,git,google} 'moto[s3,server]>=5.1' 'gcp-storage-emulator>=2026' 'psycopg[binary]>=3.2')

. tests/venv.sh
use_venv compat -r pyproject.toml "${WANTED[@]}" pytest pytest-timeout
PYTHONPATH=$PWD "$VENV/bin/python" -m pytest -q -p no:cacheprovider tests/compat tests/unit/fronts/test_importer.py tests/integration/test_broken_files.py "$@"
