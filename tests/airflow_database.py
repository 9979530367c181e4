"""Metadata databases of Airflow that are migrated once and then copied."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path


@functools.cache
def migrated_sqlite() -> Path:
    """Return an SQLite metadata database to copy; the first call in a process makes it."""
    home = Path(tempfile.mkdtemp(prefix="wall-migrated-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    migrate({"AIRFLOW_HOME": str(home)})
    return home / "airflow.db"


def migrate(environment: Mapping[str, str]) -> None:
    """
    Run `airflow db migrate`.

    :param environment: `AIRFLOW_` variables that name the database. Those of the tests' own process are left out.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.upper().startswith("AIRFLOW")}
    done = subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        env={**inherited, "AIRFLOW__CORE__LOAD_EXAMPLES": "False", **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
