"""Judge the last runs of a pipeline by the history of the lake."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_wall.job import date_of_slice
from airflow_wall.storage.run_history import FAILED, STARTED, with_promotions

OK, WARNING, BAD = "ok", "look", "bad"
"""Health of a pipeline: all is well; clients are well, but look at it; clients miss rows."""

RUNNING = "running"
"""State of a run of which a job has started and not ended. If it lasts too long, its process was probably killed."""

_LEAST_PATIENCE = timedelta(hours=1)
_PATIENCE = 3
"""A job is taken for dead after this multiple of its longest time."""

_LATE = 1.5
"""A run is late after this multiple of the usual time between two runs."""

_LEAST_RUNS = 3
"""Runs from which the usual time between them is known."""

_DRIFT = ("drift", "training_drift", "distribution")
"""Checks that compare rows with earlier ones."""


@dataclass(frozen=True)
class TaskState:
    """
    The last try of a task in a run.

    :param event: `started`, `succeeded` or `failed`.
    :param error: The error of the first job that failed.
    """

    task: str
    event: str
    at: datetime
    error: str | None = None


@dataclass(frozen=True)
class RunStatus:
    """
    A run of a pipeline: what its jobs did for one slice.

    :param state: `succeeded`, `failed` or `running`.
    :param seconds: Sum of the times of its jobs.
    :param rows: Rows that `ingest` wrote; None if none ran.
    :param bad: Rows in quarantine.
    :param scored: Rows that `predict` wrote.
    :param release: The version of the release that it committed.
    :param release_name: The name of that release.
    :param withheld: Slices that the release leaves out, each with table, slice and reason.
    :param model: The decision about a version that it trained, in words.
    :param drift: Warnings of checks that compare with earlier rows.
    """

    slice: str
    order: str
    run: str
    state: str
    began: datetime
    ended: datetime
    seconds: float
    tasks: tuple[TaskState, ...]
    rows: int | None = None
    bad: int = 0
    scored: int | None = None
    release: str | None = None
    release_name: str | None = None
    withheld: tuple[Mapping[str, str], ...] = ()
    model: str | None = None
    drift: tuple[str, ...] = ()
    report: str | None = None

    @property
    def date(self) -> str:
        """The logical date, in the form that `run --date` takes; the slice if it has none."""
        date = date_of_slice(self.slice)
        return self.slice if date is None else _shown(date)


@dataclass(frozen=True)
class Finding:
    """
    Something that is not as it should be.

    :param kind: `failed`, `killed`, `late`, `withheld`, `rolled back`, `stale`, `drift` or `bad rows`.
    :param text: What it is.
    :param commands: What to do, the first one first.
    """

    kind: str
    text: str
    commands: tuple[str, ...] = ()

    @property
    def is_bad(self) -> bool:
        """True if clients miss rows, or will."""
        return self.kind in ("failed", "killed", "late", "withheld")


@dataclass(frozen=True)
class PipelineStatus:
    """
    The state of a pipeline.

    :param runs: Its last runs, the last date first.
    """

    pipeline: str
    runs: tuple[RunStatus, ...]
    findings: tuple[Finding, ...] = field(default=())

    @property
    def health(self) -> str:
        """`ok`, `look` or `bad`."""
        if any(finding.is_bad for finding in self.findings):
            return BAD
        return WARNING if self.findings else OK


def judge(
    events: Sequence[Mapping[str, Any]],
    now: datetime,
    *,
    runs: int,
    file: str,
    storage: str,
    stale: Iterable[str] = (),
    rolled_back: Mapping[str, str] | None = None,
) -> PipelineStatus:
    """
    Return the state of a pipeline.

    :param events: Its last events, the oldest first; at least one.
    :param runs: The number of runs to return.
    :param file: The YAML file of the pipeline, for commands.
    :param storage: The lake, for commands.
    :param stale: Tables with stale slices, in words.
    :param rolled_back: Versions of releases that a person rolled back -> the reason.
    """
    states = run_states(events, now)
    longest = max((float(event.get("seconds", 0)) for event in events), default=0.0)
    findings: list[Finding] = []
    for state in states[:runs]:
        findings += _findings_of_run(state, now, longest, file)
    findings += _late(states, now, file)
    findings += _of_release(states, file, storage)
    findings += _rolled_back(states[:runs], rolled_back or {}, file)
    findings += [
        Finding("stale", f"computed from rows that have changed: {text}", (f"airflow-wall run {file} --stale",))
        for text in stale
    ]
    findings += _of_rows(states, storage)
    return PipelineStatus(str(events[-1]["pipeline"]), tuple(states[:runs]), tuple(findings))


def run_states(events: Iterable[Mapping[str, Any]], now: datetime) -> list[RunStatus]:
    """Return the runs of a pipeline, the last date first. `events` are in the order of time."""
    by_slice: dict[str, list[Mapping[str, Any]]] = {}
    for event in with_promotions(events):
        by_slice.setdefault(event["slice"], []).append(event)
    states = [_run_state(of_slice, now) for of_slice in by_slice.values()]
    return sorted(states, key=lambda run: run.order, reverse=True)


def _run_state(events: Sequence[Mapping[str, Any]], now: datetime) -> RunStatus:
    by_task: dict[str, list[Mapping[str, Any]]] = {}
    for event in events:
        by_task.setdefault(event["task"], []).append(event)
    latest = {task: _last_try(of_task) for task, of_task in by_task.items()}
    tasks = tuple(_task_state(task, of_try) for task, of_try in latest.items())
    ended = [event for of_try in latest.values() for event in of_try if event["event"] != STARTED]
    kinds = {task.event for task in tasks}
    state = FAILED if FAILED in kinds else RUNNING if STARTED in kinds else "succeeded"

    def of(step: str) -> list[Mapping[str, Any]]:
        return [event for event in ended if event["step"] == step and event["event"] != FAILED]

    release: Mapping[str, Any] = next(iter(reversed(of("stop_sender"))), {})
    decisions = [
        f"{event['model']} version {event['version']} {'promoted' if event['promoted'] else 'not promoted'}: "
        f"{event['reason']}"
        for event in of("retrain")
    ]
    checks = of("check_integrity")
    warnings = [str(text) for event in checks for text in event.get("warnings", ()) if str(text).startswith(_DRIFT)]
    return RunStatus(
        slice=events[-1]["slice"],
        order=events[-1]["order"],
        run=events[-1]["run"],
        state=state,
        began=_time(next(iter(latest.values()))[0]) if latest else now,
        ended=_time(events[-1]),
        seconds=sum(float(event.get("seconds", 0)) for event in ended),
        tasks=tasks,
        rows=sum(int(event.get("rows", 0)) for event in of("ingest")) if of("ingest") else None,
        bad=sum(int(event.get("rejected", 0)) for event in of("ingest")),
        scored=sum(int(event.get("rows", 0)) for event in of("predict")) if of("predict") else None,
        release=release.get("version"),
        release_name=release.get("release_name"),
        withheld=tuple(release.get("withheld", ())),
        model="; ".join(decisions) or None,
        drift=tuple(warnings),
        report=next((event["report"] for event in reversed(checks) if "report" in event), None),
    )


def _last_try(events: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the events of the try that was last. A task may run several jobs."""
    last = (events[-1]["run"], events[-1]["try"])
    return [event for event in events if (event["run"], event["try"]) == last]


