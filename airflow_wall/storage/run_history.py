"""
The history of a lake: each job appends when it starts, and what it did when it ends.

::

    _wall/history/<pipeline>/2013-07.jsonl   a line per event of that month, in the order of time

The months are those of the clock. Lines are only appended. A job that was killed has a line that it started and none
that it ended. The history is for people: a line that cannot be written makes no job fail.

A line is a JSON object with `v` (the version of this schema), `at`, `event`, `pipeline`, `run`, `slice`, `order`,
`task`, `step` and `try`. A line with the event `succeeded` or `failed` also has `seconds`, `wall` (the version of
airflow-wall), `code` (a digest of the SQL, the checks or the function of the step), and `error` or facts about the
result, under the names that the result of the job has. A step that writes a table adds `table_rows`, `table_bytes` and
`newest`: the newest slice with rows.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from airflow_wall.errors import CheckFailed, WallError
from airflow_wall.job import Job, safe_name
from airflow_wall.lake.lake import Lake
from airflow_wall.lake.lines import LineFiles
from airflow_wall.redaction import hide_logins

log = logging.getLogger(__name__)

VERSION = 1
"""Version of the schema of a line."""

STARTED = "started"
SUCCEEDED = "succeeded"
FAILED = "failed"

TAIL = 64 * 1024
"""Bytes at the end of a history that are read first: about 10 runs of 8 tasks."""

_FACTS = (
    "table", "rows", "files", "rejected", "skipped_rows", "new", "processed", "changed", "corrected", "stale",
    "other_dates", "table_rows", "table_bytes", "newest", "data",
    "model", "model_version", "version", "promoted", "metric", "value", "champion_version", "champion_value", "reason",
    "rows_trained", "rows_held_out", "held_out", "metrics", "segments",
    "passed", "warned", "failed", "warnings", "report", "checks", "drift",
    "release", "targets", "to", "part", "previous", "withheld",
    "name", "node_hours",
)  # fmt: skip
"""Keys of the results of jobs that are kept."""

_KEYS = {"at", "event", "pipeline", "run", "slice", "order", "task", "step", "try"}
"""Keys of every line."""

_CODE = ("sql", "checks", "entrypoint", "parameters")
"""Arguments of jobs that are code."""

_MOST = 20
_LONGEST = 500


class RunHistory:
    """
    The events of the jobs of one lake.

    :param lake: The lake.
    """

    def __init__(self, lake: Lake) -> None:
        self._files = lake.lines("history")

    def start(self, job: Job) -> None:
        """Append that a job starts."""
        self._append(job, {"event": STARTED})

    def succeed(self, job: Job, seconds: float, result: Mapping[str, Any]) -> None:
        """Append that a job has succeeded, with the facts of its result."""
        self._append(job, {"event": SUCCEEDED, "seconds": round(seconds, 3), **_facts(job, result)})

    def fail(self, job: Job, seconds: float, error: BaseException) -> None:
        """Append that a job has failed, with the first lines of its error."""
        text = error.message if isinstance(error, WallError) else f"{type(error).__name__}: {error}"
        facts: dict[str, Any] = {"error": hide_logins(text)[:_LONGEST]}
        table = job.arguments.get("table", job.arguments.get("target"))
        if table is not None:
            facts["table"] = table
        facts |= _facts(job, error.facts if isinstance(error, CheckFailed) else {})
        self._append(job, {"event": FAILED, "seconds": round(seconds, 3), **facts})

    def pipelines(self) -> list[str]:
        """Return the sorted names of the folders of the pipelines that have a history."""
        return self._files.folders("")

    def recent(self, pipeline: str, runs: int = 7) -> list[dict[str, Any]]:
        """
        Return the last events of a pipeline, the oldest first: all of its last runs, and some of those before.

        :param pipeline: Its name, or the name of its folder.
        :param runs: Least number of runs, if it has as many.
        """
        months = self._months(pipeline)
        size = sum(self._files.size(month) for month in months)
        tail = TAIL
        while True:
            events = _last_events(self._files, months, tail)
            if tail >= size or len({event["slice"] for event in events}) > runs:
                return events
            tail *= 4

    def events(self, pipeline: str) -> Iterator[dict[str, Any]]:
        """Yield all events of a pipeline, the oldest first."""
        for month in self._months(pipeline):
            yield from _events(self._files.read(month))

    def results(self, pipeline: str, run_id: str) -> dict[str, list[dict[str, Any]]]:
        """
        Return step -> what its jobs did in a run: of each task, the last job of that step that succeeded.

        :param run_id: Airflow's run id.
        """
        latest: dict[tuple[str, str], dict[str, Any]] = {}
        mark = json.dumps(run_id, ensure_ascii=False).encode()  # most lines are of other runs, and are not parsed
        for month in self._months(pipeline):
            for event in _events(self._files.read(month), mark):
                if event["run"] == run_id and event["event"] == SUCCEEDED:
                    latest[event["step"], event["task"]] = event
        steps: dict[str, list[dict[str, Any]]] = {}
        for event in with_promotions(latest.values()):
            steps.setdefault(event["step"], []).append(event)
        return steps

    def _months(self, pipeline: str) -> list[str]:
        return self._files.keys(safe_name(pipeline))

    def _append(self, job: Job, values: Mapping[str, Any]) -> None:
        run, now = job.run, datetime.now(UTC)
        line = {
            "v": VERSION,
            "at": now.isoformat(timespec="milliseconds"),
            "pipeline": run.pipeline,
            "run": run.run_id,
            "slice": run.slice.id,
            "order": run.slice.order,
            "task": run.task_id,
            "step": job.kind,
            "try": run.try_number,
            **values,
        }
        month = f"{safe_name(run.pipeline)}/{now:%Y-%m}.jsonl"
        try:
            self._files.append(month, json.dumps(line, ensure_ascii=False, separators=(",", ":"), default=str).encode())
        except (OSError, WallError) as error:
            log.warning("the history `%s` was not written: %s", month, error)


def with_promotions(events: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the events, with `promoted: true` in each training whose version a later job has promoted."""
    listed = [dict(event) for event in events]
    promoted = {
        (event["run"], event.get("model"), event.get("version"))
        for event in listed
        if event["step"] == "promote_model" and event["event"] == SUCCEEDED
    }
    for event in listed:
        if event["step"] == "retrain" and (event["run"], event.get("model"), event.get("version")) in promoted:
            event["promoted"] = True
    return listed


