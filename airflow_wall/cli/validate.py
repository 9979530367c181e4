"""`airflow-wall validate`: check pipelines and show all their faults, without Airflow."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from airflow_wall.cli.fix import fix_files
from airflow_wall.cli.formats import Finding, ReportFormat, as_github, as_gitlab, as_json, as_text
from airflow_wall.cli.output import OUR_FAULT, USER_FAULT, out, say
from airflow_wall.diagnostics.printable import printable_line
from airflow_wall.loader.discover import yaml_files
from airflow_wall.planner.check import Checked, Further, check_files
from airflow_wall.settings import Settings


def validate(
    paths: Annotated[list[Path], typer.Argument(help="YAML files, or folders of them.", exists=True)],
    env: Annotated[str | None, typer.Option(help="Which of the files' environments is in force.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Treat warnings as errors.")] = False,
    operators: Annotated[
        bool, typer.Option("--operators", help="Check arguments of other operators too: imports Airflow and them.")
    ] = False,
    fix: Annotated[
        bool, typer.Option("--fix", help="Write missing `needs` into the files; comments and format stay.")
    ] = False,
    format: Annotated[ReportFormat, typer.Option("--format", help="Output format.")] = ReportFormat.TEXT,
) -> None:
    """
    Check pipelines: text, keys, values, names, files, and the graph.

    Takes tenths of a second, needs no Airflow and runs none of your code (with --operators it imports the operators
    that the pipelines name). Exit code 0: all good; 1: faults; 3: a fault of airflow-wall.
    """
    settings = Settings.from_environment(os.environ, environment=env)
    files = list(dict.fromkeys(file for path in paths for file in yaml_files(path)))
    if fix:
        fix_files(files, settings)
    checked = check_files(files, settings, _of_operators() if operators else None)
    findings = {result.path: list(_findings(result, strict=strict)) for result in checked}
    if format is ReportFormat.TEXT:
        _show(checked, findings)
    else:
        _print(format, [finding for result in checked for finding in findings[result.path]])
    defects = [result.defect for result in checked if result.defect is not None]
    for defect in defects:
        say(f"{defect}\n\nplease report it with the lines above")
    if defects:
        raise typer.Exit(OUR_FAULT)
    if any(_faulty(file_findings) for file_findings in findings.values()):
        raise typer.Exit(USER_FAULT)


def _of_operators() -> Further:
    # Airflow logs to the standard output at the time of its import.
    with contextlib.redirect_stdout(sys.stderr):
        from airflow_wall.dag.signatures import operators_of

    return lambda plan: operators_of(plan)[1]


def _findings(checked: Checked, *, strict: bool) -> Iterable[Finding]:
    yield from (Finding(fault) for fault in checked.faults)
    # Warnings are hidden beside errors, unless they count as errors.
    if strict or not checked.faults:
        yield from (Finding(fault, "error" if strict else "warning") for fault in checked.warnings)


def _show(checked: list[Checked], findings: dict[Path, list[Finding]]) -> None:
    for result in checked:
        if result.skipped:
            out().print(
                f"skipped: {printable_line(str(result.path))} is not a pipeline (no `dag_id` at its top)", end="\n\n"
            )
        for finding in findings[result.path]:
            out().print(as_text(finding), end="\n\n")
    templates = sum(result.templates for result in checked)
    if templates:
        say(f"note: {_counted(templates, 'SQL text')} with templates not checked: known only when the task runs")
    count = sum(len(result.pipelines) for result in checked)
    faulty = sum(_faulty(findings[result.path]) or result.defect is not None for result in checked)
    verdict = f"{_counted(faulty, 'file')} with faults" if faulty else "all good"
    out().print(f"{_counted(count, 'pipeline')} in {_counted(len(checked), 'file')}: {verdict}")


def _print(format: ReportFormat, findings: list[Finding]) -> None:
    if format is ReportFormat.GITHUB:
        for finding in findings:
            typer.echo(as_github(finding))
    else:
        typer.echo(as_json(findings) if format is ReportFormat.JSON else as_gitlab(findings))


def _faulty(findings: list[Finding]) -> bool:
    return any(finding.severity == "error" for finding in findings)


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
