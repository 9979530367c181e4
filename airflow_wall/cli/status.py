"""`airflow-wall status`: the last runs of each pipeline, what is wrong with them, and what to type next."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from airflow_wall.cli.listing import STORAGE, AsJson, Storage, open_lake, print_json, print_rows
from airflow_wall.cli.output import NOTHING_TO_DO, USER_FAULT, note, out, short
from airflow_wall.diagnostics.printable import counted
from airflow_wall.diagnostics.suggestions import suggestion
from airflow_wall.errors import WallError
from airflow_wall.job import safe_name
from airflow_wall.lake_status import STALE_OF, judge_all
from airflow_wall.storage.pipeline_status import BAD, OK, PipelineStatus
from airflow_wall.storage.run_history import RunHistory

_DAG_ID = re.compile(r"""^[ \t]*dag_id:[ \t]*["']?([\w.-]+)["']?[ \t]*(?:#.*)?$""", re.MULTILINE)


def status(
    pipeline: Annotated[str | None, typer.Argument(help="The pipeline; by default all.")] = None,
    runs: Annotated[int, typer.Option(min=1, help="How many of the last runs of a pipeline.")] = 7,
    bad: Annotated[bool, typer.Option("--bad", help="List only pipelines that are not well.")] = False,
    folder: Annotated[
        Path, typer.Option("--in", help="The pipelines, whose files the commands name; it need not exist.")
    ] = Path("dags"),
    storage: Storage = STORAGE,
    as_json: AsJson = False,
) -> None:
    """
    Say if the last runs are fine, and if not, what to type next.

    It reads what each step recorded in the lake, and needs no running Airflow. A run that never started, or that failed
    in a task of another operator, is recorded by Airflow only. Exit code 0: fine; 1: a run failed, was killed or is
    late, or a release withholds rows; 4: no step has run yet.
    """
    lake, address = open_lake(storage), short(storage)
    names = _names(RunHistory(lake).pipelines(), pipeline, address)
    statuses = judge_all(lake, names, now=datetime.now(UTC), runs=runs, files=_files(folder), address=address)
    if not statuses:
        note(f"no step of a pipeline has run in the lake `{address}`")
    if as_json:
        print_json(pipelines=[_document(one) for one in statuses], stale_checked=len(names) <= STALE_OF)
    elif pipeline is not None:
        _print_pipeline(statuses[0])
    elif statuses:
        _print_overview([one for one in statuses if not bad or one.health != OK], len(statuses))
        if len(names) > STALE_OF:
            out().print("stale slices: airflow-wall status PIPELINE")
    if not statuses:
        raise typer.Exit(NOTHING_TO_DO)
    if any(one.health == BAD for one in statuses):
        raise typer.Exit(USER_FAULT)


def _names(names: Sequence[str], pipeline: str | None, lake: str) -> Sequence[str]:
    """Return the names of the folders of the pipelines to judge."""
    if pipeline is None:
        return names
    if safe_name(pipeline) not in names:
        raise WallError(
            f"no step of pipeline `{pipeline}` has run in the lake `{lake}`",
            hint=suggestion(pipeline, names, what="pipelines") if names else "run it, or name another `--storage`",
        )
    return [safe_name(pipeline)]


def _print_overview(statuses: Sequence[PipelineStatus], count: int) -> None:
    if statuses:
        rows = []
        for one in sorted(statuses, key=lambda one: (one.health != BAD, one.health == OK, one.pipeline)):
            last = one.runs[0]
            reason = f"{one.findings[0].kind}: {one.findings[0].text}" if one.findings else None
            rows.append((one.pipeline, one.health, last.date, last.state, last.rows, last.release, reason))
        print_rows(("pipeline", "health", "last run", "state", "rows in", "release", "reason"), rows)
    not_well = [one for one in statuses if one.health != OK]
    out().print(f"\n{counted(count, 'pipeline')}: {count - len(not_well)} fine, {len(not_well)} to look at")
    for one in not_well[:1]:
        out().print(f"next: airflow-wall status {one.pipeline}")


def _print_pipeline(status: PipelineStatus) -> None:
    out().print(f"{status.pipeline}: {status.health}\n")
    print_rows(
        ("run", "state", "seconds", "rows in", "bad rows", "scored", "release", "withheld slices", "model"),
        [
            (
                run.date,
                run.state,
                f"{run.seconds:.1f}",
                run.rows,
                run.bad,
                run.scored,
                run.release,
                len(run.withheld),
                run.model,
            )
            for run in status.runs
        ],
    )
    for finding in status.findings:
        out().print(f"\n{finding.kind}: {finding.text}")
        for command in finding.commands:
            out().print(f"  {command}")
    if not status.findings:
        out().print("\nnothing to do")


def _document(status: PipelineStatus) -> dict[str, Any]:
    return {**asdict(status), "health": status.health}


def _files(folder: Path) -> dict[str, str]:
    """Return pipeline -> its YAML file below a folder."""
    paths = sorted([*folder.rglob("*.yaml"), *folder.rglob("*.yml")]) if folder.is_dir() else []
    texts = ((path, path.read_text(encoding="utf-8", errors="replace")) for path in paths)
    return {match[1]: short(path) for path, text in texts for match in _DAG_ID.finditer(text)}