def _last_events(files: LineFiles, months: Sequence[str], tail: int) -> list[dict[str, Any]]:
    """Return the events in the last bytes of files, the oldest first."""
    parts: list[list[dict[str, Any]]] = []
    for month in reversed(months):
        if tail <= 0:
            break
        parts.append(list(_events(files.read(month, tail))))
        tail -= files.size(month)
    return [event for part in reversed(parts) for event in part]


def _events(lines: Iterable[bytes], mark: bytes = b"") -> Iterator[dict[str, Any]]:
    """
    Yield the events of lines. Torn lines and those of newer schemas are left out.

    :param mark: Bytes that a line must hold.
    """
    for line in lines:
        if mark not in line:
            continue
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and event.get("v") == VERSION and event.keys() >= _KEYS:
            yield event


def _facts(job: Job, result: Mapping[str, Any]) -> dict[str, Any]:
    facts = {name: result[name] for name in _FACTS if name in result}
    facts |= {"wall": _wall_version(), "code": _code(job)}
    if "table" in job.arguments:
        facts.setdefault("table", job.arguments["table"])
    if "release" in job.arguments:
        facts["release_name"] = job.arguments["release"]
    parts = result.get("parts")
    if isinstance(parts, Mapping):  # of a release
        facts["parts"] = {name: {"to": part["to"], "rows": part["rows"]} for name, part in parts.items()}
        withheld = {
            (item["table"], item["slice"]): dict(item) for part in parts.values() for item in part.get("withheld", ())
        }
        facts["withheld"] = [item for _, item in sorted(withheld.items())][:_MOST]
        facts["withheld_slices"] = len(withheld)
    if isinstance(facts.get("warnings"), list):
        facts["warnings"] = [str(text)[:_LONGEST] for text in facts["warnings"][:_MOST]]
    return facts


def _code(job: Job) -> str | None:
    """Return a digest of the code of a step: its SQL, its checks, or its function with the file of it."""
    arguments = job.arguments
    parts = [json.dumps(arguments[name], sort_keys=True, default=str) for name in _CODE if arguments.get(name)]
    module = str(arguments.get("entrypoint") or "").partition(":")[0]
    if module:
        path = job.run.code.joinpath(*module.split(".")).with_suffix(".py")
        parts.append(path.read_text(encoding="utf-8", errors="replace") if path.is_file() else "")
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12] if parts else None


def _wall_version() -> str:
    """Return the version of this package. The package itself is not imported, because it names modules of Airflow."""
    return str(sys.modules[__name__.partition(".")[0]].__version__)
