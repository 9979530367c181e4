"""
The history of a lake in small documents, for a page that cannot read the lake.

Each document has a key and is below `LIMIT` bytes as JSON. It holds numbers by day and the last decisions, no rows::

    overview/0                 one entry per pipeline, in as many parts as needed
    pipeline/shop              the last runs, and what to do
    pipeline/shop/2026q4       numbers of each day of a quarter
    table/gold/scores          columns, rows and checks now
    table/gold/scores/2026q4
    model/shop                 the champion and the last decisions
    model/shop/2026q4

Quarters of the last 400 days are kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_wall.job import date_of_slice
from airflow_wall.storage.pipeline_status import PipelineStatus, RunStatus, run_states
from airflow_wall.storage.run_history import FAILED, STARTED, with_promotions

VERSION = 1
"""Version of the documents."""

LIMIT = 60_000
"""The most bytes of a document. Airflow's store of an asset takes 65,535."""

DAYS = 400
"""Age of the oldest day that is kept."""

RECENT = 30
"""Runs that the overview draws."""

PIPELINE_DAY = ("runs", "failed", "rows", "bad", "scored", "withheld", "seconds")
TABLE_DAY = ("rows", "bad", "passed", "warned", "failed")
MODEL_DAY = ("version", "promoted", "value", "champion_value", "rows_held_out")
"""Fields of the numbers of a day."""

Event = Mapping[str, Any]
Document = dict[str, Any]

_LONGEST = 300
_WRITERS = ("ingest", "transform", "predict")


@dataclass
class RollUp:
    """
    The documents of one pipeline.

    :param entry: Its entry in the overview.
    :param documents: Key -> document.
    """

    entry: Document
    documents: dict[str, Document] = field(default_factory=dict)


def quarter_of(day: str) -> str:
    """Return the quarter of an ISO date, e.g. `2026q4`."""
    return f"{day[:4]}q{(int(day[5:7]) + 2) // 3}"


def quarters(now: datetime) -> list[str]:
    """Return the quarters of the last 400 days, the oldest first."""
    days = (now - timedelta(days=age) for age in range(DAYS, -1, -1))
    return list(dict.fromkeys(quarter_of(day.date().isoformat()) for day in days))


def is_settled(key: str, now: datetime) -> bool:
    """Return True if a key names a quarter before the last two, whose numbers change no more."""
    *_, last = key.split("/")
    return last in quarters(now)[:-2]


def overview_entry(status: PipelineStatus, events: Sequence[Event], now: datetime) -> Document:
    """
    Return the entry of a pipeline in the overview.

    :param events: Its last events, the oldest first.
    """
    runs = run_states(events, now)[:RECENT]
    last, finding = runs[0], next(iter(status.findings), None)
    trained = [event for event in with_promotions(events) if event["step"] == "retrain" and "value" in event]
    released = next((run for run in runs if run.release is not None), None)
    entry: Document = {
        "pipeline": status.pipeline,
        "health": status.health,
        "date": last.date,
        "state": last.state,
        "ended": max(run.ended for run in runs).isoformat(timespec="seconds"),
        "at": events[-1]["at"],
        "rows": last.rows,
        "bad": last.bad,
        "withheld": 0 if released is None else len(released.withheld),
        "release": None if released is None else released.release,
        "released": None if released is None else released.ended.isoformat(timespec="seconds"),
        "drift": len(last.drift),
        "spark": [run.rows if run.rows is not None else run.scored for run in reversed(runs)],
    }
    if finding is not None:
        entry |= {"kind": finding.kind, "reason": _cut(finding.text), "next": _cut(next(iter(finding.commands), ""))}
    if trained:
        champion = next((event for event in reversed(trained) if event.get("promoted")), None)
        entry["model"] = {
            "name": trained[-1]["model"],
            "metric": trained[-1].get("metric"),
            "version": trained[-1].get("champion_version") if champion is None else champion["version"],
            "value": trained[-1].get("champion_value") if champion is None else champion["value"],
            "spark": [_champion_value(event) for event in trained[-RECENT:]],
        }
    return entry


