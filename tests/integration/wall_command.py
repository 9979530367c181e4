"""The command `airflow-wall`, run in a folder as a user types it."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from pathlib import Path

COMMAND = Path(sysconfig.get_path("scripts")) / "airflow-wall"


def airflow_wall(folder: Path, *arguments: str, code: int = 0, **settings: str) -> str:
    """
    Run the command without the Airflow settings of this process, and return all it printed. Check its exit code.

    :param settings: Variables of its environment.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    inherited |= settings
    ran = subprocess.run([COMMAND, *arguments], cwd=folder, env=inherited, capture_output=True, text=True, timeout=300)
    assert ran.returncode == code, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr
