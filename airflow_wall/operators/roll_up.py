"""`RollUpOperator`: the history of a lake, for the page in Airflow."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowSkipException

from airflow_wall.errors import DataError
from airflow_wall.job import Run, safe_name
from airflow_wall.lake_status import judge_each
from airflow_wall.operators.assets import lake_name
from airflow_wall.operators.base import StepOperator
from airflow_wall.operators.metrics import send_pipeline, send_upkeep
from airflow_wall.storage.base import TableStore
from airflow_wall.storage.contract import Contracts
from airflow_wall.storage.roll_up import RECENT, VERSION, bounded, is_settled, overview, overview_entry, roll_up
from airflow_wall.storage.run_history import RunHistory
from airflow_wall.text.table_names import REJECTED

if TYPE_CHECKING:
    from airflow.sdk import Context

Document = dict[str, Any]

_JUDGED = 7
"""Runs that decide if a pipeline is fine, as in `airflow-wall status`."""


class RollUpOperator(StepOperator):
    """
    Write the history of a lake to the store of an asset that has the name of the lake, where the page reads it.

    Pipelines that have run since the last time are written anew, without the quarters before the last two. Airflow 3.2
    has no such store: there the documents are XComs of the task, and all are written each time.
    """

    ui_color = "#e2efda"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inlets = [*self.inlets, Asset(lake_name(self.storage, self.project))]

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the number of pipelines, and of documents that were written."""
        run, now = self.run_of(context), datetime.now(UTC)
        if not run.storage.exists():
            raise AirflowSkipException(f"there is no lake at `{run.storage}` yet")
        with self.error_context(context):
            return self._write(_Store(context, self.inlets[-1]), run, now)

    def _write(self, store: _Store, run: Run, now: datetime) -> dict[str, Any]:
        history = RunHistory(run.storage)
        address = lake_name(self.storage, self.project)
        before = store.entries()
        entries, written = [], 0
        states = judge_each(
            run.storage, history.pipelines(), now=now, runs=_JUDGED, read_runs=RECENT, files={}, address=address
        )
        for status, events in states:
            entry = overview_entry(status, events, now)
            entries.append(entry)
            known = before.get(status.pipeline, {})
            documents: dict[str, Document] = {}
            if (known.get("at"), known.get("health")) != (entry["at"], entry["health"]):
                documents = roll_up(status, history.events(safe_name(status.pipeline)), now)
                documents = {key: _with_present(key, document, run) for key, document in documents.items()}
                for key, document in documents.items():
                    if not (known and is_settled(key, now)):
                        store.set(key, document)
                        written += 1
            send_pipeline(entry, documents)
        for key, document in overview(entries, now).items():
            store.set(key, document)
        send_upkeep(address, now)
        return {"pipelines": len(entries), "documents": written}


class _Store:
    """
    The place of the documents: the store of an asset, or XComs of this task.

    :param context: The context of the task.
    :param asset: The asset of the lake.
    """

    def __init__(self, context: Context, asset: Asset) -> None:
        stores: Any = context.get("asset_state_store")  # not in Airflow 3.2
        self._store = None if stores is None else stores[asset]
        self._ti: Any = context["ti"]

    def entries(self) -> dict[str, Document]:
        """Return the present entries of the overview by pipeline."""
        if self._store is None:
            return {}
        first = self._store.get("overview/0")
        if not isinstance(first, Mapping) or first.get("v") != VERSION:
            return {}
        parts = [first, *(self._store.get(f"overview/{number}") or {} for number in range(1, first["parts"]))]
        return {entry["pipeline"]: entry for part in parts for entry in part.get("pipelines", ())}

    def set(self, key: str, document: Document) -> None:
        """Write a document."""
        if self._store is None:
            self._ti.xcom_push(key=key, value=bounded(document))
        else:
            self._store.set(key, bounded(document))


def _with_present(key: str, document: Document, run: Run) -> Document:
    """Return the document of a table with its columns and rows now."""
    if not key.startswith("table/") or "fields" in document:
        return document
    from airflow_wall.storage.backends import open_tables  # imports Arrow

    with contextlib.suppress(DataError):  # a table that was removed keeps its history
        return {**document, **_present(run, open_tables(run.storage), str(document["table"]))}
    return document


def _present(run: Run, store: TableStore, table: str) -> Document:
    summary, recorded = store.summary(table), Contracts(run.storage).read(table)
    about = {} if recorded is None else recorded[0].about
    columns = about.get("columns", {})
    rejected = f"{table}{REJECTED}"
    return {
        "rows": sum(summary.rows.values()),
        "bytes": summary.size,
        "version": summary.version,
        "written": summary.written or None,
        "description": about.get("description"),
        "owner": about.get("owner"),
        "columns": [
            {"name": field.name, "type": str(field.type), **columns.get(field.name, {})}
            for field in store.schema(table)
        ],
        "slices": len(summary.rows),
        "last_slices": [{"slice": name, "rows": rows} for name, rows in sorted(summary.rows.items())[-60:]],
        "quarantine": sum(store.summary(rejected).rows.values()) if store.exists(rejected) else 0,
    }
