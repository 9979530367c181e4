"""Write what was measured as a page: `docs/faults.md`, from the JSON of the runs by each executor."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from judge import is_unjudged

NAMES = {"local": "LocalExecutor", "celery": "CeleryExecutor"}
STEPS = {
    "start.before": "start, before the call",
    "start.after": "start, between call and answer",
    "start.waiting": "start, waiting for the cluster",
    "submit.before": "job, before it is submitted",
    "submit.after": "job, submitted and not answered",
    "job": "job at work",
    "stop.before": "stop, before the call",
    "stop.after": "stop, between call and answer",
}

HEAD = """\
# Faults

This page lists the outcome for a run and its cluster when a process is killed, terminated or frozen, a run is marked, a file changes or the cloud does
not answer. `make faults` measured it on {date}, with {versions}, and writes this page.

{calls}A whole Airflow runs on one machine: API server, scheduler, DAG processor, triggerer, two workers with Celery, Postgres and Redis. A component that ends is
started again after two seconds. EMR is moto's server behind a proxy that delays calls. Dataproc is served over TLS and gRPC. On both, a job is a process that
ends with its cluster. The lake is real. Each run has three tasks, start, work and stop, and waits at the named step until the fault has happened. The work
records five times a second that it is alive, and each write to the table names its try.

A run counts as bad for one of these:

- **leak**: a cluster is alive more than {bound:.0f} s after the end of its run, or of the fault if that is later, or of its lease if the run does not end
  (the reaper runs each minute); or a process of a job is left;
- **lie**: the run succeeded although a task failed, a stop failed or a cluster lived on; it failed although all was done; or it has another wrong state;
- **stale**: a try wrote the table after its successor had, or computed beside it for more than two seconds.

Settings are those of docker-compose.yaml, except those that delay the detection of a fault: a task without a heartbeat counts as lost after 30 s, not 120.
Tasks have one retry after 2 s, unless the table says none. Seconds are from a busy machine with two cores (a load of 3 to 18): they show what is bounded, not
how fast it is.

## In short

