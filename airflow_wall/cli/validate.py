"""`airflow-wall validate`: check pipelines and show all their faults, without Airflow."""

from __future__ import annotations

import contextlib
import os
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer

from airflow_wall.cli.formats import (
    ReportedFault,
    ReportFormat,
    as_github,
    as_gitlab,
    as_text,
    findings_as_json,
    styled,
)
from airflow_wall.cli.listing import AsJson
from airflow_wall.cli.output import OUR_FAULT, USER_FAULT, is_quiet, is_verbose, note, out, say
from airflow_wall.diagnostics.faults import Fault, SourcePosition
from airflow_wall.diagnostics.printable import counted, printable_line
from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.loader.discover import FileKind, yaml_files
from airflow_wall.planner.check import Checked, Further, check_files
from airflow_wall.settings import Settings

_PARTS = (FileKind.CHECKS, FileKind.SHARED, FileKind.CONTRACT, FileKind.CONNECTIONS)


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
    format: Annotated[
        ReportFormat, typer.Option("--format", help="Output format, for code review. Instead of `json`, use --json.")
    ] = ReportFormat.TEXT,
    as_json: AsJson = False,
    skip_other_files: Annotated[
        bool,
        typer.Option(
            "--skip-other-files",
            envvar="PRE_COMMIT",
            help="Pass over named files that are not pipelines or parts of one, as the hooks of pre-commit do.",
        ),
    ] = False,
) -> None:
    """
    Check pipelines: text, keys, values, names, files, and the graph.

    Files of checks, contracts and shared files can be named too. Another file that is named is a fault; in a folder,
    other files are passed over.

    Takes tenths of a second, needs no Airflow and runs none of your code (with --operators it imports the operators
    that the pipelines name). Exit code 0: all good; 1: faults; 3: a fault of airflow-wall.
    """
    settings = Settings.from_environment(os.environ, environment=env)
    if format is ReportFormat.JSON:
        note("warning: `--format json` is deprecated, and the next release rejects it; use `--json`")
    by_path = {path: list(yaml_files(path)) for path in paths}
    files = list(dict.fromkeys(file for within in by_path.values() for file in within))
    if fix:
        from airflow_wall.cli.fix import fix_files  # few calls need it

        fix_files(files, settings)
    named = [path for path in paths if not path.is_dir()]
    checked = check_files(files, settings, _of_operators() if operators else None, named=named)
    if skip_other_files:
        _forgive_other_files(checked)
    findings = {result.path: list(_findings(result, strict=strict)) for result in checked}
    findings |= {folder: [ReportedFault(fault)] for folder, fault in _empty_folders(by_path, checked)}
    chosen = ReportFormat.JSON if as_json else format
    if chosen is ReportFormat.TEXT:
        _show(checked, findings, named)
    else:
        _print(chosen, [finding for of_path in findings.values() for finding in of_path])
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
        from airflow_wall.dag.named import faults_of_names

    return faults_of_names


def _forgive_other_files(checked: Iterable[Checked]) -> None:
    for result in checked:
        if result.kind is FileKind.OTHER:
            result.faults = ()


def _empty_folders(by_path: Mapping[Path, list[Path]], checked: Iterable[Checked]) -> Iterator[tuple[Path, Fault]]:
    """Yield the folders that were named and hold no pipeline or part of one, each with its fault."""
    ours = {result.path for result in checked if result.kind is not FileKind.OTHER}
    for folder, files in by_path.items():
        if folder.is_dir() and ours.isdisjoint(files):
            reason = "none of its YAML files is one" if files else "it has no YAML files"
            hint = "name the folder of your pipelines; a pipeline is a `.yaml` file with `dag_id` at its top"
            yield folder, Fault(folder, SourcePosition(1, 1), f"holds no pipeline: {reason}", hint)


def _findings(checked: Checked, *, strict: bool) -> Iterable[ReportedFault]:
    yield from (ReportedFault(fault) for fault in checked.faults)
    # Warnings are hidden beside errors, unless they count as errors.
    if strict or not checked.faults:
        yield from (ReportedFault(fault, "error" if strict else "warning") for fault in checked.warnings)


def _show(checked: list[Checked], findings: dict[Path, list[ReportedFault]], named: Collection[Path]) -> None:
    for of_path in findings.values():
        for finding in of_path:
            console = out()
            console.print(styled(finding) if console.is_terminal else as_text(finding), end="\n\n")
    templates = sum(result.templates for result in checked)
    if templates:
        note(f"note: {counted(templates, 'SQL text')} with templates not checked: known only when the task runs")
    if is_verbose():
        for result in checked:
            what = listed(pipeline.dag_id for pipeline in result.pipelines) or result.kind
            out().print(f"{printable_line(str(result.path))}: {what}")
    if not is_quiet():
        out().print(f"{_inventory(checked, named)}: {_verdict(checked, findings)}")


def _inventory(checked: list[Checked], named: Collection[Path]) -> str:
    """Return the numbers of pipelines and of the other files that were checked."""
    pipelines = sum(len(result.pipelines) for result in checked)
    files = sum(result.kind is FileKind.PIPELINE or bool(result.faults) for result in checked)
    parts = Counter(result.kind for result in checked if result.path in named and not result.faults)
    texts = [f"{counted(pipelines, 'pipeline')} in {counted(files, 'file')}"] if files or not parts else []
    texts += [counted(parts[kind], kind, _plural(kind)) for kind in _PARTS if parts[kind]]
    return ", ".join(texts)


def _plural(kind: FileKind) -> str:
    return kind.replace("file", "files", 1) if "file" in kind else f"{kind}s"


def _verdict(checked: list[Checked], findings: dict[Path, list[ReportedFault]]) -> str:
    defects = {result.path for result in checked if result.defect is not None}
    faulty = sum(_faulty(of_path) or path in defects for path, of_path in findings.items())
    passed_over = sum(result.kind is FileKind.OTHER and not findings[result.path] for result in checked)
    verdict = f"{counted(faulty, 'file')} with faults" if faulty else "all good"
    return f"{verdict}; {counted(passed_over, 'other YAML file')} passed over" if passed_over else verdict


def _print(format: ReportFormat, findings: list[ReportedFault]) -> None:
    if format is ReportFormat.GITHUB:
        for finding in findings:
            typer.echo(as_github(finding))
    else:
        typer.echo(findings_as_json(findings) if format is ReportFormat.JSON else as_gitlab(findings))


def _faulty(findings: list[ReportedFault]) -> bool:
    return any(finding.severity == "error" for finding in findings)
