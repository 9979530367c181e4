"""`airflow-wall explain`: which environment is in force, and where each value comes from that it brings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from airflow_wall.cli.output import USER_FAULT, out
from airflow_wall.errors import SpecError
from airflow_wall.loader.discover import yaml_files
from airflow_wall.loader.load import load_specs
from airflow_wall.settings import Settings
from airflow_wall.spec.document import Origin, Spec


def explain(
    paths: Annotated[list[Path], typer.Argument(help="YAML files, or folders of them.", exists=True)],
    env: Annotated[str | None, typer.Option(help="Which of the files' environments is in force.")] = None,
) -> None:
    """
    Say which environment is in force, and where values come from.

    Lists the values of each pipeline that its environment lays over what the file says, and those of the files that it
    includes. Values are shown as they are written: `${{ }}` stays as it is.
    """
    settings = Settings.from_environment(os.environ, environment=env)
    files = dict.fromkeys(file for path in paths for file in yaml_files(path))
    broken = False
    for file in files:
        try:
            specs = load_specs(file, settings)
        except SpecError as error:
            out().print(str(error), end="\n\n")
            broken = True
            continue
        for spec in specs:
            out().print(explained(spec), end="\n\n")
            broken |= bool(spec.faults)
    if broken:
        out().print("there are faults, which `airflow-wall validate` tells")
        raise typer.Exit(USER_FAULT)


def explained(spec: Spec) -> str:
    """What is to be said of one pipeline."""
    lines = [f"{spec.head.dag_id} ({spec.path}): {_environment(spec)}"]
    width = max((len(origin.key) for origin in spec.origins), default=0)
    lines += [f"  {origin.key:<{width}}  {origin.value}  ({_from(origin)})" for origin in spec.origins]
    return "\n".join(lines)


def _environment(spec: Spec) -> str:
    if spec.environment is not None:
        return f"environment `{spec.environment}`"
    known = ", ".join(f"`{name}`" for name in spec.document.value.get("environments") or {})
    return f"no environment is in force; it has {known}" if known else "it has no environments"


def _from(origin: Origin) -> str:
    place = f"{origin.path}:{origin.line}"
    return f"{place}, environment `{origin.environment}`" if origin.environment else f"{place}, included"