def roll_up(status: PipelineStatus, events: Iterable[Event], now: datetime) -> dict[str, Document]:
    """
    Return the documents of a pipeline, its tables and its models, by key.

    :param events: All its events, the oldest first.
    """
    first = (now - timedelta(days=DAYS)).isoformat()
    kept = with_promotions(event for event in events if str(event["at"]) >= first)
    runs = run_states(kept, now)
    documents = {
        f"pipeline/{status.pipeline}": _pipeline(status, kept),
        **_by_quarter(f"pipeline/{status.pipeline}", PIPELINE_DAY, _pipeline_days(runs)),
    }
    for table, of_table in _grouped(kept, "table").items():
        documents[f"table/{table}"] = {**_table(table, of_table), "pipeline": status.pipeline}
        documents |= _by_quarter(f"table/{table}", TABLE_DAY, _table_days(of_table))
    for model, of_model in _grouped([e for e in kept if e["step"] == "retrain"], "model").items():
        documents[f"model/{model}"] = {**_model(model, of_model), "pipeline": status.pipeline}
        documents |= _by_quarter(f"model/{model}", MODEL_DAY, _model_days(of_model))
    return {key: {"v": VERSION, **document} for key, document in documents.items()}


def overview(entries: Iterable[Document], now: datetime) -> dict[str, Document]:
    """Return the parts of the overview by key. Each says how many there are, and when they were made."""
    parts: list[list[Document]] = [[]]
    size = 0
    for entry in entries:
        length = _size(entry) + 1
        if size + length > LIMIT - 200 and parts[-1]:
            parts.append([])
            size = 0
        parts[-1].append(entry)
        size += length
    at = now.isoformat(timespec="seconds")
    return {
        f"overview/{number}": {"v": VERSION, "at": at, "parts": len(parts), "pipelines": part}
        for number, part in enumerate(parts)
    }


def bounded(document: Document) -> Document:
    """Return a document below the limit: without the oldest items of its longest lists, if it is too large."""
    while _size(document) > LIMIT:
        lists = {name: len(value) for name, value in document.items() if isinstance(value, list | dict) and value}
        if not lists:
            break
        longest = max(lists, key=lambda name: _size(document[name]))
        value = document[longest]
        keep = len(value) // 2
        cut = value[-keep:] if isinstance(value, list) else dict(list(value.items())[-keep:])
        document = {**document, longest: cut if keep else type(value)(), "cut": True}
    return document


def _pipeline(status: PipelineStatus, events: Sequence[Event]) -> Document:
    return {
        "pipeline": status.pipeline,
        "health": status.health,
        "findings": [
            {"kind": one.kind, "text": _cut(one.text), "commands": [_cut(text) for text in one.commands]}
            for one in status.findings[:20]
        ],
        "runs": [_run(run) for run in status.runs],
        "steps": _steps(events),
        "tables": sorted({str(event["table"]) for event in events if event.get("table")}),
        "models": sorted({str(event["model"]) for event in events if event.get("model")}),
        "releases": _releases(events),
    }


def _run(run: RunStatus) -> Document:
    return {
        "date": run.date,
        "run": run.run,
        "state": run.state,
        "seconds": round(run.seconds, 1),
        "rows": run.rows,
        "bad": run.bad,
        "scored": run.scored,
        "release": run.release,
        "withheld": len(run.withheld),
        "model": None if run.model is None else _cut(run.model),
        "failed": [{"task": task.task, "error": _cut(task.error or "")} for task in run.tasks if task.event == FAILED][
            :10
        ],
    }


def _steps(events: Sequence[Event]) -> list[Document]:
    """Return the steps of the last run that wrote something: task, step, table or model, in the order of time."""
    last: dict[str, Document] = {}
    for event in events:
        if event["event"] == STARTED:
            continue
        last.pop(event["task"], None)
        last[event["task"]] = {
            "task": event["task"],
            "step": event["step"],
            "event": event["event"],
            "seconds": event.get("seconds"),
            "table": event.get("table"),
            "model": event.get("model"),
            "rows": event.get("rows"),
            "at": event["at"],
        }
    newest = max((str(step["at"])[:10] for step in last.values()), default="")
    return [step for step in last.values() if str(step["at"])[:10] == newest][-100:]


def _releases(events: Sequence[Event]) -> list[Document]:
    committed = [event for event in events if event["step"] == "stop_sender" and event["event"] != FAILED]
    return [
        {
            "name": event.get("release_name", event.get("release")),
            "version": event["version"],
            "at": event["at"],
            "rows": event.get("rows"),
            "withheld": event.get("withheld_slices", 0),
        }
        for event in committed
        if event.get("version")
    ][-10:]


