"""`python`: an interpreter of the deployment's, used as it is."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
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
        seen = look_at(self.python)
        check_version(seen, f"`python`: `{self.python}`")
        check_needs(seen, f"`python`: `{self.python}`", f"install it there: `{self.python} -m pip install")
        command = [self.python, str(parcel(self.place.cache / "parcels"))]
        environment = environment_of_job(limits)
        where = f"of `python: {self.python}`"
        return run_job_command(command, job, connections, log, environment=environment, where=where)


def is_version(python: str) -> bool:
    """Whether it is the version of a Python, such as `3.12`, and not the path of one."""
    return _VERSION.fullmatch(python) is not None


def look_at(python: str) -> Seen:
    """
    What the interpreter at that path is.

    :raises EnvironmentFault: there is none, or it is no Python 3.
    """
    try:
        return look_by([python], environment_of_job({}))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
    raise EnvironmentFault(
        f"`python`: `{python}` is no interpreter that can be used here: {reason}",
        hint="name the path of a Python 3.11 or later that every worker has, e.g. `/opt/venvs/ml/bin/python`",
    )


def look_by(command: Sequence[str], environment: Mapping[str, str]) -> Seen:
    """
    What the interpreter is that this command starts.

    :param environment: The whole environment of the command.
    :raises OSError: there is no such program.
    :raises ValueError: it is no Python 3, or says why it cannot be started.
    """
    done = subprocess.run(  # noqa: S603  which Python is said by the DAG
        [*command, "-c", _LOOK, *(Requirement(each).name for each in NEEDS)],
        env=dict(environment),
        cwd="/",  # with `-c` modules of the working folder would be found first
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise ValueError(said[-1] if said else f"it ends with exit code {done.returncode}")
    try:
        answer = json.loads(done.stdout.splitlines()[-1])
        return Seen(answer["version"], tuple(answer["numbers"]), answer["found"])
    except (ValueError, LookupError):
        raise ValueError("its answer is not that of a Python") from None


def check_version(seen: Seen, where: str) -> None:
    """
    See that the Python is new enough.

    :param where: What it is of, for the message.
    :raises EnvironmentFault: it is too old for jobs.
    """
    if seen.numbers < OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        raise EnvironmentFault(
            f"{where} is Python {seen.numbers[0]}.{seen.numbers[1]}; jobs need {oldest} or later",
            hint=f"name one of {oldest} or later",
        )


def check_needs(seen: Seen, where: str, install: str) -> None:
    """
    See that the Python has what jobs need.

    :param where: What it is of, for the message.
    :param install: How to install something there, the packages left out.
    :raises EnvironmentFault: it lacks something; lists all of it.
    """
    needed = {requirement.name: requirement for requirement in map(Requirement, NEEDS)}
    wrong = [
        f"`{requirement}`" + (f" (it has {seen.found[name]})" if name in seen.found else "")
        for name, requirement in needed.items()
        if not requirement.specifier.contains(seen.found.get(name, "0"), prereleases=True)
    ]
    if wrong:
        names = " ".join(f"'{each}'" for each in NEEDS)
        raise EnvironmentFault(f"{where} lacks what jobs need: {', '.join(wrong)}", hint=f"{install} {names}`")
