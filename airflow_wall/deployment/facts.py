"""The facts of one component of a deployment, which `doctor` compares with those of the others."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from configparser import RawConfigParser
from dataclasses import asdict, dataclass, field, fields
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import httpx
from pydantic import TypeAdapter

from airflow_wall.errors import DeploymentError

PACKAGES = ("apache-airflow", "apache-airflow-task-sdk", "airflow-wall", "apache-airflow-providers-celery", "celery")
SECRETS = {
    "jwt_secret": "api_auth.jwt_secret",
    "fernet_key": "core.fernet_key",
    "api_secret_key": "api.secret_key",
    "broker_url": "celery.broker_url",
    "result_backend": "celery.result_backend",
    "metadata": "database.sql_alchemy_conn",
}
"""The option of each secret, as `section.option`, by its name."""

SETTINGS = (
    "core.executor",
    "core.execution_api_server_url",
    "dag_processor.dag_bundle_config_list",
    "scheduler.task_instance_heartbeat_timeout",
    "wall.environment",
    "wall.policy",
    "workers.max_failed_heartbeats",
    "workers.min_heartbeat_interval",
)
COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer", "worker")
"""The components; each name is also the word of the command line that starts it."""


@dataclass(frozen=True)
class Facts:
    """
    The facts of one component.

    :param name: Name in the deployment, e.g. of its container.
    :param component: One of COMPONENTS.
    :param versions: Versions of the installed packages, by package.
    :param ahead: Seconds that its clock is ahead of the api-server's; None if the api-server is unreachable.
    :param settings: Values of settings, by `section.option`.
    :param secrets: Fingerprints of its secrets, by their name in SECRETS. Never the secrets.
    :param bundles: Digests of the files of bundles over a directory, by the bundle's name.
    :param unreachable: Reasons why `queue`, `api-server` or `database` cannot be reached.
    :param served: Queues that workers serve; only of the scheduler.
    :param waiting: Number of waiting tasks by queue; only of the scheduler.
    :param init: The program of process 1.
    :param setsid: True if process 1 forwards signals to its whole process group.
    :param remapped: The signal that SIGTERM is replaced by, if any.
    :param grace: Seconds it has to stop; None if unknown.
    """

    name: str
    component: str
    versions: Mapping[str, str] = field(default_factory=dict)
    ahead: float | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    bundles: Mapping[str, str] = field(default_factory=dict)
    unreachable: Mapping[str, str] = field(default_factory=dict)
    served: tuple[str, ...] = ()
    waiting: Mapping[str, int] = field(default_factory=dict)
    init: str = ""
    setsid: bool = False
    remapped: str | None = None
    grace: float | None = None

    def to_json(self) -> str:
        """Return the facts as one line of JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Facts:
        """Parse the output of `to_json`, also from a version with more or fewer fields."""
        try:
            names = {field.name for field in fields(cls)}
            values = {name: value for name, value in json.loads(text).items() if name in names}
            return TypeAdapter(cls).validate_python(values)
        except (ValueError, AttributeError) as error:
            raise DeploymentError(
                f"expected the facts of a component as one JSON object per line, got `{text.strip()[:80]}`",
                hint="collect them with `airflow-wall doctor --facts` in each component",
            ) from error


def collect(name: str, grace: float | None) -> Facts:
    """Return the facts of the component that runs in this container."""
    command = Path("/proc/1/cmdline").read_bytes().decode(errors="replace").split("\0")
    component = next((word for word in command if word in COMPONENTS), "")
    if not component:
        raise DeploymentError(
            f"process 1 must be a component of Airflow, got `{' '.join(command).strip()}`",
            hint="run `airflow-wall doctor --facts` in the containers of Airflow's components",
        )
    values = _configuration()
    served, waiting = _served_and_waiting(component)
    return Facts(
        name=name,
        component=component,
        versions={package: installed for package in PACKAGES if (installed := _version(package))},
        ahead=_clock_offset(values.get("core.execution_api_server_url", "")),
        settings={option: values[option] for option in SETTINGS if option in values},
        secrets={name: fingerprint(name, values[option]) for name, option in SECRETS.items() if option in values},
        bundles=_bundles(values),
        unreachable=_unreachable(component, values),
        served=served,
        waiting=waiting,
        init=Path(command[0]).name,
        setsid=os.environ.get("DUMB_INIT_SETSID", "1") != "0",
        remapped=os.environ.get("REMAP_SIGTERM"),
        grace=grace,
    )


