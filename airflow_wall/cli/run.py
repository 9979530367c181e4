"""`airflow-wall run`: run a pipeline on this machine, for one date or several."""

from __future__ import annotations

import gc
import os
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer
from rich.console import Console

from airflow_wall.cli.dates import DateRange, parse_date, parse_range
from airflow_wall.cli.extras import check_extras
from airflow_wall.cli.formats import ReportedFault, as_text
from airflow_wall.cli.home import CONNECTIONS_FILE, Home, check_connections, find_home, quiet_terminal
from airflow_wall.cli.listing import AsJson, as_document
from airflow_wall.cli.output import INTERRUPTED, NOTHING_TO_DO, PlainConsole, is_quiet, no_pipeline, out, say, short
from airflow_wall.dag.early_reads import rejected
from airflow_wall.diagnostics.faults import FaultyText
from airflow_wall.diagnostics.printable import printable_line
from airflow_wall.diagnostics.suggestions import listed, suggestion
from airflow_wall.errors import WallError
from airflow_wall.loader.load import load_specs
from airflow_wall.planner.plan import Plan
from airflow_wall.planner.planner import plan_all
from airflow_wall.settings import Settings
from airflow_wall.text.durations import parse_duration

if TYPE_CHECKING:
    from airflow_wall.cli.stale import StaleSlice

When: TypeAlias = "datetime | DateRange | list[StaleSlice] | None"
"""The dates to run: one, those of a range, those of stale slices, or now."""


