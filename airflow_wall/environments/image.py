"""
`image`: a container of that image, by Docker. The lake and the pipeline's folder are at the same paths in it.

The request goes by standard input, so no connection stands in an argument, a variable or a label. The container is
named after the task and its try. It is removed when the job has ended or the task is told to stop; and it ends with its
standard input, should the task be killed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from airflow_wall.environments.base import Document, Log, Place, environment_of_job
from airflow_wall.environments.interpreter import check_needs, check_version, look_by
from airflow_wall.environments.parcel import parcel
from airflow_wall.environments.process import run_job_command
from airflow_wall.errors import EnvironmentFault, Interrupted

_LABEL = "airflow-wall.task"
_PARCEL = "/airflow-wall.zip"
_PYTHON = "python3"
_ABSENT = re.compile(
    r"cannot connect to the docker daemon|timeout|timed out|connection refused|no such host|handshake|toomanyrequests",
    re.IGNORECASE,
)


class ImageEnvironment:
    """
    A container image with what the user's code needs, and what jobs need.

    :param document: `image`, and `image_options`, further arguments of `docker run` that the deployment gives.
    """

    def __init__(self, document: Document, place: Place) -> None:
        self.image: str = document["image"]
        self.options = shlex.split(document.get("image_options") or "")
        self.place = place
        self.environment = environment_of_job({})

    def run(
        self, job: Document, connections: Mapping[str, Document], log: Log, *, limits: Mapping[str, str]
    ) -> dict[str, Any]:
        """Run a job in a container of the image, which is pulled if it is not there."""
        docker = self._docker()
        self._pulled(docker, log)
        self._check(docker)
        with _named(docker, job["run"], self.environment) as name:
            command = self._command(docker, job, limits, name)
            where = f"in a container of `image: {self.image}`"
            return run_job_command(command, job, connections, log, environment=self.environment, where=where)

    def _docker(self) -> str:
        found = shutil.which("docker")
        if found is not None:
            return found
        if "KUBERNETES_SERVICE_HOST" in os.environ:
            hint = "run it by `executor: KubernetesExecutor` with an image of its own in `executor_config.pod_override`"
            raise EnvironmentFault("`image`: this worker is a pod, where there is no Docker to start it", hint=hint)
        raise EnvironmentFault(
            "`image`: there is no program `docker` on this worker",
            hint="install Docker's client there and let it reach an engine, or write `requirements` instead",
        )

    def _pulled(self, docker: str, log: Log) -> None:
        if self._call(docker, "image", "inspect", self.image).returncode == 0:
            return
        log(f"pulling {self.image}")
        done = self._call(docker, "pull", "--quiet", self.image)
        if done.returncode != 0:
            self._refused(done.stderr)

    def _check(self, docker: str) -> None:
        """See that the image has a Python with what jobs need."""
        look = ["run", "--rm", "--network", "none", "--entrypoint", _PYTHON, *_as_us(), self.image]
        where = f"`image`: `{self.image}`"
        try:
            seen = look_by([docker, *look], self.environment)
        except ValueError as error:
            self._refused(str(error))
        check_version(seen, f"`{_PYTHON}` of {where}")
        check_needs(seen, where, "put it into the image: `RUN pip install")

    def _refused(self, said: str) -> NoReturn:
        reason = " ".join(line for line in said.split("\n") if line and "--help" not in line)
        reason = reason.removeprefix("docker: ").strip()
        if _ABSENT.search(reason):
            hint = "it is tried again; the task's log has more"
            raise Interrupted(f"`image`: `{self.image}` cannot be had now: {reason}", hint=hint)
        raise EnvironmentFault(
            f"`image`: `{self.image}` cannot be used: {reason}",
            hint=f"name an image that every worker may pull, with a `{_PYTHON}` on its PATH that has what jobs need",
        )

    def _command(self, docker: str, job: Document, limits: Mapping[str, str], name: str) -> list[str]:
        run = job["run"]
        Path(run["storage"]).mkdir(parents=True, exist_ok=True)  # else Docker would make it, and it would be root's
        read = [run["code"], *([run["project"]] if job["connections"] else [])]  # that of SQLite is a file
        mounts = [_mount(path, readonly=True) for path in dict.fromkeys(read) if path != run["storage"]]
        mounts.append(_mount(run["storage"]))
        mounts.append(_mount(str(parcel(self.place.cache / "parcels")), _PARCEL, readonly=True))
        variables = {"HOME": "/tmp", **limits}  # noqa: S108  of the container
        return [
            docker, "run", "--rm", "--interactive", "--name", name, "--label", f"{_LABEL}={_task(run)}", *_as_us(),
            *(part for mount in mounts for part in ("--mount", mount)),
            *(part for key, value in variables.items() for part in ("--env", f"{key}={value}")),
            *self.options, "--entrypoint", _PYTHON, self.image, _PARCEL, "--attended",
        ]  # fmt: skip

    def _call(self, docker: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return _call(docker, arguments, self.environment)


@contextlib.contextmanager
def _named(docker: str, run: Mapping[str, Any], environment: Mapping[str, str]) -> Iterator[str]:
    """The name of the container of a task's try; none of an earlier try is there, and this one is not left."""
    label = f"label={_LABEL}={_task(run)}"
    found = _call(docker, ("ps", "--all", "--quiet", "--filter", label), environment).stdout.split()
    if found:
        _call(docker, ("rm", "--force", *found), environment)
    name = f"wall-{_task(run)}-{run['try_number']}"
    try:
        yield name
    except BaseException:  # the client is gone then, the container not
        _call(docker, ("rm", "--force", name), environment)
        raise


def _task(run: Mapping[str, Any]) -> str:
    """A word for a task of a run, of a lake: not for people, and the same for all its tries."""
    text = "\n".join((run["storage"], run["pipeline"], run["run_id"], run["task_id"]))
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _as_us() -> list[str]:
    """What is written to the lake is then the worker's."""
    return ["--user", f"{os.getuid()}:{os.getgid()}"]


def _mount(source: str, target: str | None = None, *, readonly: bool = False) -> str:
    fields = ["type=bind", f"source={source}", f"target={target or source}", *(["readonly"] if readonly else [])]
    return ",".join(f'"{field}"' if "," in field else field for field in fields)


def _call(docker: str, arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  what it is given is checked text
        [docker, *arguments],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
