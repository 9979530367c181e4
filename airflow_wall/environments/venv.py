"""
`requirements`: a cached venv with the packages of jobs and of the user.

A venv is created in a directory with a unique name. It exists once a document that names the directory is written; a
process that is killed before leaves a directory that no document names. Only one process at a time creates the venv for
a set of packages.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

from packaging.utils import canonicalize_name

from airflow_wall import state
from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.environments.base import NEEDS, Document, EnvironmentCache, Log, environment_of_job
from airflow_wall.environments.installer import Installer, InstallError
from airflow_wall.environments.interpreter import check_version, inspect_python, is_version
from airflow_wall.environments.process import run_job_command
from airflow_wall.environments.zipapp import parcel
from airflow_wall.errors import EnvironmentFault, Interrupted
from airflow_wall.text.requirements import RequirementFault, parse_requirement

UNUSED = timedelta(days=30)
"""A venv that is unused for this time is removed when another one is created."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class VenvEnvironment:
    """
    A venv with the user's packages.

    :param document: `requirements`, in pip's format, and `python`, the version or path of the venv's Python; by default
    the worker's.
    """

    def __init__(self, document: Document, place: EnvironmentCache) -> None:
        self.requirements: Sequence[str] = document["requirements"]
        self.python: str | None = document.get("python")
        self.place = place

    def run(
        self, job: Document, connections: Mapping[str, Document], log: Log, *, limits: Mapping[str, str]
    ) -> dict[str, Any]:
        """Run a job in a process of the venv's Python, after creating the venv if it does not exist."""
        python = Venvs(self.place.cache / "venvs").provide(self.requirements, self.python, log)
        command = [str(python), str(parcel(self.place.cache / "parcels"))]
        environment = {**environment_of_job(limits), "VIRTUAL_ENV": str(python.parents[1])}
        environment["PATH"] = os.pathsep.join((str(python.parent), environment.get("PATH", os.defpath)))
        where = "in the environment of `requirements`"
        return run_job_command(command, job, connections, log, environment=environment, where=where)


