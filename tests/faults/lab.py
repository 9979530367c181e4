"""One Airflow, both clouds, and the runs that faults befall there."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pipelines
import psutil
from clouds import Clouds, Gate, Secrets, clouds
from judge import BOUND, Run, Task, Verdict, judge, ticks_of
from observer import Observer
from pipelines import Shape
from servers import Postgres
from stack import Stack, stack

BEGIN = 300.0
"""Seconds until a run must be at the moment of its injection."""

END = 300.0
"""Seconds after which a run that has not ended is judged as it is."""


CONTROL = 20.0
"""Seconds after its run at which a cluster of Airflow's own parts counts as left: nobody will end it."""


class NotReached(Exception):
    """The harness itself did not get where it wanted."""


@dataclass
class Trial:
    """
    One run of one pipeline, which an injection meets at one moment.

    :param at: The moment.
    :param control: Whether it is the DAG of Airflow's own parts.
    """

    lab: Lab
    dag: str
    kind: str
    at: str
    shape: Shape
    control: bool
    lake: Path
    storage: Path
    source: Path
    injection: float = 0.0
    limit: float | None = None
    """By when its clusters must be gone, where its run does not end."""

    # --- how it goes

    def begin(self) -> None:
        self.lab.stack.trigger(self.dag, pipelines.DATE)
        if self.at != "job":  # it must not hold the run up
            self._go()

    def reach(self) -> None:
        """Wait until it is at its moment."""
        self.lab.until(self._is_reached, BEGIN, f"{self.dag} was not at {self.at}")

    def _is_reached(self) -> bool:
        if self.kind == "spark" and self.at == "start.waiting":
            return bool(self.lab.clouds.kinds["spark"].spans(self.dag))
        there = bool(ticks_of(self.lake)) if self.at == "job" else self.gate.reached.is_set()
        return there and (not self.waits or self.tasks[self.task].state == "deferred")

    @property
    def waits(self) -> bool:
        """True if the triggerer must wait at that moment."""
        remote = self.kind in ("emr", "dataproc") and self.shape.deferrable and not self.control
        return remote and self.at in ("start.waiting", "job")

    @property
    def gate(self) -> Gate:
        return self.lab.clouds.director.gate(self.dag, self.at)

    def let_go(self) -> None:
        if self.at != "job":
            self.gate.opened.set()
        self._go()

    def _go(self) -> None:
        folder = self.lake / "held"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "go").touch()

    # --- what it is

    @property
    def run(self) -> Run | None:
        return self.lab.observer.runs.get(self.dag)

    @property
    def tasks(self) -> dict[str, Task]:
        return {} if self.run is None else self.run.tasks

    @property
    def task(self) -> str:
        """The task that the moment is in."""
        step = self.at.partition(".")[0]
        return {"start": "start_cluster", "stop": "stop_cluster"}.get(step, "work")

    def process(self) -> psutil.Process:
        """The process of the task that the moment is in."""

        def found() -> psutil.Process | None:
            task = self.tasks.get(self.task)
            if task is None or task.pid is None or task.state != "running":
                return None
            with contextlib.suppress(psutil.NoSuchProcess):
                return psutil.Process(task.pid)
            return None

        return self.lab.until(found, 30, f"{self.dag}: no process of {self.task}")

    def text(self) -> str:
        """The YAML of it."""
        return pipelines.ours(self.dag, self.kind, self.lake, self.storage, self.shape)

    def over(self) -> bool:
        run = self.run
        return run is not None and (run.over is not None or run.gone)

    def alive(self) -> bool:
        return any(span.gone is None for span in self.lab.clouds.kinds[self.kind].spans(self.dag))

    def jobs(self) -> list[int]:
        """Processes of its jobs that are there."""
        found = []
        for who, times in ticks_of(self.lake).items():
            with contextlib.suppress(psutil.Error, OSError):
                process = psutil.Process(int(who.partition("-")[0]))
                if process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= min(times):
                    found.append(process.pid)
        return found


