"""Find the dates of a pipeline that have never run, or whose last run failed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow.models.dagrun import DagRun
from airflow.utils.state import DagRunState
from sqlalchemy import select

from airflow_wall.cli.dates import DateRange, slots
from airflow_wall.cli.listing import connected
from airflow_wall.job import date_of_slice, slice_id_of
from airflow_wall.storage.run_history import FAILED, STARTED, RunHistory

if TYPE_CHECKING:
    from airflow_wall.cli.prepare import Prepared


def unfinished_dates(
    prepared: Prepared, date_range: DateRange | None, *, missing: bool, failed: bool
) -> list[datetime]:
    """
    Return the dates to run, the earliest first, by the history of the lake and the runs of this Airflow.

    :param date_range: Only dates in it; by default those from the first date that is known to now.
    :param missing: Return due dates of the schedule that have never run.
    :param failed: Return dates whose last run failed, or was killed.
    :raises WallError: for `missing`, the pipeline has no schedule by time.
    """
    last = _last_events(prepared)
    runs = {
        slice_id_of(date): str(state)
        for date, state in prepared.session.execute(
            select(DagRun.logical_date, DagRun.state).where(
                DagRun.dag_id == prepared.plan.dag_id, DagRun.logical_date.is_not(None)
            )
        )
    }
    known = sorted(date for name in {*last, *runs} if (date := date_of_slice(name)) is not None)
    dates: set[datetime] = set()
    if missing and (date_range is not None or known):
        due = slots(prepared.dag, date_range or DateRange(known[0], None))
        dates |= {
            slot.logical_date.astimezone(UTC) for slot in due if slice_id_of(slot.logical_date) not in {*last, *runs}
        }
    if failed:
        dates |= {date for date in known if _has_failed(last.get(slice_id_of(date)), runs.get(slice_id_of(date)))}
    if date_range is not None:
        end = date_range.last or datetime.now(UTC)
        dates = {date for date in dates if date_range.first <= date <= end}
    return sorted(dates)


def _last_events(prepared: Prepared) -> dict[str, str]:
    """Return slice -> the state of its last run: failed if the last job of any task failed or never ended."""
    tasks: dict[str, dict[str, str]] = {}
    runs: dict[str, str] = {}
    for event in RunHistory(connected(prepared.plan.storage)).events(prepared.plan.dag_id):
        name = event["slice"]
        if runs.get(name) != event["run"]:
            runs[name], tasks[name] = event["run"], {}
        tasks[name][event["task"]] = event["event"]
    return {name: FAILED if {FAILED, STARTED} & {*of_task.values()} else "succeeded" for name, of_task in tasks.items()}


def _has_failed(last: str | None, run: str | None) -> bool:
    """Return True if the lake or this Airflow says so. Tasks of other operators fail without a line in the lake."""
    return last == FAILED or run == DagRunState.FAILED