class Venvs:
    """
    The venvs in a directory, by their content.

    :param folder: The directory.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.installer = Installer(folder, environment_of_job({}))

    def provide(self, requirements: Sequence[str], python: str | None, log: Log) -> Path:
        """
        Return the interpreter of a venv with these requirements and `NEEDS`, after creating it if necessary.

        :raises EnvironmentFault: they cannot be installed, or the Python is not installed.
        :raises Interrupted: the package index does not answer.
        """
        lines = [_line_of(requirement) for requirement in requirements]
        base, version = self._base_python(python)
        content = json.dumps([sorted(lines), NEEDS, base, version])
        key = hashlib.sha256(content.encode()).hexdigest()[:16]
        document = self.folder / f"{key}.json"
        interpreter = self._existing(document)
        if interpreter is None:
            with _locked(document, log):
                interpreter = self._existing(document) or self._create(document, lines, base, log)
        document.touch()
        return interpreter

    def _base_python(self, python: str | None) -> tuple[str, str]:
        """Return the path and the full version of the Python that a venv is created with."""
        if python is None:
            return sys.executable, sys.version
        try:
            path = self.installer.find(python) if is_version(python) else python
        except InstallError as error:
            raise EnvironmentFault(
                f"`python`: Python {python} is not installed here: {error.reason}",
                hint="install it on every worker, or set the path of an interpreter",
            ) from error
        interpreter = inspect_python(path)
        check_version(interpreter, f"`python`: `{path}`")
        return path, interpreter.version

    def _existing(self, document: Path) -> Path | None:
        venv = state.read(document)
        python = self.folder / venv["folder"] / "bin" / "python" if venv else None
        return python if python is not None and python.exists() else None  # its base Python may be uninstalled

    def _create(self, document: Path, requirements: Sequence[str], base: str, log: Log) -> Path:
        begun = time.monotonic()
        key = document.stem
        self._remove_old(key)
        folder = self.folder / f"{key}-{uuid.uuid4().hex[:8]}"
        log(f"creating a venv with {', '.join(requirements)} and the packages that jobs need")
        try:
            self._fill(folder, requirements, base, log)
        except BaseException:  # also when this task must stop
            shutil.rmtree(folder, ignore_errors=True)
            raise
        state.write(document, {"folder": folder.name, "requirements": list(requirements), "python": base})
        log(f"created the venv in {time.monotonic() - begun:.0f} s; later runs reuse it from {self.folder}")
        return folder / "bin" / "python"

    def _fill(self, folder: Path, requirements: Sequence[str], base: str, log: Log) -> None:
        try:
            self.installer.create(folder, base)
        except InstallError as error:
            hint = "set another interpreter, or repair this one; Debian's needs the package python3-venv"
            raise EnvironmentFault(f"`python`: `{base}` cannot create a venv: {error.reason}", hint=hint) from error
        needs_file, user_file = folder / "needs.txt", folder / "requirements.txt"
        needs_file.write_text("\n".join((*NEEDS, "")), encoding="utf-8")
        user_file.write_text("\n".join((*requirements, "")), encoding="utf-8")
        try:
            self.installer.install(folder, [needs_file, user_file])
        except InstallError as error:
            for line in error.output.splitlines():
                log(line)
            _raise_install_error(error, requirements)

    def _remove_old(self, key: str) -> None:
        """Remove unfinished venvs of this content, and venvs that have not been used for `UNUSED`."""
        for folder in self.folder.glob(f"{key}-*"):
            shutil.rmtree(folder, ignore_errors=True)
        for other in {path.name[:16] for path in self.folder.glob("[0-9a-f]*")} - {key}:
            document = self.folder / f"{other}.json"
            # A process that creates the venv or starts to use it holds the lock.
            with contextlib.suppress(Interrupted), state.locked(document, wait=False):
                if document.exists() and time.time() - document.stat().st_mtime > UNUSED.total_seconds():
                    document.unlink()
                named = (state.read(document) or {}).get("folder")
                for folder in self.folder.glob(f"{other}-*"):
                    if folder.name != named:
                        shutil.rmtree(folder, ignore_errors=True)


def _line_of(requirement: str) -> str:
    """
    Return the line of a requirements file for one requirement, built from its parsed parts.

    The requirement may come from a job document or an operator in Python, without the checks of the YAML.

    :raises EnvironmentFault: the text is not one requirement.
    """
    try:
        return parse_requirement(requirement).line
    except RequirementFault as error:
        raise EnvironmentFault(f"`requirements` {error.expected}, got {requirement!r}", hint=error.hint) from None


@contextlib.contextmanager
def _locked(document: Path, log: Log) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(state.locked(document, wait=False))
        except Interrupted:
            log("waiting for another task that creates this venv")
            stack.enter_context(state.locked(document))
        yield


def _raise_install_error(error: InstallError, requirements: Sequence[str]) -> NoReturn:
    """Raise the error that explains why these requirements cannot be installed."""
    failing = listed(_named_requirements(requirements, error.reason))
    if error.is_absent:
        raise Interrupted(
            f"`requirements`: the package index does not answer, so {failing} cannot be installed: {error.reason}",
            hint="the task is retried; UV_DEFAULT_INDEX, or PIP_INDEX_URL with pip, sets the address of the index",
        ) from error
    if not error.is_unsolved:
        raise EnvironmentFault(
            f"`requirements`: {failing} cannot be installed: {error.reason}",
            hint="use a version that has a wheel for this machine; the task's log has the full output",
        ) from error
    needs = listed(need for need in NEEDS if need in error.reason)
    if needs:
        raise EnvironmentFault(
            f"`requirements`: {failing} conflicts with the packages that jobs need, {needs}: {error.reason}",
            hint="use a compatible version, or run the code that needs the old one in a task of Airflow's own, e.g. "
            "`uses: airflow.providers.standard.operators.python.ExternalPythonOperator`",
        ) from error
    raise EnvironmentFault(
        f"`requirements`: there are no compatible versions of {failing}: {error.reason}",
        hint="correct the name or the version, or remove one of two requirements that exclude each other",
    ) from error


def _named_requirements(requirements: Sequence[str], reason: str) -> list[str]:
    """Return the requirements that the reason names; all of them if it names none."""
    words = {canonicalize_name(word.strip(".")) for word in _NAME.findall(reason)}
    named = [line for line in requirements if canonicalize_name(_NAME.findall(line)[0]) in words]
    return named or list(requirements)