@dataclass
class Lab:
    """Everything that a fault can hit."""

    folder: Path
    executor: str
    stack: Stack
    clouds: Clouds
    observer: Observer
    log: Callable[[str], None]
    verdicts: list[Verdict] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def dags(self) -> Path:
        return self.folder / "dags"

    def until(self, holds: Callable[[], object], timeout: float, why: str) -> object:
        """Wait for something; Airflow may be away meanwhile."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.HTTPError, AssertionError):
                if found := holds():
                    return found
            time.sleep(0.2)
        raise NotReached(f"{why} within {timeout:.0f} s")

    def trial(self, dag: str, kind: str, at: str, shape: Shape, *, control: bool) -> Trial:
        """Make the pipeline; Airflow will find it."""
        assert len(dag) <= 32, dag
        lake = self.folder / "lakes" / dag
        source = self.dags / f"{dag}.{'py' if control else 'yaml'}"
        made = Trial(self, dag, kind, at, shape, control, lake, self.folder / "storage", source)
        if not control:
            source.write_text(made.text())
        if at != "job":
            self.clouds.director.gate(dag, at)
        return made

    def control_files(self, trials: list[Trial]) -> None:
        """Write the DAGs of Airflow's own parts."""
        for trial in trials:
            wanted = {
                "dag_id": trial.dag,
                "folder": str(trial.lake / "held"),
                "retries": trial.shape.retries,
                "timeout": int(str(trial.shape.head.get("dagrun_timeout", "0s"))[:-1]),
                "stop": True,
            }
            trial.source.write_text(pipelines.controls([wanted], self.dags / "moments.py"))

    def wait_active(self, dags: list[str]) -> None:
        """Wait until Airflow knows DAGs."""
        self.until(lambda: set(dags) <= self.stack.active_dags(), 240, f"Airflow does not know {dags}")

    def outlast(self, trial: Trial, lease: float) -> None:
        """Wait for the end of the clusters of a run that does not end."""
        trial.limit = lease + BOUND
        while time.time() < trial.limit + 2 and (trial.alive() or time.time() < lease):
            time.sleep(0.3)

    def conclude(self, trial: Trial, verdict: Verdict, settled: float, *, marked: bool, colour: str | None) -> None:
        """Wait for the end of a run and of its clusters, and judge."""
        deadline = settled + END
        while time.time() < deadline and not trial.over():
            time.sleep(0.3)
        run = trial.run
        over = run.over if run is not None and run.over else time.time()
        limit = trial.limit or max(over, settled) + (CONTROL if trial.control else BOUND)
        while time.time() < limit + 2 and (trial.alive() or trial.jobs()):
            time.sleep(0.3)
        judge(
            verdict,
            run,
            self.clouds.kinds[trial.kind].spans(trial.dag),
            trial.lake,
            trial.storage / "silver" / trial.dag,
            injection=trial.injection,
            limit=limit,
            now=time.time(),
            marked=marked,
            colour=colour,
            alive=trial.jobs(),
        )
        with self.lock:
            self.verdicts.append(verdict)
        state = "; ".join(verdict.faults) or "ok"
        self.log(
            f"{verdict.dag:34} {verdict.colour!s:9} ended {verdict.ended_after!s:>6} gone {verdict.gone_after!s:>6} "
            f"overlap {verdict.overlap} tries {verdict.tries} :: {state}"
        )

    def settle(self) -> None:
        """Wait until all of Airflow is healthy, before the next fault."""
        self.stack.held.clear()
        self.until(self.stack.healthy, 180, "Airflow did not come back")


@contextlib.contextmanager
def lab(
    folder: Path,
    executor: str,
    secrets: Secrets,
    more: Callable[[Postgres], dict[str, str]],
    log: Callable[[str], None],
) -> Iterator[Lab]:
    """Run it all while in the context."""
    dags = folder / "dags"
    dags.mkdir(parents=True)
    (folder / "google").mkdir()
    (dags / "moments.py").write_text((Path(__file__).parent / "moments.py").read_text())
    storage = folder / "storage"
    (dags / "reaper.yaml").write_text(pipelines.reaper("reaper", storage, ["emr", "dataproc"]))
    pipelines.make_rows(storage)
    with (
        clouds(folder / "google", secrets, storage) as there,
        stack(folder, executor, lambda postgres: {**there.environment, **more(postgres)}) as airflow,
    ):
        observer = Observer(airflow.postgres)
        made = Lab(folder, executor, airflow, there, observer, log)
        try:
            made.wait_active(["reaper"])
            airflow.client.patch("/dags/reaper", json={"is_paused": False}).raise_for_status()
            yield made
        finally:
            observer.end()
            for document in (storage / "_wall" / "clusters").glob("*.json"):
                document.unlink()  # the watchdog of a cluster of Spark ends it then


def send(process: psutil.Process, number: signal.Signals) -> None:
    """A signal, to whoever is still there; who is killed is gone when this returns, and what it held with it."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)
        while number == signal.SIGKILL and process.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.02)
