"""
`requirements`: a venv with what jobs need and the user's own packages, made once and kept.

A venv is made in a folder of its own name, and is there from when a document that names the folder is written: who is
killed in between leaves a folder that nothing names. One process at a time makes the venv of one content.
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
from airflow_wall.environments.base import NEEDS, Document, Log, Place, environment_of_job
from airflow_wall.environments.installer import Installer, Refused
from airflow_wall.environments.interpreter import check_version, is_version, look_at
from airflow_wall.environments.parcel import parcel
from airflow_wall.environments.process import run_job_command
from airflow_wall.errors import EnvironmentFault, Interrupted

UNUSED = timedelta(days=30)
"""After how long without use a venv is removed, when another one is made."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class VenvEnvironment:
    """
    A venv with packages of the user's.

    :param requirements: What to install, as pip knows it.
    :param python: Version or path of the Python it is made of; by default the worker's.
    """

    def __init__(self, document: Document, place: Place) -> None:
        self.requirements: Sequence[str] = document["requirements"]
        self.python: str | None = document.get("python")
        self.place = place

    def run(
        self, job: Document, connections: Mapping[str, Document], log: Log, *, limits: Mapping[str, str]
    ) -> dict[str, Any]:
        """Run a job in a process of the venv's Python; the venv is made if it is not there."""
        python = Venvs(self.place.cache / "venvs").have(self.requirements, self.python, log)
        command = [str(python), str(parcel(self.place.cache / "parcels"))]
        environment = {**environment_of_job(limits), "VIRTUAL_ENV": str(python.parents[1])}
        environment["PATH"] = os.pathsep.join((str(python.parent), environment.get("PATH", os.defpath)))
        where = "in the environment of `requirements`"
        return run_job_command(command, job, connections, log, environment=environment, where=where)


class Venvs:
    """
    The venvs of a folder, by what is in them.

    :param folder: Where they are kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.installer = Installer(folder, environment_of_job({}))

    def have(self, requirements: Sequence[str], python: str | None, log: Log) -> Path:
        """
        Have a venv with these requirements and what jobs need. Return its interpreter.

        :raises EnvironmentFault: they cannot be installed, or there is no such Python.
        :raises Interrupted: the package index does not answer.
        """
        base, version = self._base(python)
        content = json.dumps([sorted(requirements), NEEDS, base, version])
        key = hashlib.sha256(content.encode()).hexdigest()[:16]
        document = self.folder / f"{key}.json"
        found = self._ready(document)
        if found is None:
            with _locked(document, log):
                found = self._ready(document) or self._made(document, requirements, base, log)
        document.touch()
        return found

    def _base(self, python: str | None) -> tuple[str, str]:
        """The interpreter a venv is made of, and its version to the last digit."""
        if python is None:
            return sys.executable, sys.version
        try:
            path = self.installer.find(python) if is_version(python) else python
        except Refused as error:
            raise EnvironmentFault(
                f"`python`: no Python {python} is found here: {error.reason}",
                hint="install it on every worker, or name the path of an interpreter",
            ) from error
        seen = look_at(path)
        check_version(seen, f"`python`: `{path}`")
        return path, seen.version

    def _ready(self, document: Path) -> Path | None:
        found = state.read(document)
        python = self.folder / found["folder"] / "bin" / "python" if found else None
        return python if python is not None and python.exists() else None  # its base may be gone

    def _made(self, document: Path, requirements: Sequence[str], base: str, log: Log) -> Path:
        begun = time.monotonic()
        key = document.stem
        self._sweep(key)
        folder = self.folder / f"{key}-{uuid.uuid4().hex[:8]}"
        log(f"making an environment with {', '.join(requirements)} beside what jobs need")
        try:
            self._fill(folder, requirements, base, log)
        except BaseException:  # a task that is told to stop, too
            shutil.rmtree(folder, ignore_errors=True)
            raise
        state.write(document, {"folder": folder.name, "requirements": list(requirements), "python": base})
        log(f"the environment is made, in {time.monotonic() - begun:.0f} s; later runs find it in {self.folder}")
        return folder / "bin" / "python"

    def _fill(self, folder: Path, requirements: Sequence[str], base: str, log: Log) -> None:
        try:
            self.installer.create(folder, base)
        except Refused as error:
            hint = "name another interpreter, or mend this one; Debian's needs the package python3-venv"
            raise EnvironmentFault(f"`python`: no venv can be made of `{base}`: {error.reason}", hint=hint) from error
        ours, theirs = folder / "needs.txt", folder / "requirements.txt"
        ours.write_text("\n".join((*NEEDS, "")), encoding="utf-8")
        theirs.write_text("\n".join((*requirements, "")), encoding="utf-8")
        try:
            self.installer.install(folder, [ours, theirs])
        except Refused as error:
            for line in error.output.splitlines():
                log(line)
            _refuse(error, requirements)

    def _sweep(self, key: str) -> None:
        """Remove what was begun for this content and never finished, and what nobody has used for long."""
        for folder in self.folder.glob(f"{key}-*"):
            shutil.rmtree(folder, ignore_errors=True)
        for other in {path.name[:16] for path in self.folder.glob("[0-9a-f]*")} - {key}:
            document = self.folder / f"{other}.json"
            # Who makes it or begins to use it holds the lock.
            with contextlib.suppress(Interrupted), state.locked(document, wait=False):
                if document.exists() and time.time() - document.stat().st_mtime > UNUSED.total_seconds():
                    document.unlink()
                named = (state.read(document) or {}).get("folder")
                for folder in self.folder.glob(f"{other}-*"):
                    if folder.name != named:
                        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _locked(document: Path, log: Log) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(state.locked(document, wait=False))
        except Interrupted:
            log("waiting for another task, which makes this environment")
            stack.enter_context(state.locked(document))
        yield


def _refuse(error: Refused, requirements: Sequence[str]) -> NoReturn:
    """Say what stands against these requirements, and whether it is what jobs need."""
    listed = ", ".join(f"`{each}`" for each in _blamed(requirements, error.reason))
    if error.is_absent:
        raise Interrupted(
            f"`requirements`: the package index does not answer, so {listed} cannot be installed: {error.reason}",
            hint="it is tried again; which index is asked is said by UV_DEFAULT_INDEX, with pip PIP_INDEX_URL",
        ) from error
    if not error.is_unsolved:
        raise EnvironmentFault(
            f"`requirements`: {listed} cannot be installed: {error.reason}",
            hint="ask for a version that has a wheel for this machine; all that was said is in the task's log",
        ) from error
    ours = ", ".join(f"`{each}`" for each in NEEDS if each in error.reason)
    if ours:
        raise EnvironmentFault(
            f"`requirements`: {listed} cannot stand beside what jobs need, {ours}: {error.reason}",
            hint="ask for a version that goes with it; what must stay older can run in a step of its own, e.g. "
            "`uses: airflow.providers.standard.operators.python.ExternalPythonOperator`",
        ) from error
    raise EnvironmentFault(
        f"`requirements`: no versions fit {listed}: {error.reason}",
        hint="mend the name or the version, or remove one of those that exclude each other",
    ) from error


def _blamed(requirements: Sequence[str], reason: str) -> list[str]:
    """Those that the reason speaks of; all where it speaks of none."""
    words = {canonicalize_name(word.strip(".")) for word in _NAME.findall(reason)}
    found = [each for each in requirements if canonicalize_name(_NAME.findall(each)[0]) in words]
    return found or list(requirements)
