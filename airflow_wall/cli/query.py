"""`airflow-wall query`: show a published result as clients see it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated, Any

import typer

from airflow_wall.cli.airflow_connections import Connections, Project, connection, use_connections
from airflow_wall.cli.listing import STORAGE, AsJson, Storage, lake_at, print_aligned, print_json
from airflow_wall.cli.output import NOTHING_TO_DO, note
from airflow_wall.diagnostics.printable import printable_line
from airflow_wall.errors import ConnectionFault, WallError
from airflow_wall.publish.backends import parse_target
from airflow_wall.publish.targets.base import DatabaseTarget
from airflow_wall.publish.targets.search import SearchTarget


def query(
    address: Annotated[
        str,
        typer.Argument(
            help="A table of the lake, e.g. bronze/orders; or sql://CONNECTION/TABLE or search://CONNECTION/INDEX."
        ),
    ],
    text: Annotated[str | None, typer.Argument(help="For an index: the words to find.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many rows.")] = 10,
    project: Project = Path(),
    connections: Connections = None,
    storage: Storage = STORAGE,
    as_json: AsJson = False,
) -> None:
    """
    Show the first rows of a table.

    Of a published one as clients see it, with the rows of the last committed release; of a table of the lake, e.g.
    bronze/orders, with all its slices. Exit code 4: it has no rows.
    """
    rows = (
        _rows_of_lake(address, limit, storage)
        if "://" not in address
        else _published(address, text, limit, project, connections)
    )
    if as_json:
        print_json(rows=rows)
    elif rows:
        _show(rows)
    if not rows:
        note("no rows")
        raise typer.Exit(NOTHING_TO_DO)


def _rows_of_lake(table: str, limit: int, storage: str) -> list[dict[str, Any]]:
    from airflow_wall.storage.backends import open_tables  # imports the tables
    from airflow_wall.storage.base import check_name

    check_name(table)
    return open_tables(lake_at(storage)).scan(table).first(limit)


def _published(
    address: str, text: str | None, limit: int, project: Path, connections: Path | None
) -> list[dict[str, Any]]:
    target = _target(address)
    if isinstance(target, SearchTarget) and not text:
        raise WallError(
            "a search needs words to find, got none", hint=f"write e.g. `airflow-wall query {address} domain_1`"
        )
    project = project.absolute()
    use_connections(project, connections)
    return _rows(target, text or "", limit, project)


def _show(rows: list[dict[str, Any]]) -> None:
    print_aligned([list(map(printable_line, rows[0])), *([_text(value) for value in row.values()] for row in rows)])


def _target(address: str) -> DatabaseTarget:
    with contextlib.suppress(WallError):
        target = parse_target(address)
        if isinstance(target, DatabaseTarget):
            return target
    raise WallError(
        f"`{address}` is not an address that can be queried",
        hint="write `sql://CONNECTION/TABLE`, `search://CONNECTION/INDEX`, or a table of the lake: `bronze/orders`",
    )


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else printable_line(str(value))


def _rows(target: DatabaseTarget, text: str, limit: int, project: Path) -> list[dict[str, Any]]:
    import sqlalchemy

    from airflow_wall.connections.databases import sql_engine
    from airflow_wall.publish.search import search

    info = connection(target.conn_id)
    name = target.name
    if isinstance(target, SearchTarget):
        return search(info, name, text, limit=limit, project=project)
    engine = sql_engine(info, project=project)
    try:
        if not sqlalchemy.inspect(engine).has_table(name):
            raise WallError(
                f"connection `{target.conn_id}` has no table `{name}`",
                hint="correct the name, or run the pipeline: it creates the table when it first publishes",
            )
        with engine.connect() as database:
            rows = database.execute(
                sqlalchemy.select(sqlalchemy.text("*")).select_from(sqlalchemy.table(name)).limit(limit)
            )
            return [dict(row) for row in rows.mappings()]
    except sqlalchemy.exc.SQLAlchemyError as error:
        reason = info.hide(str(getattr(error, "orig", None) or error).strip())
        raise ConnectionFault(f"connection `{target.conn_id}`: `{name}` cannot be read: {reason}") from None
