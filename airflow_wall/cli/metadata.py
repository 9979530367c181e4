"""Airflow's metadata database, as `airflow-wall run` uses it."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from pathlib import Path

from airflow import settings as airflow_settings
from airflow.jobs.job import Job, JobState
from airflow.utils.db import check_migrations, initdb
from sqlalchemy import Engine, inspect, select
from sqlalchemy.orm import Session

from airflow_wall.cli.output import short
from airflow_wall.errors import DeploymentError


def prepare_database() -> None:
    """Create the metadata database, or bring it up to date. If an SQLite file is up to date, this takes 0.1 s."""
    if inspect(engine()).has_table("dag_run"):
        with contextlib.suppress(TimeoutError):
            check_migrations(timeout=1)
            return
    initdb()


def engine() -> Engine:
    """Return Airflow's engine."""
    assert airflow_settings.engine is not None, "importing Airflow creates it"
    return airflow_settings.engine


def new_session() -> Session:
    """Return a new session."""
    assert airflow_settings.Session is not None, "importing Airflow creates it"
    session: Session = airflow_settings.Session()
    return session


_COMPONENTS = {"SchedulerJob": "scheduler", "DagProcessorJob": "DAG processor", "TriggererJob": "triggerer"}


def refuse_neighbour(session: Session, home: Path, dag_id: str) -> None:
    """
    Raise an error if a component of another Airflow reports to this database.

    :param home: Airflow's home, for the message.
    :raises DeploymentError: such a component exists.
    """
    if neighbour := _neighbour(session):
        raise DeploymentError(
            f"another Airflow uses `{short(home)}`: its {neighbour}; "
            "`airflow-wall run` would run the same tasks beside it",
            hint=f"stop it (a killed one counts for 30 s more), or run the pipeline there: "
            f"`airflow dags trigger {dag_id}`, or choose another home: "
            "`AIRFLOW_HOME=.airflow-run airflow-wall run ...`",
        )


def refuse_second_airflow(session: Session, home: Path) -> None:
    """
    Raise an error if an Airflow works on this database, so that no second one starts.

    :param home: Airflow's home, for the message.
    :raises DeploymentError: a component of one exists.
    """
    if neighbour := _neighbour(session):
        raise DeploymentError(
            f"another Airflow uses `{short(home)}`: its {neighbour}",
            hint="use that one, or stop it (a killed one counts for 30 s more), or choose another home: "
            "`AIRFLOW_HOME=.airflow-dev airflow-wall dev`",
        )


def _neighbour(session: Session) -> str | None:
    """
    Return the components of another Airflow that report to this database, as a text for messages; None without one.

    It counts if Airflow considers it alive: in state `running`, with a heartbeat within its health check threshold. A
    killed component counts until this has passed, by default for 30 seconds.
    """
    query = select(Job).where(Job.job_type.in_(_COMPONENTS), Job.state == JobState.RUNNING).order_by(Job.id)
    alive = [job for job in session.scalars(query) if job.is_alive()]
    if not alive:
        return None
    names = ", ".join(dict.fromkeys(_COMPONENTS[str(job.job_type)] for job in alive))
    now = datetime.now(UTC)
    ago = min((now - job.latest_heartbeat).total_seconds() for job in alive if job.latest_heartbeat)
    return f"{names} reported {max(0, ago):.0f} s ago on `{alive[0].hostname}`"
