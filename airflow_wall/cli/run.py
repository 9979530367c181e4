"""`airflow-wall run`: one pipeline, one date, on this machine."""

from __future__ import annotations

import contextlib
import os
import traceback
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.console import Console

from airflow_wall.cli.changes import Change
from airflow_wall.cli.home import CONNECTIONS_FILE, Home, find_home, quiet_terminal
from airflow_wall.cli.messages import show_messages
from airflow_wall.cli.output import INTERRUPTED, USER_FAULT, short
from airflow_wall.cli.summary import show_summary
from airflow_wall.compiler.plan import Plan
from airflow_wall.compiler.planner import plan_all
from airflow_wall.errors import WallError
from airflow_wall.jobs.table import JOBS
from airflow_wall.loader.load import load_specs
from airflow_wall.settings import Settings
from airflow_wall.text.durations import parse_duration
from airflow_wall.text.faults import suggestion


def run(
    file: Annotated[Path, typer.Argument(help="The pipeline, a YAML file.", exists=True, dir_okay=False)],
    date: Annotated[str | None, typer.Option(help="Logical date of the run, e.g. 2013-07-01; by default now.")] = None,
    env: Annotated[str | None, typer.Option(help="Which of the file's environments is in force.")] = None,
    dag_id: Annotated[str | None, typer.Option(help="Which pipeline, where the file has several.")] = None,
    connections: Annotated[
        Path | None,
        typer.Option(
            help=f"File of Airflow connections; by default {CONNECTIONS_FILE} in the project's folder, if it is there."
        ),
    ] = None,
    parallel: Annotated[int, typer.Option(min=1, help="How many tasks run at once.")] = os.cpu_count() or 2,
    retry_wait: Annotated[
        str, typer.Option(help="The longest wait before a retry, whatever the pipeline says.")
    ] = "5s",
) -> None:
    """
    Run a pipeline on this machine, through a real Airflow.

    State is kept in .airflow in the project's folder (or AIRFLOW_HOME): runs, task states and logs can be read there
    afterwards, also by `airflow standalone`. A run that failed goes on where it stopped; a date that succeeded
    before is looked at again for data that came since.
    """
    settings = Settings.from_environment(os.environ, environment=env)
    chosen = _chosen(plan_all(load_specs(file, settings), settings), file, dag_id)
    wait = parse_duration(retry_wait)
    if wait is None:
        raise typer.BadParameter("write a duration, e.g. 5s or 1m", param_hint="--retry-wait")
    logical_date = _date(date, chosen.timezone)
    home = find_home(chosen.project, os.environ)
    found = connections or chosen.project / CONNECTIONS_FILE
    wanted = home.environment(settings, found.absolute())
    os.environ.update({name: value for name, value in wanted.items() if name not in os.environ})
    with quiet_terminal(home.console) as terminal:
        console = Console(file=terminal, markup=False, highlight=False, soft_wrap=True)
        try:
            code = _run(home, file, chosen, logical_date, console, parallel, wait)
        except KeyboardInterrupt:
            console.print("\ninterrupted; run the same command again: it goes on where it stopped")
            code = INTERRUPTED
        except WallError:
            raise
        except Exception as error:
            traceback.print_exc()  # into the file
            raise WallError(
                f"Airflow failed: {type(error).__name__}: {error}", hint=f"look into `{short(home.console)}`"
            ) from error
    if code:
        raise typer.Exit(code)


def _chosen(plans: list[Plan], file: Path, dag_id: str | None) -> Plan:
    if not plans:
        raise WallError(f"`{file}` holds no pipeline", hint="a pipeline has `dag_id` at its top")
    if dag_id is None and len(plans) == 1:
        return plans[0]
    ids = [each.dag_id for each in plans]
    if dag_id is None:
        raise WallError(
            f"`{file}` holds {len(plans)} pipelines: {', '.join(f'`{each}`' for each in ids)}",
            hint=f"choose one: `--dag-id {ids[0]}`",
        )
    if dag_id not in ids:
        raise WallError(
            f"`{file}` holds no pipeline `{dag_id}`", hint=suggestion(dag_id, ids, what="pipelines of the file")
        )
    return plans[ids.index(dag_id)]


def _date(text: str | None, zone: str) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise WallError(
            f"`--date` must be a date, got `{text}`", hint="write e.g. `--date 2013-07-01` or `--date 2013-07-01T03:00`"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=ZoneInfo(zone))


def _run(
    home: Home, file: Path, chosen: Plan, date: datetime | None, console: Console, parallel: int, wait: timedelta
) -> int:
    """Run the pipeline; return the exit code."""
    stub = home.write_bundle(file.absolute())
    console.print(f"{chosen.dag_id}: starting Airflow in {short(home.path)}")
    # Airflow reads its configuration when it is imported, so not before the environment is set.
    from airflow_wall.cli.metadata import prepare_database
    from airflow_wall.cli.progress import Progress
    from airflow_wall.cli.runner import Runner

    prepare_database()
    runner = Runner(home, stub, chosen, parallel=parallel, retry_wait=wait, preload=_in_worker(chosen))
    said: list[Change] = []
    tasks = [task.task_id for task in chosen.tasks]
    with Progress(console, tasks) as progress, contextlib.closing(runner.run(date)) as looks:
        for changes in looks:
            progress.show(changes)
            said += [change for change in changes if change.message]
    outcome = runner.outcome()
    resumed = " (gone on with)" if outcome.resumed else ""
    console.print(f"\nrun {outcome.run_id}{resumed}: {'success' if outcome.success else 'failed'}\n")
    show_summary(console, chosen, outcome.results)
    show_messages(console, said, outcome)
    if not outcome.success:
        passed_over = sum(state == "upstream_failed" for state in outcome.states.values())
        logs = home.logs / f"dag_id={chosen.dag_id}" / f"run_id={outcome.run_id}"
        console.print(f"\nlogs: {short(logs)}")
        if passed_over:
            console.print(f"{passed_over} tasks after it were not run")
        console.print("mend it and run the same command again: it goes on where it stopped")
    return 0 if outcome.success else USER_FAULT


def _in_worker(chosen: Plan) -> set[str]:
    """Kinds of jobs that the plan does in the tasks' own processes, not on a cluster."""
    kinds = {task.uses for task in chosen.tasks if "cluster" not in task.arguments}
    return {kind for kind in kinds if kind in JOBS} | ({"stage"} if kinds & {"persist", "index", "submit"} else set())
