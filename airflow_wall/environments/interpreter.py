"""`python`: an interpreter of the deployment's, used as it is."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from packaging.requirements import Requirement

from airflow_wall.environments.base import NEEDS, OLDEST_PYTHON, Document, Log, Place, environment_of_job
from airflow_wall.environments.parcel import parcel
from airflow_wall.environments.process import run_job_command
from airflow_wall.errors import EnvironmentFault

_VERSION = re.compile(r"3\.\d{1,2}(\.\d{1,2})?")
_LOOK = """
import json, sys
from importlib import metadata
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = metadata.version(name)
    except metadata.PackageNotFoundError:
        pass
print(json.dumps({"version": sys.version, "numbers": sys.version_info[:2], "found": found}))
"""


@dataclass(frozen=True)
class Seen:
    """
    What an interpreter is.

    :param version: Its version, to the last digit.
    :param numbers: Its two first numbers.
    :param found: What it has of what jobs need, with its version.
    """

    version: str
    numbers: tuple[int, int]
    found: Mapping[str, str]


class PythonEnvironment:
    """
    An interpreter that has what the user's code needs, and what jobs need.

    :param python: Its path.
    """

    def __init__(self, document: Document, place: Place) -> None:
        self.python: str = document["python"]
        self.place = place

    def run(
        self, job: Document, connections: Mapping[str, Document], log: Log, *, limits: Mapping[str, str]
    ) -> dict[str, Any]:
        """Run a job in a process of that interpreter."""
        self._check()
        command = [self.python, str(parcel(self.place.cache / "parcels"))]
        environment = environment_of_job(limits)
        where = f"of `python: {self.python}`"
        return run_job_command(command, job, connections, log, environment=environment, where=where)

    def _check(self) -> None:
        seen = look_at(self.python)
        checked_version(seen, self.python)
        needed = {requirement.name: requirement for requirement in map(Requirement, NEEDS)}
        wrong = [
            f"`{requirement}`" + (f" (it has {seen.found[name]})" if name in seen.found else "")
            for name, requirement in needed.items()
            if not requirement.specifier.contains(seen.found.get(name, "0"), prereleases=True)
        ]
        if wrong:
            names = " ".join(f"'{each}'" for each in NEEDS)
            raise EnvironmentFault(
                f"`python`: `{self.python}` lacks what jobs need: {', '.join(wrong)}",
                hint=f"install it there: `{self.python} -m pip install {names}`",
            )


def is_version(python: str) -> bool:
    """Whether it is the version of a Python, such as `3.12`, and not the path of one."""
    return _VERSION.fullmatch(python) is not None


def look_at(python: str) -> Seen:
    """
    What the interpreter at that path is.

    :raises EnvironmentFault: there is none, or it is no Python 3.
    """
    names = [Requirement(each).name for each in NEEDS]
    try:
        done = subprocess.run(  # noqa: S603  which Python is said by the DAG
            [python, "-c", _LOOK, *names],
            env=environment_of_job({}),
            cwd="/",  # with `-c` modules of the working folder would be found first
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            answer = json.loads(done.stdout.splitlines()[-1])
            return Seen(answer["version"], tuple(answer["numbers"]), answer["found"])
        reason = (done.stderr.strip().splitlines() or [f"it ends with exit code {done.returncode}"])[-1]
    except OSError as error:
        reason = error.strerror or str(error)
    except (ValueError, LookupError):
        reason = "its answer is not that of a Python"
    raise EnvironmentFault(
        f"`python`: `{python}` is no interpreter that can be used here: {reason}",
        hint="name the path of a Python 3.11 or later that every worker has, e.g. `/opt/venvs/ml/bin/python`",
    )


def checked_version(seen: Seen, python: str) -> None:
    """
    Nothing, where the Python is new enough.

    :raises EnvironmentFault: it is too old for jobs.
    """
    if seen.numbers < OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        raise EnvironmentFault(
            f"`python`: `{python}` is Python {seen.numbers[0]}.{seen.numbers[1]}; jobs need {oldest} or later",
            hint=f"name one of {oldest} or later",
        )
