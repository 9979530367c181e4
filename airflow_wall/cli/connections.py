"""`airflow-wall connections test`: try the Airflow connections that pipelines name."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airflow_wall.cli.airflow_connections import Connections, Project, connection, use_connections
from airflow_wall.cli.command import Commands
from airflow_wall.cli.listing import AsJson, print_json
from airflow_wall.cli.output import NOTHING_TO_DO, OUR_FAULT, USER_FAULT, is_quiet, note, out, short
from airflow_wall.diagnostics.printable import counted, printable_line
from airflow_wall.errors import WallError
from airflow_wall.loader.discover import yaml_files
from airflow_wall.loader.load import load_specs
from airflow_wall.settings import Settings

if TYPE_CHECKING:
    from airflow_wall.connections.info import ConnectionInfo

connections = Commands(help="The Airflow connections that pipelines name.", no_args_is_help=True)

_REFUSED = (401, 403, 407)
"""Statuses of a server that does not accept the login."""


class State(StrEnum):
    """The result of one try."""

    OK = "ok"
    BAD = "BAD"
    UNKNOWN = "?"


@dataclass(frozen=True)
class Tried:
    """
    A connection that was tried.

    :param places: The files and lines that name it.
    :param message: The reason of a failure, without secrets, or the reason why it cannot be tried.
    """

    conn_id: str
    conn_type: str | None
    places: tuple[str, ...]
    state: State
    message: str | None = None
    hint: str | None = None


@connections.callback()
def about() -> None:
    """Look at the Airflow connections that pipelines name."""


@connections.command("test")
def try_connections(
    path: Annotated[Path, typer.Argument(help="A pipeline, or a folder of them.", exists=True)] = Path("dags"),
    env: Annotated[str | None, typer.Option(help="Which of the files' environments is in force.")] = None,
    project: Project = Path(),
    connections: Connections = None,
    as_json: AsJson = False,
) -> None:
    """
    Try every connection that pipelines name, and show the reason of each failure. No secret is printed.

    Exit code 0: all answer; 1: some do not; 3: some cannot be tried; 4: the pipelines name none.
    """
    named = _named(yaml_files(path), Settings.from_environment(os.environ, environment=env))
    use_connections(project.absolute(), connections)
    tried = [_try(conn_id, tuple(places), project.absolute()) for conn_id, places in sorted(named.items())]
    if as_json:
        print_json(connections=[asdict(one) for one in tried])
    else:
        _show(tried)
    if not tried:
        note("the pipelines name no connections")
        raise typer.Exit(NOTHING_TO_DO)
    states = {one.state for one in tried}
    if State.BAD in states:
        raise typer.Exit(USER_FAULT)
    if State.UNKNOWN in states:
        raise typer.Exit(OUR_FAULT)


def _named(files: Iterable[Path], settings: Settings) -> dict[str, list[str]]:
    """Return the connections that files name, each with the places."""
    from airflow_wall.planner.named_connections import connections_of

    named: dict[str, list[str]] = {}
    for file in files:
        for spec in load_specs(file, settings):
            for conn_id, line in connections_of(spec).items():
                named.setdefault(conn_id, []).append(f"{short(file)}:{line}")
    return named


def _try(conn_id: str, places: tuple[str, ...], project: Path) -> Tried:
    try:
        info = connection(conn_id)
    except WallError as error:
        return Tried(conn_id, None, places, State.BAD, error.message, error.hint)
    try:
        unknown = _reach(info, project)
    except WallError as error:
        return Tried(conn_id, info.conn_type, places, State.BAD, error.message, error.hint)
    except Exception as error:
        reason = info.hide(f"{type(error).__name__}: {error}")
        return Tried(conn_id, info.conn_type, places, State.BAD, reason)
    state = State.OK if unknown is None else State.UNKNOWN
    return Tried(conn_id, info.conn_type, places, state, unknown)


def _reach(info: ConnectionInfo, project: Path) -> str | None:
    """
    Return None after the server of a connection has answered, or the reason why the connection cannot be tried.

    :raises Exception: the server does not answer, or refuses the login.
    """
    from airflow_wall.connections.databases import SQL_TYPES, sql_engine

    if info.conn_type in SQL_TYPES:
        sql_engine(info, project=project).dispose()
        return None
    if info.conn_type in ("http", "https"):
        _reach_http(info)
        return None
    return _reach_by_hook(info)


def _reach_http(info: ConnectionInfo) -> None:
    from airflow_wall.connections.extras import resolved
    from airflow_wall.publish.http_client import http_client, server_url

    url = server_url(info)
    answer = http_client(resolved(info), url).get(url.copy_with(userinfo=b""))
    if answer.status_code in _REFUSED:
        raise WallError(
            f"the server answers with status {answer.status_code}", hint="correct the login of the connection"
        )


def _reach_by_hook(info: ConnectionInfo) -> str | None:
    """Use the test of the provider's own hook, if it has one."""
    with contextlib.redirect_stdout(sys.stderr):
        from airflow.sdk import Connection

        try:
            hook = Connection.get(info.conn_id).get_hook()
        except Exception as error:
            return f"type `{info.conn_type}` has no hook here: {info.hide(str(error))}"
        if not hasattr(hook, "test_connection"):
            return f"the hook of type `{info.conn_type}` has no test"
        is_good, message = hook.test_connection()
    if not is_good:
        raise WallError(info.hide(str(message)), hint="correct the connection")
    return None


def _show(tried: list[Tried]) -> None:
    for one in tried:
        kind = f" ({one.conn_type})" if one.conn_type else ""
        out().print(printable_line(f"{one.state:<4} {one.conn_id}{kind}  {', '.join(one.places)}"))
        for text in (one.message, f"hint: {one.hint}" if one.hint else None):
            if text:
                out().print(f"     {text}")
    bad = sum(one.state is State.BAD for one in tried)
    if tried and not is_quiet():
        out().print(f"{counted(len(tried), 'connection')}: {f'{bad} not usable' if bad else 'no failures'}")
