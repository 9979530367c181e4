"""What an environment can do, and what all of ours have in common."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from airflow_wall.errors import EnvironmentFault

Document = Mapping[str, Any]
Log = Callable[[str], None]

NEEDS = (
    "deltalake>=1.5",
    "duckdb>=2.0",
    "numpy>=2.1",
    "pandas>=2.2",
    "pyarrow>=20",
    "scikit-learn>=1.6",
    "skops>=0.14",
    "sqlalchemy>=2.0.48",
)
"""What a job that computes imports, as pip knows it. The package itself travels (see `parcel`); it needs no Airflow."""

OLDEST_PYTHON = (3, 11)
"""The oldest Python that jobs run on."""

_NOT_FOR_JOBS = ("AIRFLOW__", "AIRFLOW_CONN_", "AIRFLOW_VAR_")
_OF_OUR_PYTHON = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")


class Environment(Protocol):
    """Where the jobs of a step run."""

    def run(
        self, job: Document, connections: Mapping[str, Document], log: Log, *, limits: Mapping[str, str]
    ) -> dict[str, Any]:
        """
        Run a job document to its end and return its result.

        :param connections: The connections the job may read, by id.
        :param log: Is given each line that the job logs, and what is done until it can begin.
        :param limits: Variables that bound its threads and memory.
        :raises EnvironmentFault: the environment cannot be had; says which key of the YAML is at fault, and why.
        :raises Interrupted: it could not be had now, or the job's process died.
        """


@dataclass(frozen=True)
class Place:
    """
    Where environments are kept.

    :param cache: Folder of what can be made again: venvs and parcels.
    """

    cache: Path

    @classmethod
    def of(cls, configured: str | None) -> Place:
        """
        The place that the deployment names, else the user's own.

        :raises EnvironmentFault: there is none that can be written to.
        """
        path = Path(configured or os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "airflow-wall"))  # noqa: PTH118
        try:
            path = path.expanduser().absolute()
            path.mkdir(parents=True, exist_ok=True)
            if not os.access(path, os.W_OK):
                raise PermissionError(0, "it cannot be written to")
        except (OSError, RuntimeError) as error:  # RuntimeError: the user has no home
            raise EnvironmentFault(
                f"the folder of venvs `{path}` cannot be used: {getattr(error, 'strerror', None) or error}",
                hint="name one that the worker's user may write to, by the setting `[wall] venv_cache`",
            ) from error
        return cls(path)


def environment_of_job(limits: Mapping[str, str]) -> dict[str, str]:
    """
    The variables of a job's process that is not of the worker's own Python.

    They are the worker's without those of Airflow, whose secrets packages from elsewhere have no business with, and
    without those that tell this Python where its modules are.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_NOT_FOR_JOBS) and name not in _OF_OUR_PYTHON
    }
    return {**kept, **limits}