def _table(table: str, events: Sequence[Event]) -> Document:
    writes = [event for event in events if event["step"] in _WRITERS and event["event"] != FAILED]
    checks = [event for event in events if event["step"] == "check_integrity"]
    last = writes[-1] if writes else None
    return {
        "table": table,
        "written": None if last is None else last["at"],
        "version": None if last is None else last.get("version"),
        "last_rows": None if last is None else last.get("rows"),
        "writers": sorted({str(event["task"]) for event in writes}),
        "checks": [
            {
                "at": event["at"],
                "slice": event["slice"],
                "task": event["task"],
                "passed": event.get("passed"),
                "warned": event.get("warned"),
                "failed": event.get("failed", 0 if event["event"] != FAILED else None),
                "warnings": [_cut(str(text)) for text in event.get("warnings", ())],
                "error": None if event["event"] != FAILED else _cut(str(event.get("error", ""))),
                "report": event.get("report"),
            }
            for event in checks
            if event["event"] != STARTED
        ][-30:],
    }


def _model(model: str, events: Sequence[Event]) -> Document:
    trained = [event for event in events if event["event"] not in (STARTED, FAILED) and "version" in event]
    champion = next((event for event in reversed(trained) if event.get("promoted")), None)
    last = trained[-1] if trained else {}
    return {
        "model": model,
        "metric": last.get("metric"),
        "champion": last.get("champion_version") if champion is None else champion["version"],
        "since": None if champion is None else champion["at"],
        "value": last.get("champion_value") if champion is None else champion["value"],
        "metrics": last.get("metrics", {}),
        "segments": last.get("segments"),
        "decisions": [
            {
                "at": event["at"],
                "slice": event["slice"],
                "version": event["version"],
                "promoted": bool(event.get("promoted")),
                "value": event.get("value"),
                "champion_version": event.get("champion_version"),
                "champion_value": event.get("champion_value"),
                "rows_trained": event.get("rows_trained"),
                "rows_held_out": event.get("rows_held_out"),
                "reason": _cut(str(event.get("reason", ""))),
            }
            for event in trained
        ][-50:],
    }


def _pipeline_days(runs: Sequence[RunStatus]) -> Iterator[tuple[str, list[Any]]]:
    by_day: dict[str, list[float]] = {}
    for run in reversed(runs):
        day = by_day.setdefault(_day(run.slice, run.ended), [0] * len(PIPELINE_DAY))
        numbers = (1, run.state == FAILED, run.rows or 0, run.bad, run.scored or 0, len(run.withheld), run.seconds)
        for index, number in enumerate(numbers):
            day[index] = round(day[index] + number, 1)
    yield from by_day.items()


def _table_days(events: Sequence[Event]) -> Iterator[tuple[str, list[Any]]]:
    by_day: dict[str, dict[str, Event]] = {}
    for event in events:
        if event["event"] != STARTED:
            by_day.setdefault(_day(event["slice"], event["at"]), {})[f"{event['task']}/{event['slice']}"] = event
    for day, last in by_day.items():
        writes = [event for event in last.values() if event["step"] in _WRITERS and event["event"] != FAILED]
        checks = [event for event in last.values() if event["step"] == "check_integrity"]
        yield (
            day,
            [
                sum(int(event.get("rows") or 0) for event in writes) if writes else None,
                sum(int(event.get("rejected") or 0) for event in writes),
                sum(int(event.get("passed") or 0) for event in checks),
                sum(int(event.get("warned") or 0) for event in checks),
                sum(event["event"] == FAILED for event in checks),
            ],
        )


def _model_days(events: Sequence[Event]) -> Iterator[tuple[str, list[Any]]]:
    for event in events:
        if event["event"] not in (STARTED, FAILED) and "version" in event:
            yield _day(event["slice"], event["at"]), [event.get(name) for name in MODEL_DAY]


def _by_quarter(key: str, fields: Sequence[str], days: Iterable[tuple[str, list[Any]]]) -> dict[str, Document]:
    parts: dict[str, dict[str, list[Any]]] = {}
    for day, numbers in days:
        parts.setdefault(quarter_of(day), {})[day] = numbers
    return {
        f"{key}/{quarter}": {"fields": list(fields), "days": dict(sorted(part.items()))}
        for quarter, part in parts.items()
    }


def _grouped(events: Sequence[Event], name: str) -> dict[str, list[Event]]:
    groups: dict[str, list[Event]] = {}
    for event in events:
        if event.get(name):
            groups.setdefault(str(event[name]), []).append(event)
    return groups


def _champion_value(event: Event) -> Any:
    return event["value"] if event.get("promoted") else event.get("champion_value")


def _day(slice_id: str, ended: datetime | str) -> str:
    """Return the logical date of a slice; the day on which it ended, if it has none."""
    date = date_of_slice(slice_id)
    if date is None:
        date = datetime.fromisoformat(ended) if isinstance(ended, str) else ended
    return date.astimezone(UTC).date().isoformat()


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _size(document: Any) -> int:
    return len(json.dumps(document))
