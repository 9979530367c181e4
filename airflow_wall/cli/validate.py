"""`airflow-wall validate`: every fault of every pipeline, without Airflow."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from airflow_wall.cli.formats import Finding, Format, as_github, as_gitlab, as_json, as_text
from airflow_wall.cli.output import OUR_FAULT, USER_FAULT, out, say
from airflow_wall.compiler.check import Checked, Further, check_files
from airflow_wall.compiler.plan import Plan
from airflow_wall.loader.discover import yaml_files
from airflow_wall.settings import Settings
from airflow_wall.text.faults import Fault


def validate(
    paths: Annotated[list[Path], typer.Argument(help="YAML files, or folders of them.", exists=True)],
    env: Annotated[str | None, typer.Option(help="Which of the files' environments is in force.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Treat warnings as errors.")] = False,
    operators: Annotated[
        bool, typer.Option("--operators", help="Check arguments of other operators too: imports Airflow and them.")
    ] = False,
    format: Annotated[Format, typer.Option("--format", help="How to tell what was found.")] = Format.TEXT,
) -> None:
    """
    Check pipelines: text, keys, values, names, files, and the graph.

    Answers in tenths of a second, needs no Airflow and runs none of your code (with --operators it imports the
    operators that are named). Exit code 0: all good; 1: faults; 3: a fault of airflow-wall.
    """
    settings = Settings.from_environment(os.environ, environment=env)
    files = list(dict.fromkeys(file for path in paths for file in yaml_files(path)))
    checked = check_files(files, settings, _of_operators() if operators else None)
    findings = {each.path: list(_findings(each, strict=strict)) for each in checked}
    if format is Format.TEXT:
        _show(checked, findings)
    else:
        _print(format, [finding for each in checked for finding in findings[each.path]])
    defects = [each.defect for each in checked if each.defect is not None]
    for defect in defects:
        say(f"{defect}\n\nplease report it, with the lines above")
    if defects:
        raise typer.Exit(OUR_FAULT)
    if any(_faulty(found) for found in findings.values()):
        raise typer.Exit(USER_FAULT)


def _of_operators() -> Further:
    # Airflow's log goes to where standard output is when it is imported, and operators may print when they are.
    with contextlib.redirect_stdout(sys.stderr):
        from airflow_wall.compiler.signatures import operators_of

    def further(plan: Plan) -> list[Fault]:
        with contextlib.redirect_stdout(sys.stderr):
            return operators_of(plan)[1]

    return further


def _findings(checked: Checked, *, strict: bool) -> Iterable[Finding]:
    yield from (Finding(fault) for fault in checked.faults)
    # Beside faults, what is only doubtful can wait; where it counts as a fault, it cannot.
    if strict or not checked.faults:
        yield from (Finding(fault, "error" if strict else "warning") for fault in checked.warnings)


def _show(checked: list[Checked], findings: dict[Path, list[Finding]]) -> None:
    for each in checked:
        if each.skipped:
            out().print(f"skipped: {each.path} is no pipeline (no `dag_id` at its top)", end="\n\n")
        for finding in findings[each.path]:
            out().print(as_text(finding), end="\n\n")
    count = sum(len(each.pipelines) for each in checked)
    faulty = sum(_faulty(findings[each.path]) or each.defect is not None for each in checked)
    verdict = f"{_counted(faulty, 'file')} with faults" if faulty else "all good"
    out().print(f"{_counted(count, 'pipeline')} in {_counted(len(checked), 'file')}: {verdict}")


def _print(format: Format, findings: list[Finding]) -> None:
    if format is Format.GITHUB:
        for finding in findings:
            typer.echo(as_github(finding))
    else:
        typer.echo(as_json(findings) if format is Format.JSON else as_gitlab(findings))


def _faulty(findings: list[Finding]) -> bool:
    return any(finding.severity == "error" for finding in findings)


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
