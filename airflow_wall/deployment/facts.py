"""What one component of a deployment can tell of itself, for `doctor` to compare with the others."""

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
"""Name -> the option, as `section.option`."""

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
"""Each is the word of the command line that starts it."""


@dataclass(frozen=True)
class Facts:
    """
    One component.

    :param name: How the deployment calls it, e.g. its container.
    :param component: Which of COMPONENTS it is.
    :param versions: Package to version, of those that are there.
    :param ahead: Seconds that its clock is ahead of the api-server's; None where that cannot be reached.
    :param settings: `section.option` to value.
    :param secrets: A fingerprint of each secret it was given, by its name in SECRETS. Never the secret.
    :param bundles: Name of a bundle over a folder to the digest of the files in it.
    :param unreachable: `queue`, `api-server` or `database` to why it could not be reached.
    :param served: Queues that some worker takes tasks from; of the scheduler.
    :param waiting: Queue to how many tasks wait in it; of the scheduler.
    :param init: The program of process 1.
    :param setsid: Whether that sends a signal on to its whole process group.
    :param remapped: What SIGTERM is turned into, if into anything.
    :param grace: Seconds it is given to stop; None where that is not known.
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
        """One line."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Facts:
        """Read what `to_json` wrote, also by a version with more or fewer facts."""
        try:
            found = json.loads(text)
            known = {name: value for name, value in found.items() if name in {each.name for each in fields(cls)}}
            return cls(**{**known, "served": tuple(known.get("served", ()))})
        except (ValueError, AttributeError, TypeError) as error:
            raise DeploymentError(
                f"expected the facts of a component, one JSON object in a line, got `{text.strip()[:80]}`",
                hint="collect them with `airflow-wall doctor --facts`, run in each component",
            ) from error


def collect(name: str, grace: float | None) -> Facts:
    """The facts of the component whose container this is."""
    command = Path("/proc/1/cmdline").read_bytes().decode(errors="replace").split("\0")
    component = next((word for word in command if word in COMPONENTS), "")
    if not component:
        raise DeploymentError(
            f"process 1 is no component of Airflow, but `{' '.join(command).strip()}`",
            hint="run `airflow-wall doctor --facts` in the containers of Airflow's components",
        )
    values = _configuration()
    served, waiting = _queues(component)
    return Facts(
        name=name,
        component=component,
        versions={package: found for package in PACKAGES if (found := _version(package))},
        ahead=_ahead(values.get("core.execution_api_server_url", "")),
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
    """Says whether two secrets are equal, and nothing else of them. Slow on purpose, against guessing."""
    return hashlib.scrypt(secret.encode(), salt=f"airflow-wall doctor {name}".encode(), n=2**14, r=8, p=1).hex()[:12]


def digest(folder: Path) -> str:
    """Of the names and contents of all files that a bundle over the folder shows."""
    from airflow_wall.fronts.folder import settings_of_airflow
    from airflow_wall.fronts.mirror import files_of

    found = hashlib.sha256()
    for name, path in files_of(folder, settings_of_airflow()):
        found.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return found.hexdigest()[:12]


def _configuration() -> dict[str, str]:
    """What somebody set, by `section.option`: Airflow's defaults, some of them random, are not shared by anybody."""
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


def _ahead(url: str) -> float | None:
    try:
        before = time.time()
        answer = httpx.get(f"{url.rstrip('/')}/health", timeout=10)
        # The header says a whole second, on average half a second late.
        there = parsedate_to_datetime(answer.headers["date"]).timestamp() + 0.5
        return (before + time.time()) / 2 - there
    except (httpx.HTTPError, KeyError, ValueError):
        return None


def _bundles(values: Mapping[str, str]) -> dict[str, str]:
    bundles = json.loads(values.get("dag_processor.dag_bundle_config_list", "[]"))
    folders = {each["name"]: each.get("kwargs", {}).get("path") for each in bundles}
    return {name: digest(Path(path)) for name, path in folders.items() if path and Path(path).is_dir()}


def _unreachable(component: str, values: Mapping[str, str]) -> dict[str, str]:
    checks: dict[str, Callable[[], Any]] = {"api-server": lambda: _api(values), "database": lambda: _ask("select 1")}
    if component in ("scheduler", "worker"):
        checks["queue"] = lambda: _queue(values["celery.broker_url"])
    failed = {}
    for what, check in checks.items():
        try:
            check()
        except Exception as error:  # of many libraries; told, not raised
            failed[what] = f"{type(error).__name__}: {error}".partition("\n")[0]
    return failed


def _api(values: Mapping[str, str]) -> None:
    httpx.get(f"{values['core.execution_api_server_url'].rstrip('/')}/health", timeout=10).raise_for_status()


def _ask(query: str) -> list[Any]:
    """The rows of a query to the metadata database, which Airflow reaches as it is configured."""
    from airflow.utils.session import create_session
    from sqlalchemy import text

    with create_session() as session:
        return list(session.execute(text(query)))


def _queue(url: str) -> None:
    from kombu.connection import Connection

    with Connection(url, connect_timeout=10) as broker:
        broker.ensure_connection(max_retries=1)


def _queues(component: str) -> tuple[tuple[str, ...], dict[str, int]]:
    """The queues that are served, and those in which tasks wait: the scheduler can see both."""
    if component != "scheduler":
        return (), {}
    from airflow.providers.celery.executors.celery_executor import app

    active = app.control.inspect(timeout=5).active_queues() or {}
    served = {queue["name"] for queues in active.values() for queue in queues}
    rows = _ask("select queue, count(*) from task_instance where state in ('scheduled', 'queued') group by queue")
    return tuple(sorted(served)), {queue: count for queue, count in rows}  # noqa: C416  # rows are no pairs to mypy
