"""A command that lists things, with verbs that change them, and the tables and JSON documents that it prints."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from airflow_wall.cli.output import out, short
from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.diagnostics.printable import printable_json, printable_line
from airflow_wall.errors import WallError
from airflow_wall.lake.lake import Lake, address_of
from airflow_wall.settings import DEFAULT_STORAGE

FORMAT = 1
"""Version of the JSON documents of all commands. It changes when a key changes its meaning or goes away."""

LIST = "list"
"""The verb that is meant if a command has none, e.g. `airflow-wall releases shop`."""

Storage = Annotated[str, typer.Option(help="The lake, as `storage` of the pipeline names it.")]

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

STORAGE = DEFAULT_STORAGE


def _not_empty(text: str) -> str:
    if not text.strip():
        raise typer.BadParameter("say why, for the people after you")
    return text


Reason = Annotated[str, typer.Option(help="Why, for the record in the lake.", callback=_not_empty)]


def open_lake(storage: str) -> Lake:
    """
    Return the lake at an address. Relative paths are below the present directory.

    :raises WallError: there is no such lake.
    """
    lake = lake_at(storage)
    if not lake.exists():
        raise WallError(f"there is no lake at `{short(lake)}`", hint="name it with `--storage`")
    return lake


def lake_at(storage: str) -> Lake:
    """Return the lake at an address, which need not exist. Relative paths are below the present directory."""
    return Lake(address_of(storage, Path.cwd()), _connection)


def connected(lake: Lake) -> Lake:
    """Return a lake that reads its connection from Airflow."""
    return Lake(lake.address, _connection)


def _connection(conn_id: str, /) -> ConnectionInfo:
    from airflow_wall.operators.base import connection  # imports Airflow

    return connection(conn_id)


class ListingGroup(TyperGroup):
    """A group of commands whose verb `list` need not be written."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert the verb `list` if the first argument is not a verb."""
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = [LIST, *args]
        return super().parse_args(ctx, args)


def as_document(**values: Any) -> str:
    """Return a JSON document. Values without a JSON form are text in it, and numbers that are not finite are null."""
    document = _finite({"format": FORMAT, **values})
    return printable_json(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False, default=str))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def print_json(**values: Any) -> None:
    """Print a JSON document."""
    print(as_document(**values))  # noqa: T201


def print_rows(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print aligned columns. Each value stays on one line; None prints as `-`."""
    print_aligned([list(header), *([_text(value) for value in row] for row in rows)])


def print_aligned(lines: Sequence[Sequence[str]]) -> None:
    """Print lines of texts as aligned columns."""
    widths = [max(len(text) for text in column) for column in zip(*lines, strict=True)]
    console = out()
    for line in lines:
        console.print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else printable_line(str(value))