def _task_state(task: str, events: Sequence[Mapping[str, Any]]) -> TaskState:
    failed = next((event for event in events if event["event"] == FAILED), None)
    if failed is not None:
        return TaskState(task, FAILED, _time(failed), str(failed.get("error", "")))
    return TaskState(task, str(events[-1]["event"]), _time(events[-1]))


def _findings_of_run(run: RunStatus, now: datetime, longest: float, file: str) -> list[Finding]:
    command = f"airflow-wall run {file} --date {run.date}"
    findings = []
    patience = max(_LEAST_PATIENCE, timedelta(seconds=_PATIENCE * longest))
    for task in run.tasks:
        if task.event == FAILED:
            text = f"{run.date}: `{task.task}`: {_summary(task.error or '')}"
            findings.append(
                Finding("failed", text, (f"correct it, then: {command}", f"in Airflow: clear it in run {run.run}"))
            )
        elif task.event == STARTED and now - task.at > patience:
            text = f"{run.date}: `{task.task}` started at {task.at:%Y-%m-%d %H:%M} UTC and has not ended"
            findings.append(Finding("killed", text, (f"read its log in Airflow, then: {command}",)))
    return findings


def _late(states: Sequence[RunStatus], now: datetime, file: str) -> list[Finding]:
    """Return that the next run is missing, by the usual time between the dates of runs."""
    dates = sorted(date for state in states if (date := date_of_slice(state.slice)) is not None)
    if len(dates) < _LEAST_RUNS:
        return []
    usual = statistics.median((later - date).total_seconds() for date, later in itertools.pairwise(dates))
    last = max(state.ended for state in states)
    waited = (now - last).total_seconds()
    if waited <= _LATE * usual:
        return []
    text = f"no run for {_duration(waited)}; they are usually {_duration(usual)} apart"
    return [Finding("late", text, ("look at Airflow: airflow-wall doctor", f"or run it here: airflow-wall run {file}"))]


