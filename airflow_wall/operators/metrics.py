"""
The metrics of steps and of lakes, in Airflow's own stream: by StatsD, and gauges also by OpenTelemetry.

A process of a task sends what it knows when it ends. OpenTelemetry cannot add such counters up, because each process
is a new series, so there only gauges are sent.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from airflow.configuration import conf
from airflow.sdk.observability.stats import Stats  # the functions of the module are newer than Airflow 3.2

from airflow_wall.errors import CheckFailed, WallError

PREFIX = "wall."

COUNTERS = {
    "rows": ("table",),
    "bad_rows": ("table",),
    "check_failed": ("dag_id", "severity"),
    "model_rejected": ("model",),
    "publish_rows": ("target",),
    "step_failed": ("dag_id", "step"),
    "step_seconds": ("dag_id", "step"),
    "node_seconds": ("kind",),
}
"""Counters and their labels. They go to StatsD only."""

GAUGES = {
    "pipeline_health": ("dag_id",),
    "run_last_success_timestamp_seconds": ("dag_id",),
    "run_last_failure_timestamp_seconds": ("dag_id",),
    "withheld_slices": ("dag_id",),
    "drift_warnings": ("dag_id",),
    "release_timestamp_seconds": ("dag_id",),
    "model_metric": ("model", "metric", "role"),
    "upkeep_timestamp_seconds": ("lake",),
    "table_rows": ("table",),
    "table_bytes": ("table",),
    "table_quarantine_rows": ("table",),
    "table_written_timestamp_seconds": ("table",),
}
"""Gauges and their labels. `wall_upkeep` sends them."""

_ODD = re.compile(r"[^A-Za-z0-9_./-]+")
_LONGEST = 60
"""Characters of a value of a label. StatsD drops a metric that has 250 with all of its labels."""

_ROWS = ("ingest", "transform", "predict")


@contextlib.contextmanager
def measured(dag_id: str, kind: str) -> Iterator[list[dict[str, Any]]]:
    """
    Send the metrics of a job: yield a list for its result. That it has failed is sent too.

    The list also gets the facts of a check that failed.
    """
    results: list[dict[str, Any]] = []
    began = time.monotonic()
    try:
        yield results
    except WallError as error:
        send_failure(kind, dag_id)
        if isinstance(error, CheckFailed):
            results.append(error.facts)
        raise
    _count("step_seconds", round(time.monotonic() - began), dag_id=dag_id, step=kind)
    for result in results:
        send_step(kind, dag_id, result)


def send_step(kind: str, dag_id: str, result: Mapping[str, Any]) -> None:
    """Send the metrics of a job that has succeeded."""
    table = result.get("table")
    if kind in _ROWS and table:
        _count("rows", int(result.get("rows") or 0), table=table)
        _count("bad_rows", int(result.get("rejected") or 0), table=table)
    if kind == "check_integrity":
        _count("check_failed", int(result.get("warned") or 0), dag_id=dag_id, severity="warn")
    if kind == "retrain" and not result.get("promoted") and "held" not in result:
        _count("model_rejected", 1, model=result["model"])
    if kind == "stop_sender":
        for target, rows in (result.get("targets") or {}).items():
            _count("publish_rows", int(rows), target=target)


def send_failure(kind: str, dag_id: str) -> None:
    """Send that a job has failed."""
    _count("step_failed", 1, dag_id=dag_id, step=kind)
    if kind == "check_integrity":
        _count("check_failed", 1, dag_id=dag_id, severity="error")


def send_cluster(kind: str, node_hours: float | None) -> None:
    """Send what a cluster of a kind has cost; None if that is not known."""
    _count("node_seconds", round((node_hours or 0) * 3600), kind=kind)


def send_pipeline(entry: Mapping[str, Any], documents: Mapping[str, Mapping[str, Any]]) -> None:
    """
    Send the gauges of a pipeline, its tables and its model.

    :param entry: Its entry in the overview.
    :param documents: The documents of its tables, by key.
    """
    dag_id = entry["pipeline"]
    _gauge("pipeline_health", {"bad": 2, "look": 1}.get(entry["health"], 0), dag_id=dag_id)
    outcome = "failure" if entry["state"] == "failed" else "success"
    if entry["state"] in ("failed", "succeeded"):
        _gauge(f"run_last_{outcome}_timestamp_seconds", _seconds(entry["ended"]), dag_id=dag_id)
    _gauge("withheld_slices", entry["withheld"], dag_id=dag_id)
    _gauge("drift_warnings", entry["drift"], dag_id=dag_id)
    if entry.get("released"):
        _gauge("release_timestamp_seconds", _seconds(entry["released"]), dag_id=dag_id)
    model = entry.get("model")
    if model and isinstance(model["value"], int | float):
        _gauge("model_metric", model["value"], model=model["name"], metric=model["metric"], role="champion")
    for document in documents.values():
        _send_table(document)


def send_upkeep(lake: str, now: datetime) -> None:
    """Send that the history of a lake has been written."""
    _gauge("upkeep_timestamp_seconds", now.timestamp(), lake=lake)


def _send_table(document: Mapping[str, Any]) -> None:
    if "fields" in document or "table" not in document:
        return
    table = document["table"]
    for name, key in (("rows", "rows"), ("bytes", "bytes"), ("quarantine_rows", "quarantine")):
        if isinstance(document.get(key), int):
            _gauge(f"table_{name}", document[key], table=table)
    if document.get("written"):
        _gauge("table_written_timestamp_seconds", _seconds(document["written"]), table=table)


def sends_counters() -> bool:
    """Return True if metrics go to StatsD, which adds counters of many processes up."""
    return not conf.getboolean("metrics", "otel_on", fallback=False)


def label(value: object) -> str:
    """Return a value of a label that no exporter drops."""
    text = _ODD.sub("_", str(value)).strip("_") or "none"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}_"


def _count(name: str, count: int, **labels: object) -> None:
    if count > 0 and sends_counters():
        Stats.incr(f"{PREFIX}{name}", count, tags={key: label(labels[key]) for key in COUNTERS[name]})


def _gauge(name: str, value: float, **labels: object) -> None:
    Stats.gauge(f"{PREFIX}{name}", value, tags={key: label(labels[key]) for key in GAUGES[name]})


def _seconds(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()
