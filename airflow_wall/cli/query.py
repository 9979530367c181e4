"""`airflow-wall query`: what clients see of a published result."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from airflow_wall.cli.home import CONNECTIONS_FILE, find_home
from airflow_wall.cli.output import out
from airflow_wall.errors import WallError
from airflow_wall.settings import Settings


def query(
    address: Annotated[
        str, typer.Argument(help="sql://CONNECTION/TABLE or search://CONNECTION/INDEX, as in the pipeline.")
    ],
    text: Annotated[str | None, typer.Argument(help="For an index: the words to find.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many rows.")] = 10,
    project: Annotated[Path, typer.Option(help="The project's folder.", exists=True, file_okay=False)] = Path(),
    connections: Annotated[
        Path | None,
        typer.Option(help=f"File of Airflow connections; by default {CONNECTIONS_FILE} in the project's folder."),
    ] = None,
) -> None:
    """Show published rows as clients see them: those of the last committed release."""
    scheme, _, rest = address.partition("://")
    conn_id, _, name = rest.partition("/")
    if scheme not in ("sql", "search") or not conn_id or not name:
        raise WallError(
            f"`{address}` is not an address that can be queried",
            hint="write `sql://CONNECTION/TABLE` or `search://CONNECTION/INDEX`",
        )
    if scheme == "search" and not text:
        raise WallError("an index is asked for words", hint=f"write e.g. `airflow-wall query {address} domain_1`")
    project = project.absolute()
    found = connections or project / CONNECTIONS_FILE
    wanted = find_home(project, os.environ).environment(Settings(), found.absolute())
    os.environ.update({key: value for key, value in wanted.items() if key not in os.environ})
    rows = _rows(scheme, conn_id, name, text or "", limit, project)
    if not rows:
        out().print("no rows")
        return
    texts = [[_text(value) for value in row.values()] for row in rows]
    widths = [max(len(text) for text in column) for column in zip(list(rows[0]), *texts, strict=True)]
    for line in [list(rows[0]), *texts]:
        out().print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _rows(scheme: str, conn_id: str, name: str, text: str, limit: int, project: Path) -> list[dict[str, Any]]:
    import sqlalchemy

    from airflow_wall.databases import sql_engine
    from airflow_wall.operators.base import connection
    from airflow_wall.publish.search import search

    found = connection(conn_id)
    if scheme == "search":
        return search(found, name, text, limit=limit, project=project)
    engine = sql_engine(found, project=project)
    if not sqlalchemy.inspect(engine).has_table(name):
        raise WallError(
            f"connection `{conn_id}` has no table `{name}`", hint="a pipeline makes it when it first publishes"
        )
    with engine.connect() as database:
        rows = database.execute(
            sqlalchemy.select(sqlalchemy.text("*")).select_from(sqlalchemy.table(name)).limit(limit)
        )
        return [dict(row) for row in rows.mappings()]
