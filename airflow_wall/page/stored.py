"""Read the documents of `wall_upkeep`, and Airflow's own runs, from the metadata database."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow import __version__
from airflow.models.asset import AssetModel, TaskInletAssetReference, TaskOutletAssetReference
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from packaging.version import Version
from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

UPKEEP = "wall_upkeep"
"""The DAG whose documents are read. Those of others are not trusted."""

HAS_STORE = Version(__version__).release >= (3, 3)
"""False if Airflow has no store of assets: the documents are then XComs."""

Document = dict[str, Any]


@dataclass(frozen=True)
class LastRun:
    """
    The last run of a DAG in Airflow.

    :param failed: The tasks that failed, at most 5.
    """

    run_id: str
    state: str
    started: datetime | None
    ended: datetime | None
    failed: tuple[str, ...] = ()


@dataclass(frozen=True)
class DagFacts:
    """
    A DAG in Airflow.

    :param file: Its file, relative to its bundle.
    :param next_run: Time when the next run is due; None if it has no schedule.
    """

    dag_id: str
    file: str
    paused: bool
    broken: bool
    next_run: datetime | None
    last: LastRun | None = None


def documents(session: Session, keys: Collection[str] = (), *, prefix: str | None = None) -> dict[str, Document]:
    """
    Return documents by key; of lakes with the same key the newest one.

    :param prefix: Return all whose key begins so, instead of those of `keys`.
    """
    rows = _of_store(session, keys, prefix) if HAS_STORE else _of_xcoms(session, keys, prefix)
    found: dict[str, Document] = {}
    for lake, key, text in rows:
        document = json.loads(text) if isinstance(text, str) else text
        if isinstance(document, dict) and document.get("v") == 1:
            found[key] = {**document, "lake": lake}
    return found


def overview_parts(session: Session) -> list[Document]:
    """Return the parts of the overviews of all lakes."""
    rows = _of_store(session, (), "overview/") if HAS_STORE else _of_xcoms(session, (), "overview/")
    parts = []
    for lake, key, text in rows:
        document = json.loads(text) if isinstance(text, str) else text
        if isinstance(document, dict) and document.get("v") == 1 and int(key.partition("/")[2]) < document["parts"]:
            parts.append({**document, "lake": lake})
    return parts


def _of_store(session: Session, keys: Collection[str], prefix: str | None) -> Iterable[Any]:
    from airflow.models.asset_state_store import AssetStateStoreModel as Store  # not in Airflow 3.2

    wanted = Store.key.in_(keys) if prefix is None else Store.key.startswith(prefix, autoescape=True)
    query = (
        select(AssetModel.name, Store.key, Store.value)
        .join(AssetModel, AssetModel.id == Store.asset_id)
        .where(wanted, Store.last_updated_by_dag_id == UPKEEP)
        .order_by(Store.updated_at)
    )
    return session.execute(query)


def _of_xcoms(session: Session, keys: Collection[str], prefix: str | None) -> Iterable[Any]:
    from airflow.models.xcom import XComModel

    wanted = XComModel.key.in_(keys) if prefix is None else XComModel.key.startswith(prefix, autoescape=True)
    newest = (
        select(func.max(XComModel.dag_run_id))
        .where(XComModel.dag_id == UPKEEP, wanted)
        .group_by(XComModel.task_id, XComModel.key)
    )
    query = select(XComModel.task_id, XComModel.key, XComModel.value).where(
        XComModel.dag_id == UPKEEP, wanted, XComModel.dag_run_id.in_(newest)
    )
    return session.execute(query.order_by(XComModel.dag_run_id))


def pipelines_by_assets(session: Session) -> set[str]:
    """Return the DAGs that announce something in a lake which has a model or a release, or that `wall_upkeep` keeps."""
    marks = or_(AssetModel.name.contains("/release:"), AssetModel.name.contains("/model:"))
    roots = {name.rpartition("/")[0] for name in session.scalars(select(AssetModel.name).where(marks))}
    kept = select(AssetModel.name).join(TaskInletAssetReference, TaskInletAssetReference.asset_id == AssetModel.id)
    roots |= set(session.scalars(kept.where(TaskInletAssetReference.dag_id == UPKEEP)))
    if not roots:
        return set()
    ours = [AssetModel.name.startswith(f"{root}/", autoescape=True) for root in roots]
    query = (
        select(TaskOutletAssetReference.dag_id)
        .join(AssetModel, AssetModel.id == TaskOutletAssetReference.asset_id)
        .where(or_(*ours))
    )
    return set(session.scalars(query.distinct()))


def dags(session: Session, dag_ids: Collection[str] | None = None) -> dict[str, DagFacts]:
    """Return the DAGs that are not stale with their last runs, by id; only those of `dag_ids` if it is given."""
    query = select(
        DagModel.dag_id,
        DagModel.relative_fileloc,
        DagModel.is_paused,
        DagModel.has_import_errors,
        DagModel.next_dagrun_create_after,
    ).where(DagModel.is_stale.is_(False))
    latest = select(func.max(DagRun.id)).group_by(DagRun.dag_id)
    if dag_ids is not None:
        query = query.where(DagModel.dag_id.in_(dag_ids))
        latest = latest.where(DagRun.dag_id.in_(dag_ids))
    last = _last_runs(session, latest)
    return {
        dag_id: DagFacts(dag_id, file or "", bool(paused), bool(broken), due, last.get(dag_id))
        for dag_id, file, paused, broken, due in session.execute(query)
    }


def _last_runs(session: Session, latest: Any) -> dict[str, LastRun]:
    rows = session.execute(
        select(DagRun.dag_id, DagRun.run_id, DagRun.state, DagRun.start_date, DagRun.end_date).where(
            DagRun.id.in_(latest)
        )
    ).all()
    failed = _failed_tasks(session, {row.dag_id: row.run_id for row in rows if str(row.state) == "failed"})
    return {
        row.dag_id: LastRun(
            row.run_id, str(row.state), row.start_date, row.end_date, tuple(failed.get(row.dag_id, ())[:5])
        )
        for row in rows
    }


def _failed_tasks(session: Session, runs: Mapping[str, str]) -> dict[str, list[str]]:
    tasks: dict[str, list[str]] = {}
    if not runs:
        return tasks
    query = (
        select(TaskInstance.dag_id, TaskInstance.run_id, TaskInstance.task_id)
        .where(TaskInstance.dag_id.in_(runs), TaskInstance.run_id.in_({*runs.values()}), TaskInstance.state == "failed")
        .order_by(TaskInstance.end_date)
    )
    for dag_id, run_id, task_id in session.execute(query):
        if runs[dag_id] == run_id:
            tasks.setdefault(dag_id, []).append(task_id)
    return tasks