def _of_release(states: Sequence[RunStatus], file: str, storage: str) -> list[Finding]:
    """Return the slices that the last release leaves out."""
    releases = [state for state in states if state.release is not None]
    last = max(releases, key=lambda state: state.ended, default=None)
    findings = []
    for item in () if last is None else last.withheld:
        date = date_of_slice(item["slice"])
        again = f" --date {_shown(date)} --again" if date is not None else ""
        drop = f"airflow-wall tables drop-slice {item['table']} {item['slice']} --storage {storage} --reason WHY"
        findings.append(
            Finding(
                "withheld",
                f"{item['table']}, slice {item['slice']}: {item['reason']}",
                (f"correct the rows, then: airflow-wall run {file}{again}", f"or do without them: {drop}"),
            )
        )
    return findings


def _rolled_back(states: Sequence[RunStatus], reasons: Mapping[str, str], file: str) -> list[Finding]:
    """Return the releases that were rolled back and not followed by another one."""
    committed = [state for state in states if state.release is not None]
    last = max((state.ended for state in committed if state.release not in reasons), default=None)
    return [
        Finding(
            "rolled back",
            f"{run.date}: release {release}: {reasons[release]}",
            (
                f"correct the rows, then: airflow-wall releases allow {run.release_name} {release}",
                f"and: airflow-wall run {file} --date {run.date} --again",
            ),
        )
        for run in committed
        if (release := run.release or "") in reasons and (last is None or run.ended > last)
    ]


def _of_rows(states: Sequence[RunStatus], storage: str) -> list[Finding]:
    if not states:
        return []
    last, findings = states[0], []
    if last.drift:
        command = (f"read {last.report}",) if last.report else ()
        findings.append(Finding("drift", f"{last.date}: {'; '.join(last.drift)}", command))
    if last.bad:
        findings.append(
            Finding(
                "bad rows",
                f"{last.date}: {last.bad:,} rows are in quarantine",
                (f"airflow-wall tables '*/*_rejected' --storage {storage}",),
            )
        )
    return findings


def _summary(error: str) -> str:
    """Return the first line of an error, with the second one if that says the reason."""
    first, _, rest = error.partition("\n")
    return f"{first} {rest.partition(chr(10))[0].strip()}" if first.endswith(":") else first


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _time(event: Mapping[str, Any]) -> datetime:
    time = datetime.fromisoformat(event["at"])
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _shown(date: datetime) -> str:
    return date.isoformat(timespec="minutes")
