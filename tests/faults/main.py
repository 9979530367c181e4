"""
Start a whole Airflow, have every fault befall runs in it, and judge what becomes of them: `make faults`.

Exits with 1 where anything is held against a run of ours, or no run of Airflow's own parts leaked.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import psutil

HERE = Path(__file__).parent
for _place in (HERE, HERE.parent / "clouds", HERE.parent / "integration"):
    sys.path.insert(0, str(_place))

from canary import Canary, Looked  # noqa: E402
from cases import CASES, Case  # noqa: E402
from fault_injections import LEASE  # noqa: E402
from judge import BOUND, Verdict  # noqa: E402
from lab import Lab, NotReached, Trial, lab  # noqa: E402
from stack import versions  # noqa: E402

MOMENTS = {"local": ("job",), "spark": ("start.waiting", "job")}
"""At which moments a run can be met on kinds that are processes of this machine: no call of theirs can be held up."""

HELD = {"spark": ("job",)}
"""Moments at which a run stays until it is released. Injections that take effect by themselves, in time, need this."""

SIDE_BY_SIDE = 4
"""How many faults of single tasks are under way at once."""


@dataclass
class Play:
    """One case with its trials."""

    case: Case
    trials: list[Trial]


@dataclass
class Sheet:
    """The measurements, written after each case, because a run of an hour may be stopped early."""

    there: Lab
    path: Path | None
    began: float

    def save(self, found: Looked | None = None) -> None:
        if self.path is None:
            return
        results = {
            "executor": self.there.executor,
            "date": time.strftime("%Y-%m-%d"),
            "seconds": round(time.time() - self.began),
            "versions": versions(),
            "bound": BOUND,
            "canary": found and found.to_json(),
            "runs": [verdict.to_json() for verdict in list(self.there.verdicts)],
        }
        self.path.write_text(json.dumps(results, indent=1))


def main() -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description="Have every fault befall a whole Airflow.")
    parser.add_argument("--executor", choices=("local", "celery"), default="local")
    parser.add_argument("--only", default="*", help="names of cases, patterns, with commas between")
    parser.add_argument("--kinds", default="local,emr,dataproc,spark", help="kinds of clusters, with commas between")
    parser.add_argument("--side-by-side", type=int, default=SIDE_BY_SIDE)
    parser.add_argument("--results", type=Path, help="where the JSON of what was measured goes")
    parser.add_argument("--folder", type=Path, help="where all is kept; by default a new one below /tmp")
    given = parser.parse_args()
    patterns, kinds = given.only.split(","), given.kinds.split(",")
    cases = [
        case
        for case in CASES
        if given.executor in case.executors and any(fnmatch.fnmatch(case.name, pattern) for pattern in patterns)
    ]
    folder = given.folder or Path(tempfile.mkdtemp(prefix="wall-faults-"))
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leaves nothing running either
    canary = Canary()
    began = time.time()
    more = lambda postgres: canary.environment({"port": postgres.connection.port})  # noqa: E731
    with lab(folder, given.executor, canary.secrets, more, say) as there, canary.watching():
        say(f"Airflow is there after {time.time() - began:.0f} s, in {folder}")
        canary.prepare(there)
        plays = prepared(there, cases, kinds)
        say(f"{sum(len(play.trials) for play in plays)} runs of {len(plays)} cases")
        sheet = Sheet(there, given.results, began)
        run_all(there, plays, given.side_by_side, sheet)
        say(f"canary: {canary.run(there)}")
        found = canary.look(there)
        sheet.save(found)
    say(f"canary: {found.summary}")
    return summary(there.verdicts, found.hits)


def say(words: str) -> None:
    """To whoever looks on."""
    print(f"{time.strftime('%H:%M:%S')} {words}", flush=True)  # noqa: T201


def prepared(there: Lab, cases: list[Case], kinds: list[str]) -> list[Play]:
    """Make all pipelines, and wait until Airflow knows them."""
    plays = []
    controls = []
    for case in cases:
        trials = []
        for at in case.at:
            for kind in (kind for kind in case.kinds if kind in kinds and can_meet(case, kind, at)):
                parts = [case.name, *([at.partition(".")[0]] if len(case.at) > 1 else []), kind[:1]]
                trials.append(there.trial("_".join(parts), kind, at, case.shape, control=False))
            if case.control and "emr" in kinds:
                parts = [case.name, *([at.partition(".")[0]] if len(case.at) > 1 else []), "x"]
                trials.append(there.trial("_".join(parts), "emr", at, case.shape, control=True))
                controls.append(trials[-1])
        if trials:
            plays.append(Play(case, trials))
    there.control_files(controls)
    there.wait_active([trial.dag for play in plays for trial in play.trials])
    return plays


def can_meet(case: Case, kind: str, at: str) -> bool:
    """Return True if a fault can meet a run on that kind of cluster at that moment."""
    moments = MOMENTS if case.injection.holds is not None else {**MOMENTS, **HELD}
    return at in moments.get(kind, (at,))


def run_all(there: Lab, plays: list[Play], side_by_side: int, sheet: Sheet) -> None:
    """Faults of single tasks side by side, those of the whole one after the other."""
    single = [(play, trial) for play in plays if not play.case.injection.whole for trial in play.trials]
    with ThreadPoolExecutor(side_by_side) as pool:
        asked = [pool.submit(strike, there, play.case, [trial]) for play, trial in single]
        for each in as_completed(asked):
            each.result()
            sheet.save()
    for play in plays:
        if play.case.injection.whole:
            there.settle()
            strike(there, play.case, play.trials)
            there.stack.clear_strays()
            sheet.save()


def strike(there: Lab, case: Case, trials: list[Trial]) -> None:
    """Bring runs to their moments, inject the fault, repair it, and judge the runs."""
    injection = case.injection
    try:
        for trial in trials:
            trial.begin()
        for trial in trials:
            trial.reach()
        now = time.time()
        for trial in trials:
            trial.injection = now
        injection.hit(there, trials)
        if injection.holds is not None:
            time.sleep(injection.holds)
            for trial in trials:
                trial.let_go()
        if injection.repair is not None and not injection.lease:
            time.sleep(max(0.0, now + injection.lasts - time.time()))
            injection.repair(there, trials)
        settled = now + LEASE if injection.lease else time.time()
        if injection.whole:
            there.settle()
            settled = time.time()
    except (NotReached, AssertionError, OSError, psutil.Error) as error:
        for trial in trials:
            trial.let_go()
            there.verdicts.append(verdict_of(there, case, trial, [f"harness: {type(error).__name__}: {error}"]))
        say(f"{case.name}: {error}")
        return
    with ThreadPoolExecutor(len(trials)) as pool:
        list(pool.map(lambda trial: conclude(there, case, trial, settled), trials))


def conclude(there: Lab, case: Case, trial: Trial, settled: float) -> None:
    """Judge one run. One that did not end is given back what it lacked, once its cluster is judged."""
    injection = case.injection
    if injection.lease:
        there.outlast(trial, settled)
        assert injection.repair is not None
        injection.repair(there, [trial])
    there.conclude(trial, verdict_of(there, case, trial, []), settled, marked=injection.marked, colour=case.colour)


def verdict_of(there: Lab, case: Case, trial: Trial, faults: list[str]) -> Verdict:
    """The empty sheet of one run."""
    words = case.injection.words + ("" if case.shape.retries else "; no retry")
    return Verdict(case.name, words, trial.at, trial.kind, there.executor, trial.dag, trial.control, faults=faults)


def summary(verdicts: list[Verdict], hits: int) -> int:
    """Say what came of it; the exit code."""
    ours = [each for each in verdicts if not each.control]
    missed = [each for each in ours if each.unjudged]
    bad = [each for each in ours if each.faults and not each.unjudged]
    controls = [each for each in verdicts if each.control]
    leaked = [each for each in controls if each.leak]
    say(
        f"{len(ours)} runs of ours, {len(bad)} with faults, {len(missed)} not hit; {len(leaked)} of {len(controls)} controls leaked"
    )
    for what, found in (("held against it", bad), ("not hit", missed)):
        for each in found:
            say(f"  {each.dag}: {what}: {'; '.join(each.faults)}")
    if controls and not leaked:
        say("no control leaked: the harness proves nothing")
    return int(bool(bad) or bool(missed) or bool(hits) or bool(controls and not leaked))


if __name__ == "__main__":
    sys.exit(main())
