"""Judge the pipelines of a lake by its history, by stale slices and by releases that were rolled back."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from airflow_wall.job import safe_name
from airflow_wall.lake.lake import Lake
from airflow_wall.publish.ledger import ReleaseLedger
from airflow_wall.storage.pipeline_status import PipelineStatus, judge
from airflow_wall.storage.run_history import RunHistory

STALE_OF = 20
"""Most pipelines for which stale slices are looked up. It opens every table that they computed."""


def judge_all(
    lake: Lake, names: Sequence[str], *, now: datetime, runs: int, files: Mapping[str, str], address: str
) -> list[PipelineStatus]:
    """
    Return the states of pipelines.

    :param lake: The lake.
    :param names: The names of the folders of the pipelines in the history.
    :param runs: How many of the last runs of a pipeline.
    :param files: Pipeline -> its YAML file, for commands.
    :param address: The address of the lake, for commands.
    """
    return [status for status, _ in judge_each(lake, names, now=now, runs=runs, files=files, address=address)]


def judge_each(
    lake: Lake,
    names: Sequence[str],
    *,
    now: datetime,
    runs: int,
    files: Mapping[str, str],
    address: str,
    read_runs: int = 0,
) -> Iterator[tuple[PipelineStatus, list[dict[str, Any]]]]:
    """
    Yield the state of each pipeline, with its last events. The arguments are those of `judge_all`.

    :param read_runs: Least number of runs in the events, if it is more than `runs`.
    """
    history = RunHistory(lake)
    stale = _stale(lake, names) if len(names) <= STALE_OF else {}
    for name in names:
        events = history.recent(name, max(runs, read_runs))
        if events:
            dag_id = str(events[-1]["pipeline"])
            releases = {str(event["release_name"]) for event in events if "release_name" in event}
            status = judge(
                events,
                now,
                runs=runs,
                file=files.get(dag_id, "FILE"),
                storage=address,
                stale=stale.get(dag_id, ()),
                rolled_back=_rolled_back(lake, releases),
            )
            yield status, events


def _stale(lake: Lake, names: Sequence[str]) -> dict[str, list[str]]:
    """Return pipeline -> its tables with stale slices, in words."""
    from airflow_wall.storage.backends import open_tables  # imports Arrow
    from airflow_wall.storage.lineage import Lineage, describe_stale

    by_pipeline: dict[str, list[Any]] = {}
    for part in Lineage(lake, open_tables(lake)).stale():
        if safe_name(part.pipeline) in names:
            by_pipeline.setdefault(part.pipeline, []).append(part)
    return {pipeline: describe_stale(parts) for pipeline, parts in by_pipeline.items()}


def _rolled_back(lake: Lake, releases: Collection[str]) -> dict[str, str]:
    """Return the versions of releases that a person rolled back -> the reason."""
    reasons: dict[str, str] = {}
    for name in releases:
        current = ReleaseLedger(lake, name, patience=0).current() or {}
        reasons |= {record["version"]: record["reason"] for record in current.get("rolled_back", {}).values()}
    return reasons