def fingerprint(name: str, secret: str) -> str:
    """
    Return a fingerprint that shows only whether two secrets are equal.

    It is slow on purpose, against guessing.
    """
    return hashlib.scrypt(secret.encode(), salt=f"airflow-wall doctor {name}".encode(), n=2**14, r=8, p=1).hex()[:12]


def digest(folder: Path) -> str:
    """Return a digest of the names and contents of all files in a bundle over the directory."""
    from airflow_wall.fronts.folder import settings_of_airflow
    from airflow_wall.fronts.mirror import files_of

    files_digest = hashlib.sha256()
    for name, path in files_of(folder, settings_of_airflow()):
        files_digest.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return files_digest.hexdigest()[:12]


def _configuration() -> dict[str, str]:
    """
    Return the explicit settings by `section.option`.

    Airflow's defaults are left out, because some are random and so differ between components.
    """
    from airflow.configuration import AIRFLOW_CONFIG, conf

    file = RawConfigParser(strict=False)
    file.read(AIRFLOW_CONFIG)
    values = {}
    for option in (*SECRETS.values(), *SETTINGS):
        section, _, name = option.partition(".")
        variable = f"AIRFLOW__{section}__{name}".upper()
        variables = {variable, f"{variable}_CMD", f"{variable}_SECRET"}
        if variables & os.environ.keys() or file.has_option(section, name):
            values[option] = conf.get(section, name)
    return values


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _clock_offset(url: str) -> float | None:
    try:
        before = time.time()
        answer = httpx.get(f"{url.rstrip('/')}/health", timeout=10)
        # The header has whole seconds, on average half a second late.
        server_time = parsedate_to_datetime(answer.headers["date"]).timestamp() + 0.5
        return (before + time.time()) / 2 - server_time
    except (httpx.HTTPError, KeyError, ValueError):
        return None


def _bundles(values: Mapping[str, str]) -> dict[str, str]:
    bundles = json.loads(values.get("dag_processor.dag_bundle_config_list", "[]"))
    folders = {bundle["name"]: bundle.get("kwargs", {}).get("path") for bundle in bundles}
    return {name: digest(Path(path)) for name, path in folders.items() if path and Path(path).is_dir()}


def _unreachable(component: str, values: Mapping[str, str]) -> dict[str, str]:
    checks: dict[str, Callable[[], Any]] = {
        "api-server": lambda: _check_api(values),
        "database": lambda: _query("select 1"),
    }
    if component in ("scheduler", "worker"):
        checks["queue"] = lambda: _check_queue(values["celery.broker_url"])
    failed = {}
    for what, check in checks.items():
        try:
            check()
        except Exception as error:  # many libraries raise here; the reason is reported
            failed[what] = f"{type(error).__name__}: {error}".partition("\n")[0]
    return failed


def _check_api(values: Mapping[str, str]) -> None:
    httpx.get(f"{values['core.execution_api_server_url'].rstrip('/')}/health", timeout=10).raise_for_status()


def _query(query: str) -> list[Any]:
    """Return the rows of a query to the metadata database of Airflow's configuration."""
    from airflow.utils.session import create_session
    from sqlalchemy import text

    with create_session() as session:
        return list(session.execute(text(query)))


def _check_queue(url: str) -> None:
    from kombu.connection import Connection

    with Connection(url, connect_timeout=10) as broker:
        broker.ensure_connection(max_retries=1)


def _served_and_waiting(component: str) -> tuple[tuple[str, ...], dict[str, int]]:
    """Return the served queues and the number of waiting tasks by queue. Only the scheduler can see both."""
    if component != "scheduler":
        return (), {}
    from airflow.providers.celery.executors.celery_executor import app

    active = app.control.inspect(timeout=5).active_queues() or {}
    served = {queue["name"] for queues in active.values() for queue in queues}
    rows = _query("select queue, count(*) from task_instance where state in ('scheduled', 'queued') group by queue")
    return tuple(sorted(served)), {queue: count for queue, count in rows}  # noqa: C416  # mypy does not accept rows as pairs
