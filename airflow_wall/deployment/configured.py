"""Settings of Airflow as a component was given them by its environment, without Airflow."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping


def configured(environ: Mapping[str, str], section: str, option: str) -> str | None:
    """
    The value of an option that the environment sets, directly or by a command; None where it does not.

    Airflow's own `conf` reads the same and more, after an import of seconds: too long for a health check.
    """
    name = f"AIRFLOW__{section}__{option}".upper()
    if name in environ:
        return environ[name]
    if (command := environ.get(f"{name}_CMD")) is None:
        return None
    # The deployment's own command, of which Airflow runs the same.
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, env=dict(environ))  # noqa: S603, S607
    return done.stdout.strip()
