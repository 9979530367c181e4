"""Print a short summary of a run: a view of the history of the lake."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from airflow_wall.cli.dates import shown
from airflow_wall.cli.listing import connected
from airflow_wall.cli.output import short
from airflow_wall.cli.stale import still_stale
from airflow_wall.cli.withheld import failed_checks, visible_releases, withheld_slices
from airflow_wall.diagnostics.printable import counted
from airflow_wall.diagnostics.suggestions import listed
from airflow_wall.job import date_of_slice
from airflow_wall.planner.plan import Plan
from airflow_wall.publish.backends import parse_target
from airflow_wall.publish.targets.sql import SqlTarget
from airflow_wall.storage.lineage import describe_stale
from airflow_wall.storage.run_history import RunHistory

Results = Mapping[str, Sequence[Mapping[str, Any]]]
"""Step -> what its jobs did."""

_LISTED = 5


def show_summary(
    console: Console, plan: Plan, results: Results, command: str, failed: Mapping[str, str] | None = None
) -> None:
    """
    Print what the steps of a run did; nothing for steps that did not run.

    :param results: The result of `results_of_run`.
    :param command: The command line of the run without its dates.
    :param failed: The states of the tasks of a run that failed.
    """
    checks = failed_checks(plan, failed or {})
    left_out = withheld_slices(plan, checks) if checks else _left_out(results)
    rows = [
        row
        for row in (
            _rows_in(results),
            *_warnings(results),
            *_other_dates(results),
            *_corrected(results),
            *_stale(plan, results, command),
            _scored(results),
            *_models(results),
            *_checks(results),
            *_published(results),
            *([] if failed is None else _still_visible(plan, results)),
            *_withheld(plan, left_out, command, 0 if checks else _count_left_out(results)),
        )
        if row
    ]
    if not rows:
        return
    for name, text in rows:  # not a table: paths must stay whole, so that they can be copied
        console.print(f"{name:<13}{text}")
    for command in _queries(results)[:1]:
        console.print(f"{'look at it':<13}{command}")


def results_of_run(plan: Plan, run_id: str, task_id: str | None = None) -> Results:
    """
    Return step -> what its jobs did in a run, in the order of the plan.

    :param task_id: Only this task.
    """
    places = {task.task_id: place for place, task in enumerate(plan.tasks)}

    def place(event: Mapping[str, Any]) -> tuple[int, str]:
        task = event["task"] if event["task"] in places else event["task"].rpartition(".")[0]  # of a mapped task
        return places.get(task, len(places)), event["task"]

    steps = RunHistory(connected(plan.storage)).results(plan.dag_id, run_id)
    return {
        step: sorted((event for event in events if task_id in (None, event["task"])), key=place)
        for step, events in steps.items()
    }


def totals(results: Results) -> str:
    """Return the results of a run in a few words, e.g. `1,234 rows in, 87 rows scored, release r1`."""
    read, scored = results.get("ingest", ()), results.get("predict", ())
    releases = [result["release"] for result in results.get("stop_sender", ())]
    parts = [f"{counted(sum(result['rows'] for result in read), 'row')} in"] if read else []
    parts += [f"{counted(sum(result['rows'] for result in scored), 'row')} scored"] if scored else []
    parts += [f"release {release}" for release in releases]
    return ", ".join(parts) or "nothing new"


def _rows_in(results: Results) -> tuple[str, str] | None:
    done = results.get("ingest", ())
    if not done:
        return None
    files = sum(result.get("files", 0) for result in done)
    rejected = sum(result.get("rejected", 0) for result in done)
    text = (
        f"{sum(result['rows'] for result in done):,} from {counted(files, 'file')} into {counted(len(done), 'table')}"
    )
    return "rows in", f"{text}, {counted(rejected, 'bad row')} in quarantine" if rejected else text


def _warnings(results: Results) -> list[tuple[str, str]]:
    done = results.get("ingest", ())
    return [("", f"{result['table']}: {text}") for result in done for text in result.get("warnings", ())]


def _other_dates(results: Results) -> list[tuple[str, str]]:
    """Return the files that `by: date` left to the runs of their dates."""
    days: dict[str, int] = {}
    for result in results.get("ingest", ()):
        for day, count in result.get("other_dates", {}).items():
            days[day] = days.get(day, 0) + count
    shown = [f"{count} of {day}" for day, count in sorted(days.items())[:_LISTED]]
    return [("not read", f"files of other dates: {', '.join(shown)}{', ...' * (len(days) > _LISTED)}")] if days else []


def _corrected(results: Results) -> list[tuple[str, str]]:
    return [
        ("corrected", f"{result['table']}: slice {slice_id} from {listed(uris)}")
        for result in results.get("ingest", ())
        for slice_id, uris in result.get("corrected", {}).items()
        if uris
    ]


def _stale(plan: Plan, results: Results, command: str) -> list[tuple[str, str]]:
    named: dict[str, list[str]] = {}
    for result in results.get("ingest", ()):
        for table, slices in result.get("stale", {}).items():
            named.setdefault(table, []).extend(slices)
    stale = still_stale(plan, named)
    own = [part for part in stale if part.pipeline == plan.dag_id]
    rows = [("stale", text) for text in describe_stale(own)]
    rows += [("", f"run these dates again: {command} --stale")] if own else []
    for pipeline in sorted({part.pipeline for part in stale} - {plan.dag_id}):
        rows += [
            ("stale", f"{text} (of `{pipeline}`)")
            for text in describe_stale(part for part in stale if part.pipeline == pipeline)
        ]
    return rows


def _scored(results: Results) -> tuple[str, str] | None:
    done = results.get("predict", ())
    return ("rows scored", f"{sum(result['rows'] for result in done):,}") if done else None


def _models(results: Results) -> list[tuple[str, str]]:
    rows = []
    for result in results.get("retrain", ()):
        text = f"{result['model']} version {result['version']}: {result['metric']} {_number(result['value'])}"
        if result.get("champion_version") is not None:
            text += f", champion before: version {result['champion_version']} with {_number(result['champion_value'])}"
        rows.append(("model", f"{text} -> {'promoted' if result['promoted'] else 'not promoted'}"))
        rows.append(("", result["reason"]))
        if "held_out" in result:  # an older airflow-wall did not return it
            rows.append(("", f"judged by {counted(result['rows_held_out'], 'held-out row')}: {result['held_out']}"))
        if result.get("metrics"):
            also = [f"{name} {_number(value)}" for name, value in result["metrics"].items()]
            rows.append(("", f"also {', '.join(also)}"))
        if result.get("segments"):
            rows.append(("", _segments(result["segments"])))
    return rows


def _segments(segments: Mapping[str, Any]) -> str:
    parts = [
        f"{text} {_number(segments['values'].get(text))} ({counted(rows, 'row')})"
        for text, rows in segments["rows"].items()
    ]
    return f"{segments['metric']} by {segments['by']}: {', '.join(parts)}"


def _checks(results: Results) -> list[tuple[str, str]]:
    return [
        row
        for result in results.get("check_integrity", ())
        for row in (
            ("checks", f"{result['passed']} passed, {result['warned']} warned, {result['failed']} failed"),
            *(("", f"warning: {warning}") for warning in result.get("warnings", ())),
            ("", f"report: {short(Path(result['report']))}"),
        )
    ]


def _published(results: Results) -> list[tuple[str, str]]:
    rows = []
    for result in results.get("stop_sender", ()):
        rows.append(("published", f"release {result['release']}"))
        rows += [("", f"{counted(count, 'row')} in {target}") for target, count in result["targets"].items()]
    return rows


def _still_visible(plan: Plan, results: Results) -> list[tuple[str, str]]:
    """Return the releases that clients see because a run that failed published no other ones."""
    published = [result["release"] for result in results.get("stop_sender", ())]
    rows = []
    for name, release in visible_releases(plan).items():
        if release is None:
            rows.append(("still live", f"nothing: `{name}` has no release yet"))
        elif release["release"] not in published:
            rows.append(("still live", f"release {release['release']}"))
            rows += [("", f"{count:,} rows in {target}") for target, count in release["targets"].items()]
    return rows


def _left_out(results: Results) -> list[dict[str, str]]:
    """Return the slices that a release leaves out."""
    return [item for result in results.get("stop_sender", ()) for item in result.get("withheld", ())]


def _count_left_out(results: Results) -> int:
    """Return the number of slices that a release leaves out. The history names only the first ones."""
    return max((result.get("withheld_slices", 0) for result in results.get("stop_sender", ())), default=0)


def _withheld(plan: Plan, left_out: Iterable[Mapping[str, str]], command: str, count: int) -> list[tuple[str, str]]:
    """Return the withheld slices, each with the commands that correct or drop it."""
    found = {(item["table"], item["slice"]): item["reason"] for item in left_out}
    rows = []
    for (table, slice_id), reason in sorted(found.items())[:_LISTED]:
        date = date_of_slice(slice_id)
        again = command if date is None else f"{command} --date {shown(date)} --again"
        rows += [
            ("withheld", f"{table}, slice {slice_id}: {reason}"),
            ("", f"correct the data and run the date again: {again}"),
            (
                "",
                f"or drop the slice: airflow-wall tables drop-slice {table} {slice_id} --storage {short(plan.storage)} "
                "--reason WHY",
            ),
        ]
    rest = max(len(found), count) - _LISTED
    return [*rows, ("", f"and {counted(rest, 'more slice')}: airflow-wall check {table}")] if rest > 0 else rows


def _queries(results: Results) -> list[str]:
    texts = [to for result in results.get("stop_sender", ()) for to in result["targets"]]
    return [f"airflow-wall query {to} --limit 5" for to in texts if isinstance(parse_target(to), SqlTarget)]


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else "none"
