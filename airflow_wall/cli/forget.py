"""`airflow-wall forget`: erase the rows of a person."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from airflow_wall.cli.airflow_connections import Connections, Project, connection, use_connections
from airflow_wall.cli.listing import STORAGE, AsJson, Storage, open_lake, print_json
from airflow_wall.cli.output import out, short
from airflow_wall.diagnostics.printable import counted


def forget(
    table: Annotated[str, typer.Argument(help="A table with rows of the person, e.g. bronze/customers.")],
    where: Annotated[str, typer.Option(help="SQL condition that selects these rows, e.g. \"email = 'a@b.c'\".")],
    by: Annotated[str, typer.Option(metavar="COLUMN", help="The column that identifies a person, e.g. customer_id.")],
    reason: Annotated[str, typer.Option(help="Why, for the record. Write no personal data, e.g. a ticket's number.")],
    also: Annotated[
        list[str] | None,
        typer.Option("--also", metavar="TABLE", help="Search this table, too, or a pattern; repeatable."),
    ] = None,
    storage: Storage = STORAGE,
    project: Project = Path(),
    connections: Connections = None,
    as_json: AsJson = False,
) -> None:
    """
    Erase the rows of a person from tables, older versions, quarantine, releases, indexes and reports.

    The tables are this one and those that are computed from it or that it is computed from, if they have the column.
    Rows with the same values are left out when a source is read again. Files of sources are not changed. If the command
    is killed, repeat it. Run it while no task runs: a task that reads an older version of a table fails.

    Exit code 0: everything is erased.
    """
    from airflow_wall.jobs.forget import Eraser  # imports Arrow
    from airflow_wall.publish.release import Releases
    from airflow_wall.storage.backends import open_tables

    project = project.absolute()
    use_connections(project, connections)
    lake = open_lake(storage)
    releases = Releases(lake, project=project, connections=connection)
    eraser = Eraser(lake, open_tables(lake), releases)
    result = eraser.forget(table, where, by, reason=reason, also=also or ())
    if as_json:
        print_json(**result.to_json())
        return
    if not result.people:
        out().print(f"{table}: no such rows; its older versions are deleted")
    for name, rows in result.erasure.rows.items():
        out().print(f"{name}: {counted(rows, 'document' if name == 'documents' else 'row')} erased")
    for name in result.not_searched:
        out().print(f"not searched, without a column `{by}`: {name}")
    for name in result.left:
        out().print(f"still in: {short(storage)}/{name}")
    out().print(f"recorded: {short(lake.place(lake.state_key('forgotten', result.erasure.id + '.json')))}")
