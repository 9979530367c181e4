"""The command `airflow-wall`."""

from __future__ import annotations

import gc
import io
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

from airflow_wall import __version__
from airflow_wall.cli.command import Commands
from airflow_wall.cli.output import out, report
from airflow_wall.registry import load_object

VERBS = (
    "init",
    "validate",
    "fmt",
    "explain",
    "run",
    "dev",
    "status",
    "graph",
    "query",
    "show",
    "check",
    "contract",
    "own",
    "forget",
    "schema",
    "doctor",
    "models",
    "releases",
    "tables",
    "connections",
)
"""The commands in the order of the help. Each is the object of its name in the module of its name."""


class _LazyCommands(Mapping[str, Any]):
    """The commands by name. A command's module is imported when it is called, or when its help is shown."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in VERBS:
            raise KeyError(name)
        if name not in self._loaded:
            verb = _imported(f"airflow_wall.cli.{name}:{name}")
            parent = Commands(add_completion=False)
            if isinstance(verb, typer.Typer):
                parent.add_typer(verb, name=name)
            else:
                parent.command()(verb)
            self._loaded[name] = get_group(parent).commands[name]
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(VERBS)

    def __len__(self) -> int:
        return len(VERBS)


def _imported(reference: str) -> Any:
    """Import an object without collecting garbage, as an import makes almost none."""
    gc.disable()
    try:
        return load_object(reference)
    finally:
        gc.enable()


class _LazyGroup(TyperGroup):
    def __init__(self, **attributes: Any) -> None:
        super().__init__(**{**attributes, "commands": _LazyCommands()})

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  the base class imports all of them
        return list(self.commands)


app = Commands(
    name="airflow-wall",
    cls=_LazyGroup,
    help="From a YAML file to a production pipeline on Apache Airflow.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(is_set: bool) -> None:
    if is_set:
        out().print(f"airflow-wall {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[  # noqa: ARG001  its callback acts on it
        bool, typer.Option("--version", "-V", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """From a YAML file to a production pipeline on Apache Airflow."""
    if home := os.environ.get("AIRFLOW_HOME"):
        # Airflow uses it unchanged, and rejects a database at a relative path.
        os.environ["AIRFLOW_HOME"] = str(Path(home).expanduser().absolute())


def main() -> None:
    """
    Run the command line.

    Exit codes: 0, 1 for the user's faults, 2 for usage, 3 for our faults, 4 if there was nothing to do, 130 for ^C.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal may not support all characters of a name
    try:
        app()
    except Exception as error:
        sys.exit(report(error))
    finally:
        if "duckdb" not in sys.modules:  # it reports what is not collected at the exit
            gc.freeze()  # so that the exit does not search all objects for garbage
