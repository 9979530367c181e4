"""`python`: an interpreter that the deployment provides."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from packaging.requirements import Requirement

from airflow_wall.environments.base import NEEDS, OLDEST_PYTHON, Document, EnvironmentCache, Log, environment_of_job
from airflow_wall.environments.process import run_job_command
from airflow_wall.environments.zipapp import parcel
from airflow_wall.errors import EnvironmentFault

_VERSION = re.compile(r"3\.\d{1,2}(\.\d{1,2})?")
_LOOK = """
import json, sys
from importlib import metadata
packages = {}
for name in sys.argv[1:]:
    try:
        packages[name] = metadata.version(name)
    except metadata.PackageNotFoundError:
        pass
print(json.dumps({"version": sys.version, "numbers": sys.version_info[:2], "packages": packages}))
"""


@dataclass(frozen=True)
class Interpreter:
    """
    The version and the packages of an interpreter.

    :param version: The full version, as in `sys.version`.
    :param numbers: Major and minor version.
    :param packages: Versions of the packages in `NEEDS` that it has, by name.
    """

    version: str
    numbers: tuple[int, int]
    packages: Mapping[str, str]


class PythonEnvironment:
    """
    An interpreter that has the packages that the user's code and jobs need.

    :param document: `python`, the path of the interpreter.
    """

    def __init__(self, document: Document, place: EnvironmentCache) -> None:
        self.python: str = document["python"]
        self.place = place

    def run(
        self, job: Document, connections: Mapping[str, Document], log: Log, *, limits: Mapping[str, str]
    ) -> dict[str, Any]:
        """Run a job in a process of that interpreter."""
        interpreter = inspect_python(self.python)
        check_version(interpreter, f"`python`: `{self.python}`")
        check_needs(interpreter, f"`python`: `{self.python}`", f"install them: `{self.python} -m pip install")
        command = [self.python, str(parcel(self.place.cache / "parcels"))]
        environment = environment_of_job(limits)
        where = f"of `python: {self.python}`"
        return run_job_command(command, job, connections, log, environment=environment, where=where)


def is_version(python: str) -> bool:
    """Return True if it is a version of Python such as `3.12`, not a path."""
    return _VERSION.fullmatch(python) is not None


def inspect_python(python: str) -> Interpreter:
    """
    Return the version and packages of the interpreter at that path.

    :raises EnvironmentFault: there is none, or it is not Python 3.
    """
    try:
        return inspect_command([python], environment_of_job({}))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
    raise EnvironmentFault(
        f"`python`: `{python}` must be the path of a Python interpreter, and cannot be used: {reason}",
        hint="set the path of a Python 3.11 or later that every worker has, e.g. `/opt/venvs/ml/bin/python`",
    )


def inspect_command(command: Sequence[str], environment: Mapping[str, str]) -> Interpreter:
    """
    Return the version and packages of the interpreter that this command starts.

    :param environment: All environment variables of the command.
    :raises OSError: the program does not exist.
    :raises ValueError: it is not Python 3, or cannot be started; with the reason.
    """
    done = subprocess.run(  # noqa: S603  the DAG names the Python
        [*command, "-c", _LOOK, *(Requirement(need).name for need in NEEDS)],
        env=dict(environment),
        cwd="/",  # with `-c`, modules of the working directory would be imported first
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        raise ValueError(lines[-1] if lines else f"it ends with exit code {done.returncode}")
    try:
        answer = json.loads(done.stdout.splitlines()[-1])
        return Interpreter(answer["version"], tuple(answer["numbers"]), answer["packages"])
    except (ValueError, LookupError):
        raise ValueError("its output is not that of Python") from None


def check_version(interpreter: Interpreter, where: str) -> None:
    """
    Check that the Python is new enough.

    :param where: The interpreter in words, for the message.
    :raises EnvironmentFault: it is too old for jobs.
    """
    if interpreter.numbers < OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        raise EnvironmentFault(
            f"{where} is Python {interpreter.numbers[0]}.{interpreter.numbers[1]}; jobs need {oldest} or later",
            hint=f"use Python {oldest} or later",
        )


def check_needs(interpreter: Interpreter, where: str, install: str) -> None:
    """
    Check that the Python has the packages that jobs need.

    :param where: The interpreter in words, for the message.
    :param install: Start of the hint: the command that installs packages there, without the packages.
    :raises EnvironmentFault: packages are missing; the message lists all of them.
    """
    needed = {requirement.name: requirement for requirement in map(Requirement, NEEDS)}
    wrong = [
        f"`{requirement}`" + (f" (it has {interpreter.packages[name]})" if name in interpreter.packages else "")
        for name, requirement in needed.items()
        if not requirement.specifier.contains(interpreter.packages.get(name, "0"), prereleases=True)
    ]
    if wrong:
        names = " ".join(f"'{need}'" for need in NEEDS)
        raise EnvironmentFault(f"{where} lacks packages that jobs need: {', '.join(wrong)}", hint=f"{install} {names}`")
