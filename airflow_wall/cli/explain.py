"""`airflow-wall explain`: show the active environment of each pipeline, and the sources of its values."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from airflow_wall.cli.listing import AsJson, print_json
from airflow_wall.cli.output import USER_FAULT, no_pipeline, out, say
from airflow_wall.diagnostics.printable import printable_line
from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.errors import SpecError, WallError
from airflow_wall.language.document import Origin, Spec
from airflow_wall.loader.discover import yaml_files
from airflow_wall.loader.load import load_specs
from airflow_wall.redaction import hide_logins
from airflow_wall.settings import Settings


def explain(
    paths: Annotated[list[Path], typer.Argument(help="YAML files, or folders of them.", exists=True)],
    env: Annotated[str | None, typer.Option(help="Which of the files' environments is in force.")] = None,
    as_json: AsJson = False,
) -> None:
    """
    Show the active environment of each pipeline, and the sources of its values.

    Lists the values that the environment overrides, and those of included files. Values are shown as they are written:
    `${{ }}` is not evaluated.
    """
    settings = Settings.from_environment(os.environ, environment=env)
    files = dict.fromkeys(file for path in paths for file in yaml_files(path))
    broken = False
    documents: list[dict[str, Any]] = []
    for file in files:
        try:
            specs = load_specs(file, settings)
        except SpecError as error:
            _print_fault(error, as_json=as_json)
            broken = True
            continue
        if not specs and file in paths:
            _print_fault(no_pipeline(file, settings), as_json=as_json)
            broken = True
        for spec in specs:
            documents.append(_as_json(spec))
            if not as_json:
                out().print(explanation(spec), end="\n\n")
            broken |= bool(spec.faults)
    if as_json:
        print_json(pipelines=documents)
    if broken:
        say("there are faults; `airflow-wall validate` shows them")
        raise typer.Exit(USER_FAULT)


def _print_fault(error: WallError, *, as_json: bool) -> None:
    if as_json:
        say(str(error))
    else:
        out().print(str(error), end="\n\n")


def _as_json(spec: Spec) -> dict[str, Any]:
    return {
        "dag_id": spec.head.dag_id,
        "path": str(spec.path),
        "environment": spec.environment,
        "values": [
            {
                "key": origin.key,
                "value": hide_logins(origin.value),
                "path": str(origin.path),
                "line": origin.line,
                "environment": origin.environment,
            }
            for origin in spec.origins
        ],
    }


def explanation(spec: Spec) -> str:
    """Return the explanation of one pipeline, one line per value."""
    lines = [f"{spec.head.dag_id} ({spec.path}): {_environment(spec)}"]
    width = max((len(origin.key) for origin in spec.origins), default=0)
    lines += [f"  {origin.key:<{width}}  {hide_logins(origin.value)}  ({_from(origin)})" for origin in spec.origins]
    return "\n".join(map(printable_line, lines))


def _environment(spec: Spec) -> str:
    if spec.environment is not None:
        return f"environment `{spec.environment}`"
    environments = listed(spec.document.value.get("environments") or {})
    return f"no environment is in force; it has {environments}" if environments else "it has no environments"


def _from(origin: Origin) -> str:
    place = f"{origin.path}:{origin.line}"
    return f"{place}, environment `{origin.environment}`" if origin.environment else f"{place}, included"