{short}
"""


def page(results: Sequence[dict[str, Any]], bound: float) -> str:
    """The whole page."""
    first = results[0]
    versions = ", ".join(f"{name} {value}" for name, value in first["versions"].items())
    parts = [
        HEAD.format(date=first["date"], versions=versions, bound=bound, short=_short(results), calls=_calls(results))
    ]
    for result in results:
        ours = [run for run in result["runs"] if not run["control"] and not is_unjudged(run["faults"])]
        parts.append(f"## {NAMES[result['executor']]}\n\n" + _table(ours))
    controls = [
        run for result in results for run in result["runs"] if run["control"] and not is_unjudged(run["faults"])
    ]
    parts.append(
        "## Airflow's own operators under the same faults\n\nA DAG of `EmrCreateJobFlowOperator`, `EmrAddStepsOperator` "
        "and `EmrTerminateJobFlowOperator` as setup and teardown, on the same EMR. They are the control: if none of them leaked, the tables above would "
        f"prove nothing. A cluster counts as left {_LEFT} s after the end of the run; if the run does not end, after the same "
        "bound as above.\n\n" + _controls(controls)
    )
    parts.append(
        "## Secrets\n\n" + "\n".join(_secrets(result, canary) for result in results for canary in result["canaries"])
    )
    return "\n\n".join(part.strip() for part in parts) + "\n"


_LEFT = 20


def _calls(results: Sequence[dict[str, Any]]) -> str:
    counts = " and ".join(f"{result['calls']} with {NAMES[result['executor']]}" for result in results)
    if all(result["calls"] == 1 for result in results):
        return ""
    return f"It took several calls ({counts}); a repeated case counts with its last result.\n\n"


def _short(results: Sequence[dict[str, Any]]) -> str:
    lines = [
        "| | faults | runs | leaks | lies | stale effects | longest overlap of tries |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for result in results:
        ours = [run for run in result["runs"] if not run["control"] and not is_unjudged(run["faults"])]
        kinds = {(run["fault"], run["step"]) for run in ours}
        counts = [
            sum(any(fault.startswith(word) for fault in run["faults"]) for run in ours)
            for word in ("leak", "lie", "stale")
        ]
        counts[1] += sum(any(fault.startswith("colour") for fault in run["faults"]) for run in ours)
        overlap = max((run["overlap"] for run in ours), default=0.0)
        row = [NAMES[result["executor"]], len(kinds), len(ours), *counts, f"{overlap} s"]
        lines.append("| " + " | ".join(str(cell) for cell in row) + " |")
    controls = [
        run for result in results for run in result["runs"] if run["control"] and not is_unjudged(run["faults"])
    ]
    leaked = [run for run in controls if run["leak"]]
    green = [run for run in leaked if run["colour"] == "success"]
    lines.append("")
    lines.append(
        f"A fault is counted once for each step. {len(leaked)} of {len(controls)} runs of Airflow's own operators left their cluster, "
        f"{len(green)} of them in a successful run."
    )
    broken = [run for result in results for run in result["runs"] if is_unjudged(run["faults"])]
    if broken:
        listed = ", ".join(
            f"{run['fault']} ({STEPS[run['step']]}, {run['kind']}, {NAMES[run['executor']]})" for run in broken
        )
        lines.append(f"\nNot judged, because the run did not reach the step in time: {listed}.")
    return "\n".join(lines)


def _in_order(runs: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(runs, key=lambda run: (list(STEPS).index(run["step"]), run["fault"], run["kind"]))


def _table(runs: Iterable[dict[str, Any]]) -> str:
    lines = [
        "| fault | step | cluster | run | tries | ended after | cluster gone after | overlap | held against it |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for run in _in_order(runs):
        tries = (
            ", ".join(f"{name.partition('_')[0]} {count}" for name, count in run["tries"].items() if count > 1)
            or "1 each"
        )
        lines.append(
            f"| {run['fault']} | {STEPS[run['step']]} | {run['kind']} | {run['colour']} | {tries} | {_seconds(run['ended_after'])} | "
            f"{_seconds(run['gone_after'])} | {run['overlap']} s | {'; '.join(run['faults']) or '-'} |"
        )
    return "\n".join(lines)


def _controls(runs: Iterable[dict[str, Any]]) -> str:
    lines = ["| executor | fault | step | run | ended after | cluster |", "| --- | --- | --- | --- | --- | --- |"]
    for run in _in_order(runs):
        left = "**left**" if run["leak"] else f"gone after {_seconds(run['gone_after'])}"
        lines.append(
            f"| {NAMES[run['executor']]} | {run['fault']} | {STEPS[run['step']]} | {run['colour']} | "
            f"{_seconds(run['ended_after'])} | {left} |"
        )
    return "\n".join(lines)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} s"


def _secrets(result: dict[str, Any], found: dict[str, Any]) -> str:
    places = "; ".join(found["places"]) or "none"
    return (
        f"- {NAMES[result['executor']]}: {found['secrets']} secrets (AWS key, secret and session token, Google's private key and "
        f"every token it gave, two passwords of `sql://`), each raw, in Base64, URL-encoded and in capitals, searched for in "
        f"{found['files']} files ({found['megabytes']:.0f} MB: logs, output of all components, the lake, a dump of the metadata "
        f"database) and {found['lines']} command lines: {len(found['places'])} hits ({places}). A secret that a task printed on "
        f"purpose was found in {len(found['planted'])} places."
    )


def merged(results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One result for each executor, of one or more calls of main.py; a case that was run again counts as it was last."""
    found: dict[str, dict[str, Any]] = {}
    for result in results:
        whole = found.setdefault(result["executor"], {**result, "runs": [], "canaries": [], "calls": 0})
        again = {run["dag"] for run in result["runs"]}
        whole["runs"] = [run for run in whole["runs"] if run["dag"] not in again] + result["runs"]
        whole["canaries"] += [result["canary"]] if result["canary"] else []
        whole["date"] = result["date"]
        whole["calls"] += 1
    return list(found.values())


def main() -> None:
    """Write it."""
    parser = argparse.ArgumentParser(description="Write docs/faults.md.")
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--page", type=Path, required=True)
    given = parser.parse_args()
    results = merged([json.loads(path.read_text()) for path in given.results])
    given.page.write_text(page(results, results[0]["bound"]))


if __name__ == "__main__":
    main()
