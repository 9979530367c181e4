"""`airflow-wall dev`: Airflow with its UI on a folder of pipelines, which it reads again when they change."""

from __future__ import annotations

import base64
import contextlib
import errno
import json
import multiprocessing
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from airflow_wall.cli.components import Components
from airflow_wall.cli.formats import ReportedFault, as_text
from airflow_wall.cli.home import CONNECTIONS_FILE, Home, check_connections, find_home
from airflow_wall.cli.output import PlainConsole, is_quiet, short
from airflow_wall.diagnostics.printable import counted, printable_line
from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.errors import DeploymentError
from airflow_wall.loader.discover import yaml_files
from airflow_wall.loader.load import may_be_pipeline
from airflow_wall.planner.check import check_files
from airflow_wall.settings import LOCAL_RUN, Settings

PORT = 8080
"""The port if none is named; if it is taken, the next free one."""

_BUNDLE = "airflow-wall-dev"
_USER = "admin"
_POLL = 1.0
"""Seconds between two looks at the files."""


def dev(
    folder: Annotated[Path, typer.Argument(help="The project.", exists=True, file_okay=False)] = Path(),
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help=f"Port of the UI; by default {PORT} or the next free one.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address that the UI listens on.")] = "127.0.0.1",
    env: Annotated[str | None, typer.Option(help="Which of the files' environments is in force.")] = None,
    connections: Annotated[
        Path | None,
        typer.Option(
            help=f"File of Airflow connections; by default {CONNECTIONS_FILE} in the project's folder, if it is there.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
) -> None:
    """
    Start Airflow with its UI on the pipelines of a project, and read them again when they change.

    The pipelines are those in `dags`, or in the project's folder if it has no `dags`. State and logs are kept in
    .airflow in the project's folder (or AIRFLOW_HOME), which also has the runs of `airflow-wall run`. It stops at ^C,
    and ends the tasks that run.

    Exit code 0: it was stopped; 1: it could not start, or a part of Airflow ended.
    """
    settings = Settings.from_environment(os.environ, environment=env)
    project, dags = _folders(folder)
    home = find_home(project, os.environ)
    connections_file = connections or project / CONNECTIONS_FILE
    check_connections(connections_file)
    chosen = _free_port(host, port)
    address = f"http://{'localhost' if host in ('127.0.0.1', '0.0.0.0') else host}:{chosen}"  # noqa: S104
    password = _password(home)
    variables = home.environment(settings, connections_file.absolute())
    del variables[LOCAL_RUN]
    variables["AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT"] = "90"  # a busy laptop needs more than Airflow's 5 s
    variables = {name: value for name, value in (variables | _keys(home)).items() if name not in os.environ}
    bundle, loader = _bundle(home, project, dags)
    os.environ.update(variables | _variables(home, bundle, host, chosen, address))
    if not os.environ.get("AIRFLOW__WALL__PROJECT"):
        os.environ["AIRFLOW__WALL__PROJECT"] = str(project)
    if chosen != (port or PORT):
        _print(f"port {PORT} is taken: using {chosen}")
    _print(f"starting Airflow in {short(home.path)}")
    with _stop_signals():
        components = Components(os.environ, project, home.logs / "dev", address)
        try:
            _prepare(home)
            components.start()
            components.wait_until_healthy()
            _print(
                f"\naddress    {address}\nlogin      {_USER}\npassword   {password}\n"
                f"pipelines  {short(dags)}: changes appear within seconds\nlogs       {short(components.logs)}\n"
                "stop       ^C\n"
            )
            _watch(dags, settings, components.check, loader)
        except _StoppedError:
            _print("\nstopping Airflow")
        finally:
            with contextlib.suppress(_StoppedError):  # a second ^C: everything is killed at once
                components.stop()
    _print("stopped")


def _folders(folder: Path) -> tuple[Path, Path]:
    """Return the folder of the project and that of its pipelines, which is made in an empty project."""
    folder = folder.absolute()
    if folder.name == "dags":
        return folder.parent, folder
    dags = folder / "dags"
    if not dags.is_dir():
        if any(may_be_pipeline(file) for file in yaml_files(folder)):
            return folder, folder
        dags.mkdir()
        _print(f"made the folder {short(dags)}: put your pipelines there, or `airflow-wall init` a project")
    return folder, dags


def _variables(home: Home, bundle: Mapping[str, object], host: str, port: int, address: str) -> dict[str, str]:
    """Return the environment variables of Airflow that differ from those of `airflow-wall run`."""
    return {
        "AIRFLOW_HOME": str(home.path),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([bundle]),
        "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(home.path / "bundles"),
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{_USER}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(_passwords(home)),
        "AIRFLOW__API__HOST": host,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": address,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
        "NO_PROXY": ",".join(filter(None, (os.environ.get("NO_PROXY"), "127.0.0.1,localhost"))),
    }


def _bundle(home: Home, project: Path, dags: Path) -> tuple[dict[str, object], Path | None]:
    """
    Return the configuration of the bundle, and the file to touch after a change.

    The bundle for `dags` copies the folder. A project's folder holds data too, so a loader reads its pipelines where
    they are.
    """
    if dags != project:
        kwargs = {"path": str(dags), "refresh_interval": 1}
        return {"name": _BUNDLE, "classpath": "airflow_wall.bundles.PipelineBundle", "kwargs": kwargs}, None
    loader = Home(home.path / "dev").write_bundle(project)
    kwargs = {"path": str(loader.parent), "refresh_interval": 1}
    classpath = "airflow.dag_processing.bundles.local.LocalDagBundle"
    return {"name": _BUNDLE, "classpath": classpath, "kwargs": kwargs}, loader


def _passwords(home: Home) -> Path:
    return home.path / "dev_password.json"


def _password(home: Home) -> str:
    """Return the password for the UI, which is made at the first start."""
    return str(_kept(_passwords(home), {_USER: secrets.token_urlsafe(9)})[_USER])


def _keys(home: Home) -> dict[str, str]:
    """
    Return the keys that all components share, which are made at the first start.

    Each component would make its own if Airflow's configuration is not written yet.
    """
    if (home.path / "airflow.cfg").exists():
        return {}
    made = {
        "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
    }
    return {name: str(value) for name, value in _kept(home.path / "dev_keys.json", made).items()}


def _kept(file: Path, made: dict[str, str]) -> dict[str, Any]:
    """Return the content of a file that only its owner may read. If it lacks a key of `made`, `made` is written."""
    with contextlib.suppress(OSError, ValueError):
        content = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(content, dict) and made.keys() <= content.keys():
            return content
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        json.dump(made, stream)
    return made


def _free_port(host: str, port: int | None) -> int:
    """
    Return the port for the UI.

    :raises DeploymentError: the port that the user named is taken, or the host is none of this machine.
    """
    for candidate in (port,) if port is not None else range(PORT, PORT + 100):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, candidate))
            except PermissionError:
                break
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise DeploymentError(
                        f"`{printable_line(host)}` is not an address of this machine", hint="leave `--host` out"
                    ) from error
            else:
                return candidate
    raise DeploymentError(
        f"port {port} is taken or not allowed" if port is not None else f"all ports from {PORT} on are taken",
        hint="name another with `--port`, or leave `--port` out to get a free one",
    )


