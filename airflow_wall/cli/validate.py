"""`airflow-wall validate`: every fault of every pipeline, without Airflow."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from airflow_wall.cli.output import USER_FAULT, out
from airflow_wall.compiler.plan import plan_all
from airflow_wall.errors import SpecError
from airflow_wall.loader.discover import yaml_files
from airflow_wall.loader.load import load_specs, shared_ids
from airflow_wall.settings import Settings
from airflow_wall.spec.document import Spec


def validate(
    paths: Annotated[list[Path], typer.Argument(help="YAML files, or folders of them.", exists=True)],
    env: Annotated[str | None, typer.Option(help="Which of the files' environments is in force.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Treat warnings as errors.")] = False,
) -> None:
    """
    Check pipelines: text, keys, values, names, files, and the graph.

    Answers in tenths of a second, needs no Airflow and runs none of your code. Exit code 0: all good; 1: faults.
    """
    settings = Settings.from_environment(os.environ, environment=env)
    files = list(dict.fromkeys(file for path in paths for file in yaml_files(path)))
    specs: dict[Path, list[Spec]] = {}
    reports: dict[Path, str] = {}
    for file in files:
        try:
            specs[file] = load_specs(file, settings)
            plan_all(specs[file], settings)
        except SpecError as error:
            reports[file] = str(error)
    reports |= {file: str(error) for file, error in shared_ids(specs).items() if file not in reports}
    for file in files:
        for text in _said_of(file, specs.get(file, []), reports.get(file), strict=strict):
            out().print(text, end="\n\n")
            if text.startswith("error: ") and file not in reports:
                reports[file] = text
    count = sum(len(found) for found in specs.values())
    verdict = f"{_counted(len(reports), 'file')} with faults" if reports else "all good"
    out().print(f"{_counted(count, 'pipeline')} in {_counted(len(files), 'file')}: {verdict}")
    if reports:
        raise typer.Exit(USER_FAULT)


def _said_of(file: Path, specs: list[Spec], report: str | None, *, strict: bool) -> list[str]:
    if report is not None:
        return [report]
    if not specs:
        return [f"skipped: {file} is no pipeline (no `dag_id` at its top)"]
    warnings = [fault.render() for spec in specs for fault in spec.warnings]
    return warnings if strict else [f"warning{text.removeprefix('error')}" for text in warnings]


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
