"""Airflow's metadata database, as `airflow-wall run` uses it."""

from __future__ import annotations

import contextlib

from airflow import settings as airflow_settings
from airflow.utils.db import check_migrations, initdb
from sqlalchemy import Engine, inspect
from sqlalchemy.orm import Session


def prepare_database() -> None:
    """Create the metadata database, or bring it up to date. An SQLite file that is there and current costs 0.1 s."""
    if inspect(engine()).has_table("dag_run"):
        with contextlib.suppress(TimeoutError):
            check_migrations(timeout=1)
            return
    initdb()


def engine() -> Engine:
    """The engine that Airflow has made."""
    assert airflow_settings.engine is not None, "importing Airflow makes it"
    return airflow_settings.engine


def new_session() -> Session:
    """A session of its own."""
    assert airflow_settings.Session is not None, "importing Airflow makes it"
    session: Session = airflow_settings.Session()
    return session