def run(
    file: Annotated[Path, typer.Argument(help="The pipeline, a YAML file.", exists=True, dir_okay=False)],
    date: Annotated[str | None, typer.Option(help="Logical date of the run, e.g. 2013-07-01; by default now.")] = None,
    first: Annotated[
        str | None,
        typer.Option("--from", metavar="DATE", help="Run each date of the schedule from this one on, in order."),
    ] = None,
    last: Annotated[
        str | None,
        typer.Option("--to", metavar="DATE", help="With --from: the last date, included; by default the last due one."),
    ] = None,
    stale: Annotated[
        bool,
        typer.Option("--stale", help="Run exactly the dates whose tables were computed from rows that have changed."),
    ] = False,
    missing: Annotated[
        bool, typer.Option("--missing", help="Run the due dates of the schedule that have never run, in order.")
    ] = False,
    failed: Annotated[
        bool, typer.Option("--failed", help="Run again the dates whose last run failed, in order.")
    ] = False,
    rebuild: Annotated[
        str | None,
        typer.Option(metavar="TABLE", help="Write a table anew: run again each date that has rows in it."),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="With --date: run all tasks of that date again, also if they succeeded.")
    ] = False,
    task: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="Run this task alone, on this terminal: `breakpoint()` works. Without --date, of the newest run.",
        ),
    ] = None,
    env: Annotated[str | None, typer.Option(help="Which of the file's environments is in force.")] = None,
    dag_id: Annotated[str | None, typer.Option(help="Which pipeline, where the file has several.")] = None,
    connections: Annotated[
        Path | None,
        typer.Option(
            help=f"File of Airflow connections; by default {CONNECTIONS_FILE} in the project's folder, if it is there.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    parallel: Annotated[int, typer.Option(min=1, help="How many tasks run at once.")] = os.cpu_count() or 2,
    retry_wait: Annotated[
        str, typer.Option(help="The longest wait before a retry, whatever the pipeline says.")
    ] = "5s",
    as_json: AsJson = False,
) -> None:
    """
    Run a pipeline on this machine, through a real Airflow.

    Runs, task states and logs are kept in .airflow in the project's folder (or AIRFLOW_HOME), where you can read them
    afterwards, also with `airflow standalone`. A failed run continues where it stopped. With --date, a date that
    succeeded before is checked again for new data. With --from and --to, dates that succeeded before are skipped, and
    the first date that fails ends the command. --missing and --failed find the dates themselves, by the history of the
    lake.

    Exit code 0: it succeeded; 1: it failed; 4: there was nothing to do, e.g. no new data.
    """
    settings = Settings.from_environment(os.environ, environment=env)
    selected = _select_plan(plan_all(load_specs(file, settings), settings), file, dag_id, settings)
    wait = parse_duration(retry_wait)
    if wait is None:
        raise typer.BadParameter("write a duration, e.g. 5s or 1m", param_hint="--retry-wait")
    if task is not None:
        _check_task(selected, task, alone=not (first or last or stale or rebuild or again or missing or failed))
    if (missing or failed) and (date or stale or rebuild or again):
        raise typer.BadParameter("use it alone, or with `--from`", param_hint="--missing" if missing else "--failed")
    when: When = parse_range(first, last, selected.timezone, date=date) or parse_date(date, selected.timezone)
    when = _dates_to_run(selected, when, stale=stale, rebuild=rebuild, again=again)
    if when == []:
        raise typer.Exit(NOTHING_TO_DO)
    connections_file = connections or selected.project / CONNECTIONS_FILE
    given = {"--env": env, "--dag-id": dag_id, "--connections": connections}
    command = ["airflow-wall", "run", str(file)]
    command += [text for name, value in given.items() if value is not None for text in (name, str(value))]
    home = _set_environment(selected, settings, connections_file, task)
    options = _Options(parallel, wait, command, rebuild, task, missing=missing, failed=failed)
    code = _run_on_terminal(home, file, selected, when, options, as_json=as_json)
    if code:
        raise typer.Exit(code)


@dataclass(frozen=True)
class _Options:
    """
    Options of the command.

    :param command: The command line without the dates.
    :param rebuild: The table to write anew.
    :param task: The task to run alone.
    :param runs: Gets the runs, for `--json`.
    :param missing: Run the dates that have never run.
    :param failed: Run the dates whose last run failed.
    """

    parallel: int
    retry_wait: timedelta
    command: Sequence[str]
    rebuild: str | None = None
    task: str | None = None
    runs: list[dict[str, Any]] = field(default_factory=list)
    missing: bool = False
    failed: bool = False


def _dates_to_run(selected: Plan, when: When, *, stale: bool, rebuild: str | None, again: bool) -> When:
    """Return the dates that the options ask for. If none are stale, print that and return []."""
    if not (again or stale or rebuild is not None):
        return when
    from airflow_wall.cli.rebuild import slices_to_rebuild  # imports the tables
    from airflow_wall.cli.stale import stale_slices, whole_run

    if again:
        if not isinstance(when, datetime) or stale or rebuild is not None:
            raise typer.BadParameter("use it with `--date`", param_hint="--again")
        return [whole_run(selected, when)]
    if when is not None or (stale and rebuild is not None):
        option = "--stale" if rebuild is None else "--rebuild"
        raise typer.BadParameter("it finds the dates itself: use it alone", param_hint=option)
    slices = stale_slices(selected) if rebuild is None else slices_to_rebuild(selected, rebuild)
    if not slices:
        nothing = "no table is stale" if rebuild is None else f"no run has written `{rebuild}`"
        out().print(f"{selected.dag_id}: {nothing}")
    return slices


def _check_task(selected: Plan, task: str, *, alone: bool) -> None:
    if not alone:
        raise typer.BadParameter("use it alone or with `--date`", param_hint="--task")
    ids = [planned.task_id for planned in selected.tasks]
    if task not in ids:
        raise WallError(
            f"`{selected.dag_id}` has no task `{task}`", hint=suggestion(task, ids, what="tasks of the pipeline")
        )


def _select_plan(plans: list[Plan], file: Path, dag_id: str | None, settings: Settings) -> Plan:
    """Return the pipeline to run, and show the warnings of it."""
    if not plans:
        raise no_pipeline(file, settings)
    selected = _selected_plan(plans, file, dag_id)
    if selected.storage.folder is not None and selected.storage.folder.is_file():
        raise WallError(
            f"the lake `{short(selected.storage)}` is not a directory", hint="correct `storage`, or move the file away"
        )
    if faults := rejected(selected):
        raise FaultyText(faults, selected.text)
    check_extras(selected)
    for missing in selected.missing_needs:
        say(f"{as_text(ReportedFault(missing.fault, 'warning'))}\n")
    return selected


def _selected_plan(plans: list[Plan], file: Path, dag_id: str | None) -> Plan:
    if dag_id is None and len(plans) == 1:
        return plans[0]
    ids = [plan.dag_id for plan in plans]
    if dag_id is None:
        raise WallError(
            f"`{printable_line(str(file))}` holds {len(plans)} pipelines: {listed(ids)}",
            hint=f"choose one: `--dag-id {ids[0]}`",
        )
    if dag_id not in ids:
        raise WallError(
            f"`{printable_line(str(file))}` holds no pipeline `{dag_id}`",
            hint=suggestion(dag_id, ids, what="pipelines of the file"),
        )
    return plans[ids.index(dag_id)]


def _set_environment(selected: Plan, settings: Settings, connections_file: Path, task: str | None) -> Home:
    """Set the environment variables of Airflow, which it reads on import, and return its home."""
    home = find_home(selected.project, os.environ)
    check_connections(connections_file)
    variables = home.environment(settings, connections_file.absolute())
    os.environ.update({name: value for name, value in variables.items() if name not in os.environ})
    if task is not None:
        os.environ.setdefault("AIRFLOW__LOGGING__NAMESPACE_LEVELS", "airflow=WARNING task=CRITICAL")
    return home


def _run_on_terminal(home: Home, file: Path, selected: Plan, when: When, options: _Options, *, as_json: bool) -> int:
    """Run the pipeline while logs go to a file; return the exit code."""
    from airflow_wall.cli.job_server import job_server  # imports clusters and jobs

    with quiet_terminal(home.console) as terminal:
        console = PlainConsole(terminal, only_faults=is_quiet() or as_json)
        try:
            with job_server(selected):
                code = _run(home, file, selected, when, console, options)
        except KeyboardInterrupt:
            console.print("\ninterrupted; run the same command again: it continues where it stopped")
            code = INTERRUPTED
        except WallError:
            raise
        except Exception as error:
            traceback.print_exc()  # into the console log
            raise WallError(
                f"Airflow failed: {type(error).__name__}: {error}", hint=f"see the log `{short(home.console)}`"
            ) from error
        if as_json:
            text = as_document(dag_id=selected.dag_id, exit_code=code, runs=options.runs)
            terminal.write(f"{text}\n")
    return code


def _run(
    home: Home,
    file: Path,
    selected: Plan,
    when: When,
    console: Console,
    options: _Options,
) -> int:
    """Run the pipeline; return the exit code."""
    stub = home.write_bundle(file.absolute())
    console.print(f"{selected.dag_id}: starting Airflow in {short(home.path)}")
    # Importing Airflow creates a million objects that live to the end. Collecting garbage meanwhile takes a tenth of
    # the run. `prepare` ends with `gc.freeze`, as the documentation of `gc` advises for processes that fork.
    gc.disable()
    # Imported late: Airflow reads its configuration on import, so the environment must be set before.
    from airflow_wall.cli.drive import Driver
    from airflow_wall.cli.prepare import prepare

    prepared = prepare(home, stub, selected, preload=_jobs_in_tasks(selected))
    gc.enable()
    if options.task is not None:
        from airflow_wall.cli.one_task import run_one_task

        assert not isinstance(when, DateRange | list), "checked before"
        return run_one_task(prepared, options.task, when, console)
    driver = Driver(prepared, console, options.parallel, options.retry_wait, options.command, options.runs)
    if options.missing or options.failed:
        from airflow_wall.cli.unfinished import unfinished_dates

        assert not isinstance(when, list | datetime), "checked before"
        return driver.run_dates(unfinished_dates(prepared, when, missing=options.missing, failed=options.failed))
    if isinstance(when, list):
        if options.rebuild is not None:
            from airflow_wall.cli.rebuild import set_aside

            old = set_aside(selected, options.rebuild)
            if old is not None:
                console.print(f"the old rows of `{options.rebuild}` are in {short(old)}")
        return driver.run_stale(when)
    return driver.run_range(when) if isinstance(when, DateRange) else driver.run_date(when)


def _jobs_in_tasks(selected: Plan) -> set[str]:
    """Return the kinds of jobs that run in the tasks' own processes, not on a cluster."""
    from airflow_wall.jobs.base import JOBS

    kinds = {task.uses for task in selected.tasks if "cluster" not in task.arguments}
    return {kind for kind in kinds if kind in JOBS} | ({"stage"} if kinds & {"persist", "index", "submit"} else set())
