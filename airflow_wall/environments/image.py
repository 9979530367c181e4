"""
`image`: a Docker container of that image, with the lake and the pipeline's directory mounted at the same paths.

The request is sent by standard input, so no argument, variable or label holds a connection. The container is named
after the task and its try. It is removed when the job has ended or the task must stop. If the task is killed, the
container ends because its standard input closes.
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

from airflow_wall.environments.base import Document, EnvironmentCache, Log, environment_of_job
from airflow_wall.environments.interpreter import check_needs, check_version, inspect_command
from airflow_wall.environments.process import run_job_command
from airflow_wall.environments.zipapp import parcel
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
    A container image that has the packages that the user's code and jobs need.

    :param document: `image`, and the deployment's `image_options`, further arguments of `docker run`.
    """

    def __init__(self, document: Document, place: EnvironmentCache) -> None:
        self.image: str = document["image"]
        self.options = shlex.split(document.get("image_options") or "")
        self.place = place
        self.environment = environment_of_job({})

    def run(
        self, job: Document, connections: Mapping[str, Document], log: Log, *, limits: Mapping[str, str]
    ) -> dict[str, Any]:
        """Run a job in a container of the image, after pulling it if it is missing."""
        docker = self._docker()
        self._pull(docker, log)
        self._check(docker)
        with _container_name(docker, job["run"], self.environment) as name:
            command = self._command(docker, job, limits, name)
            where = f"in a container of `image: {self.image}`"
            return run_job_command(command, job, connections, log, environment=self.environment, where=where)

    def _docker(self) -> str:
        docker = shutil.which("docker")
        if docker is not None:
            return docker
        if "KUBERNETES_SERVICE_HOST" in os.environ:
            hint = "use `executor: KubernetesExecutor` with the image in `executor_config.pod_override`"
            raise EnvironmentFault("`image` needs Docker, and this worker is a pod without it", hint=hint)
        raise EnvironmentFault(
            "`image`: there is no program `docker` on this worker",
            hint="install Docker's client there and give it access to an engine, or use `requirements` instead",
        )

    def _pull(self, docker: str, log: Log) -> None:
        if self._call(docker, "image", "inspect", self.image).returncode == 0:
            return
        log(f"pulling {self.image}")
        done = self._call(docker, "pull", "--quiet", self.image)
        if done.returncode != 0:
            self._raise_refusal(done.stderr)

    def _check(self, docker: str) -> None:
        """Check that the image has a Python with the packages that jobs need."""
        arguments = ["run", "--rm", "--network", "none", "--entrypoint", _PYTHON, *_worker_user(), self.image]
        where = f"`image`: `{self.image}`"
        try:
            interpreter = inspect_command([docker, *arguments], self.environment)
        except ValueError as error:
            self._raise_refusal(str(error))
        check_version(interpreter, f"`{_PYTHON}` of {where}")
        check_needs(interpreter, where, "install them in the image: `RUN pip install")

    def _raise_refusal(self, output: str) -> NoReturn:
        reason = " ".join(line for line in output.split("\n") if line and "--help" not in line)
        reason = reason.removeprefix("docker: ").strip()
        if _ABSENT.search(reason):
            hint = "the task is retried; its log has the details"
            raise Interrupted(f"`image`: `{self.image}` cannot be pulled now: {reason}", hint=hint)
        raise EnvironmentFault(
            f"`image`: `{self.image}` cannot be used: {reason}",
            hint=f"use an image that every worker can pull, with a `{_PYTHON}` on its PATH that jobs can use",
        )

    def _command(self, docker: str, job: Document, limits: Mapping[str, str], name: str) -> list[str]:
        run = job["run"]
        Path(run["storage"]).mkdir(parents=True, exist_ok=True)  # else Docker would create it, owned by root
        inputs = [run["code"], *([run["project"]] if job["connections"] else [])]  # a SQLite database is a file
        mounts = [_mount(path, readonly=True) for path in dict.fromkeys(inputs) if path != run["storage"]]
        mounts.append(_mount(run["storage"]))
        mounts.append(_mount(str(parcel(self.place.cache / "parcels")), _PARCEL, readonly=True))
        variables = {"HOME": "/tmp", **limits}  # noqa: S108  a path in the container
        return [
            docker, "run", "--rm", "--interactive", "--name", name, "--label", f"{_LABEL}={_task(run)}",
            *_worker_user(),
            *(part for mount in mounts for part in ("--mount", mount)),
            *(part for key, value in variables.items() for part in ("--env", f"{key}={value}")),
            *self.options, "--entrypoint", _PYTHON, self.image, _PARCEL, "--attended",
        ]  # fmt: skip

    def _call(self, docker: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return _call(docker, arguments, self.environment)


@contextlib.contextmanager
def _container_name(docker: str, run: Mapping[str, Any], environment: Mapping[str, str]) -> Iterator[str]:
    """Yield the name of the container of a task's try. Remove containers of earlier tries, and this one on an error."""
    label = f"label={_LABEL}={_task(run)}"
    old = _call(docker, ("ps", "--all", "--quiet", "--filter", label), environment).stdout.split()
    if old:
        _call(docker, ("rm", "--force", *old), environment)
    name = f"wall-{_task(run)}-{run['try_number']}"
    try:
        yield name
    except BaseException:  # the client has ended, but not the container
        _call(docker, ("rm", "--force", name), environment)
        raise


def _task(run: Mapping[str, Any]) -> str:
    """Return an identifier of a task of a run in a lake, which is the same for all its tries."""
    text = "\n".join((run["storage"], run["pipeline"], run["run_id"], run["task_id"]))
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _worker_user() -> list[str]:
    """Return the options that run a container as the worker's user, who then owns the files in the lake."""
    return ["--user", f"{os.getuid()}:{os.getgid()}"]


def _mount(source: str, target: str | None = None, *, readonly: bool = False) -> str:
    fields = ["type=bind", f"source={source}", f"target={target or source}", *(["readonly"] if readonly else [])]
    return ",".join(f'"{field}"' if "," in field else field for field in fields)


def _call(docker: str, arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  checked arguments
        [docker, *arguments],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