class _StoppedError(BaseException):
    """Raised by ^C, by SIGTERM, and when the terminal goes."""


@contextlib.contextmanager
def _stop_signals() -> Iterator[None]:
    """Raise `_StoppedError` at ^C, SIGTERM and SIGHUP."""

    def stop(*_: object) -> NoReturn:
        raise _StoppedError

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _prepare(home: Home) -> None:
    """
    Prepare the metadata database, in a process that imports Airflow and ends.

    :raises DeploymentError: another Airflow works on it.
    """
    home.console.parent.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("fork")  # `spawn` starts a process that outlives this one for a moment
    with ProcessPoolExecutor(1, mp_context=context, initializer=_redirect_output, initargs=(home.console,)) as other:
        other.submit(_prepare_database, home).result()


def _redirect_output(console: Path) -> None:
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the parent handles them
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    log = os.open(console, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)


def _prepare_database(home: Home) -> None:
    from airflow_wall.cli.metadata import new_session, prepare_database, refuse_second_airflow

    prepare_database()
    with new_session() as session:
        refuse_second_airflow(session, home.path)


def _watch(dags: Path, settings: Settings, check: Callable[[], None], loader: Path | None) -> NoReturn:
    """
    Check each pipeline file that changes, and show its faults.

    :param check: Called between two looks at the files.
    :param loader: Is touched after a change, so that Airflow reads it again.
    """
    seen: dict[Path, tuple[int, int]] = {}
    while True:
        now = {file: _version(file) for file in yaml_files(dags)}
        changed = [file for file, version in now.items() if seen.get(file) != version]
        for file in sorted(seen.keys() - now.keys()):
            _print(f"{short(file)}: removed")
        if changed or seen.keys() != now.keys():
            if loader is not None and seen:
                os.utime(loader)
            _show(changed, settings)
        seen = now
        check()
        time.sleep(_POLL)


def _version(file: Path) -> tuple[int, int]:
    with contextlib.suppress(OSError):
        status = file.stat()
        return status.st_mtime_ns, status.st_size
    return 0, 0


def _show(files: list[Path], settings: Settings) -> None:
    """Print the pipelines of files, or their faults. Files that are not pipelines are passed over."""
    for result in check_files(files, settings):
        name = short(result.path)
        for fault in result.faults:
            _print(as_text(ReportedFault(fault)) + "\n")
        if result.faults:
            _print(f"{name}: {counted(len(result.faults), 'fault')}\n")
        elif result.pipelines:
            _print(f"{name}: {listed(pipeline.dag_id for pipeline in result.pipelines)}")


def _print(text: str) -> None:
    """Print a text, unless the terminal is gone."""
    with contextlib.suppress(OSError):
        PlainConsole(only_faults=is_quiet()).print(text)
        sys.stdout.flush()
