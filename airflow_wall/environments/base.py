"""The interface of an environment, and the parts that all environments share."""

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
"""Requirements of jobs that compute. The package itself travels as a zipapp (see `parcel`) and needs no Airflow."""

OLDEST_PYTHON = (3, 11)
"""The oldest Python version that jobs support."""

_NOT_FOR_JOBS = ("AIRFLOW__", "AIRFLOW_CONN_", "AIRFLOW_VAR_")
_OF_OUR_PYTHON = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")


class Environment(Protocol):
    """The Python that runs the jobs of a step."""

    def run(
        self, job: Document, connections: Mapping[str, Document], log: Log, *, limits: Mapping[str, str]
    ) -> dict[str, Any]:
        """
        Run a job document to its end and return its result.

        :param connections: The connections the job may read, by id.
        :param log: Called with each log line of the job, and with the progress of the preparation.
        :param limits: Environment variables that limit its threads and memory.
        :raises EnvironmentFault: the environment cannot be provided; the message names the key of the YAML and the
        reason.
        :raises Interrupted: the environment cannot be provided now, or the job's process died.
        """


@dataclass(frozen=True)
class EnvironmentCache:
    """
    The directory that caches environments.

    :param cache: Directory of files that can be created again: venvs and zipapps.
    """

    cache: Path

    @classmethod
    def of(cls, configured: str | None) -> EnvironmentCache:
        """
        Return the cache in the configured directory, else in the user's cache directory.

        :raises EnvironmentFault: the directory is not writable.
        """
        path = Path(configured or os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "airflow-wall"))  # noqa: PTH118
        try:
            path = path.expanduser().absolute()
            path.mkdir(parents=True, exist_ok=True)
            if not os.access(path, os.W_OK):
                raise PermissionError(0, "it is not writable")
        except (OSError, RuntimeError) as error:  # RuntimeError: the user has no home
            raise EnvironmentFault(
                f"the cache directory of venvs `{path}` cannot be used: {getattr(error, 'strerror', None) or error}",
                hint="set `[wall] venv_cache` to a directory that the worker's user can write to",
            ) from error
        return cls(path)


def environment_of_job(limits: Mapping[str, str]) -> dict[str, str]:
    """
    Return the environment variables of a job's process that does not run in the worker's own Python.

    They are the worker's variables without those of Airflow, whose secrets foreign packages must not see, and without
    those that point this Python to its modules.
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_NOT_FOR_JOBS) and name not in _OF_OUR_PYTHON
    }
    return {**inherited, **limits}
