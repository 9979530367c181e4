"""`airflow-wall validate`: every fault of every pipeline, without Airflow."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from airflow_wall.cli.output import USER_FAULT, out
from airflow_wall.compiler.plan import plan
from airflow_wall.errors import SpecError
from airflow_wall.loader.discover import yaml_files
from airflow_wall.loader.load import is_pipeline, load_spec
from airflow_wall.settings import Settings
from airflow_wall.text.faults import Fault, FaultyText
from airflow_wall.text.reader import read_file


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
    files = [file for path in paths for file in yaml_files(path)]
    seen: dict[str, Path] = {}
    faulty = 0
    for file in files:
        problems = _problems(file, settings, seen, strict=strict)
        faulty += any(problem.startswith("error") for problem in problems)
        for problem in problems:
            out().print(problem, end="\n\n")
    out().print(
        f"{len(seen)} pipelines in {len(files)} files: {f'{faulty} files with faults' if faulty else 'all good'}"
    )
    if faulty:
        raise typer.Exit(USER_FAULT)


def _problems(file: Path, settings: Settings, seen: dict[str, Path], *, strict: bool) -> list[str]:
    try:
        documents = read_file(file)
    except FaultyText as error:
        return [str(error)]
    pipelines = [document for document in documents if is_pipeline(document)]
    if not pipelines:
        return [f"skipped: {file} is no pipeline (no `dag_id` at its top)"]
    problems = []
    for document in pipelines:
        try:
            made = plan(load_spec(document, settings), settings)
            if made.dag_id in seen:
                raise FaultyText(
                    [_taken(file, made.dag_id, seen[made.dag_id], document.place(("dag_id",)))], document.text
                )
            seen[made.dag_id] = file
            lines = document.text.splitlines()
            problems += [_warning(fault, lines, strict=strict) for fault in made.warnings]
        except SpecError as error:
            problems.append(str(error))
    return problems


def _taken(file: Path, dag_id: str, other: Path, place: object) -> Fault:
    return Fault(file, place, f"`dag_id` is `{dag_id}`, which {other} has too", "give one of them another id")  # type: ignore[arg-type]


def _warning(fault: Fault, lines: list[str], *, strict: bool) -> str:
    text = fault.render(lines)
    return text if strict else f"warning{text.removeprefix('error')}"
