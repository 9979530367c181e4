"""
The tables after any history of deliveries, corrections, deletions, repeated dates and kills.

Let S be the contents of the files that runs accepted, and C the slice that took each file first. After any history whose
runs are green, as multisets over the visible columns:

a) the rows of the table and those in quarantine are the rows of the newest accepted contents; with a key, a reader of
   the whole table sees the newest row per key;
b) a row is in the slice that C says;
c) every table that is not stale is its step applied to its inputs.

S and C, replayed into an empty lake, give the same tables. An oracle in plain Python says what that means. Waits for:
many runs of real jobs, and for processes that are killed while they work.
"""

from __future__ import annotations

import collections
import contextlib
import multiprocessing
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from kill_switch import kill_before_change

from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.errors import DataError
from airflow_wall.job import Env, Run, Slice
from airflow_wall.jobs.ingest import ingest
from airflow_wall.jobs.transform import transform
from airflow_wall.lake.lake import Lake
from airflow_wall.storage.backends import open_tables
from airflow_wall.storage.lineage import Lineage
from airflow_wall.storage.ownership import Overlap, TableState

FILES = ("a", "b", "c")
DAYS = (1, 2, 3, 4)
CONTRACT = {"columns": {"id": "bigint", "v": "bigint"}}
SQL = "SELECT id, v * 10 AS w FROM raw"

Row = tuple[int, str]
"""An id, and the text of `v`, which is a number or bad."""

ROWS = st.lists(st.tuples(st.integers(1, 4), st.sampled_from(["1", "2", "3", "bad"])), max_size=4)


def slice_of(day: int) -> str:
    return f"202401{day:02}T000000Z"


def run_of(root: Path, day: int, task: str) -> Env:
    part = Slice(slice_of(day), f"2024-01-{day:02}T00:00:00+00:00")
    return Env(
        Run("p", f"run-{day}", task, 1, part, root, root, root), lambda conn_id: ConnectionInfo(conn_id, "sqlite")
    )


def load(root: Path, day: int, key: list[str] | None) -> None:
    ingest(
        run_of(root, day, "load"),
        source="landing",
        target="bronze/t",
        format="csv",
        contract=CONTRACT,
        bad_rows="quarantine",
        key=key,
    )


def compute(root: Path, day: int) -> None:
    transform(run_of(root, day, "clean"), target="silver/t", inputs={"raw": "bronze/t"}, sql=SQL)


def work(root: Path, day: int, key: list[str] | None) -> None:
    load(root, day, key)
    if open_tables(root).exists("bronze/t"):
        compute(root, day)


def work_until(root: Path, day: int, key: list[str] | None, last: int) -> None:
    """Work, and kill this process before its `last`-th change of a name in the file system."""
    kill_before_change(last)
    work(root, day, key)


@dataclass
class Oracle:
    """
    The rows that the tables must hold.

    :param disk: File to the rows that it has now.
    :param accepted: File to the rows that a green run read last.
    :param home: File to the day that took it first.
    :param claims: Day to the files that its run claimed.
    :param processed: Contents that some run has read, by file.
    """

    disk: dict[str, list[Row]] = field(default_factory=dict)
    accepted: dict[str, list[Row]] = field(default_factory=dict)
    home: dict[str, int] = field(default_factory=dict)
    claims: dict[int, list[str]] = field(default_factory=dict)
    processed: set[tuple[str, str]] = field(default_factory=set)

    def claim(self, day: int) -> list[str]:
        """Return the files of a day. The first run of a day decides them."""
        if day not in self.claims:
            new = [name for name, rows in sorted(self.disk.items()) if (name, repr(rows)) not in self.processed]
            self.claims[day] = new
        return self.claims[day]

    def run(self, day: int) -> bool:
        """Accept what a run of a day reads. Return False if a file that it claimed is gone, so that it must fail."""
        claimed = self.claim(day)
        if any(name not in self.disk for name in claimed):
            return False
        for name in claimed:
            self.home.setdefault(name, day)
            self.accepted[name] = self.disk[name]
            self.processed.add((name, repr(self.disk[name])))
        return True

    def rows(self, day: int | None = None) -> list[tuple[int, int]]:
        """Return the good rows of all days or of one, in their order: by day, file and place."""
        names = sorted(self.accepted, key=lambda name: (self.home[name], name))
        wanted = [name for name in names if day in (None, self.home[name])]
        return [(id_, int(v)) for name in wanted for id_, v in self.accepted[name] if v != "bad"]

    def bad(self) -> collections.Counter[str]:
        return collections.Counter(name for name, rows in self.accepted.items() for _, v in rows if v == "bad")


def newest(rows: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return sorted(dict(rows).items())


class History(RuleBasedStateMachine):
    """A lake that lives through a history."""

    key: list[str] | None = None

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.root = Path(self.folder.name)
        self.oracle = Oracle()
        (self.root / "landing").mkdir()

    @property
    def landing(self) -> Path:
        return self.root / "landing"

    def teardown(self) -> None:
        try:
            self.replay()
        finally:
            self.folder.cleanup()

    # --- moves

    @rule(name=st.sampled_from(FILES), rows=ROWS)
    def deliver(self, name: str, rows: list[Row]) -> None:
        text = "id,v\n" + "".join(f"{id_},{v}\n" for id_, v in rows)
        (self.landing / f".{name}").write_text(text)
        (self.landing / f".{name}").replace(self.landing / name)
        self.oracle.disk[name] = rows

    @precondition(lambda self: self.oracle.disk)
    @rule(data=st.data())
    def touch(self, data: st.DataObject) -> None:
        os.utime(self.landing / data.draw(st.sampled_from(sorted(self.oracle.disk))), (1, data.draw(st.integers(1, 9))))

    @precondition(lambda self: self.oracle.disk)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.oracle.disk)))
        (self.landing / name).unlink()
        del self.oracle.disk[name]

    @precondition(lambda self: self.oracle.disk or self.oracle.accepted)
    @rule(day=st.sampled_from(DAYS))
    def run(self, day: int) -> None:
        self.run_green(day)

    @precondition(lambda self: self.oracle.disk)
    @rule(day=st.sampled_from(DAYS), after=st.integers(0, 14))
    def run_killed_and_again(self, day: int, after: int) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        process = context.Process(target=work_until, args=(self.root, day, self.key, after))
        process.start()
        process.join()
        self.run_green(day)

    @rule()
    def run_stale(self) -> None:
        for _ in DAYS:
            for stale in self.lineage.stale():
                compute(self.root, int(str(stale.part.slice)[6:8]))
        assert self.lineage.stale() == []

    def run_green(self, day: int) -> None:
        if self.oracle.run(day):
            work(self.root, day, self.key)
        else:
            with pytest.raises(DataError, match="does not exist any more"):
                work(self.root, day, self.key)

    # --- what must hold

    @property
    def lineage(self) -> Lineage:
        return Lineage(Lake(self.root), open_tables(self.root))

    @invariant()
    def tables_are_those_of_the_oracle(self) -> None:
        check(self.root, self.oracle, self.key)
        stale = {stale.part.slice for stale in self.lineage.stale()}
        tables = open_tables(self.root)
        if tables.exists("silver/t"):
            held = {day: [slice_of(day)] for day in DAYS if slice_of(day) not in stale}
            for day, slices in held.items():
                rows = tables.read("silver/t", slices=slices).to_pydict()
                seen = tables.read("bronze/t", slices=slices).to_pydict()
                computed = sorted((id_, v * 10) for id_, v in zip(seen["id"], seen["v"], strict=True))
                if rows["id"] or self.was_computed(day):
                    assert sorted(zip(rows["id"], rows["w"], strict=True)) == computed

    def was_computed(self, day: int) -> bool:
        return slice_of(day) in self.lineage.run_slices("p")

    def replay(self) -> None:
        """Run the first claims again, in order, in an empty lake, on the contents that were accepted last."""
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            (root / "landing").mkdir()
            for day in DAYS:
                for name, home in self.oracle.home.items():
                    if home == day:
                        (root / "landing" / name).write_text(
                            "id,v\n" + "".join(f"{id_},{v}\n" for id_, v in self.oracle.accepted[name])
                        )
                if day in self.oracle.home.values():
                    work(root, day, self.key)
            check(root, self.oracle, self.key)


def check(root: Path, oracle: Oracle, key: list[str] | None) -> None:
    """Compare the tables of a lake with the oracle."""
    tables = open_tables(root)
    if not tables.exists("bronze/t"):
        assert oracle.rows() == []
        return
    rows = tables.read("bronze/t").to_pydict()
    held = sorted(zip(rows["id"], rows["v"], strict=True)) if rows.get("id") else []
    assert held == (newest(oracle.rows()) if key else sorted(oracle.rows()))
    for day in DAYS:
        rows = tables.read("bronze/t", slices=[slice_of(day)]).to_pydict()
        held = sorted(zip(rows["id"], rows["v"], strict=True)) if rows.get("id") else []
        assert held == (newest(oracle.rows(day)) if key else sorted(oracle.rows(day)))
    bad: collections.Counter[str] = collections.Counter()
    if tables.exists("bronze/t_rejected"):
        bad.update(
            file.removeprefix("landing/") for file in tables.read("bronze/t_rejected").column("file").to_pylist()
        )
    assert bad == oracle.bad()


class HistoryWithKey(History):
    """The same, of a table with a key."""

    key: list[str] | None = ["id"]  # noqa: RUF012  # the machine changes nothing


FEW = settings(
    max_examples=int(os.environ.get("HISTORIES", "6")),
    stateful_step_count=10,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.slow
@pytest.mark.parametrize("machine", [History, HistoryWithKey])
def test_tables_are_a_function_of_what_was_accepted(machine: type[History]) -> None:
    run_state_machine_as_test(machine, settings=FEW)


Move = tuple[Any, ...]

CORRECTED: list[Move] = [
    ("deliver", "a", [(1, "1"), (2, "bad")]),
    ("run_green", 1),
    ("deliver", "a", [(1, "2")]),
    ("deliver", "b", [(3, "1")]),
    ("run_green", 2),
]
BACKFILLED: list[Move] = [
    ("deliver", "a", [(1, "1")]),
    ("run_green", 2),
    ("deliver", "b", [(1, "2")]),
    ("run_green", 1),
]


LAST_WRITTEN = {slice_of(1): 2, slice_of(2): 1}

overlap = TableState.overlap


def moved(*arguments: Any) -> Overlap:
    """Return an overlap whose corrected rows go to the slice that reads them."""
    real = overlap(*arguments)
    return replace(real, corrected={}, moved={**real.moved, **real.corrected})


@pytest.mark.parametrize(
    ("machine", "moves", "patched"),
    [
        (History, CORRECTED, lambda: mock.patch.object(TableState, "overlap", return_value=Overlap())),
        (History, CORRECTED, lambda: mock.patch.object(TableState, "overlap", moved)),
        (History, CORRECTED, lambda: mock.patch.object(Lineage, "stale", return_value=[])),
        (
            HistoryWithKey,
            BACKFILLED,
            lambda: mock.patch("airflow_wall.storage.delta._orders", return_value=LAST_WRITTEN),
        ),
    ],
    ids=["a: older rows stay", "b: a correction moves", "c: nothing is stale", "key: the last write counts"],
)
@pytest.mark.parametrize("guarded", [True, False], ids=["guarded", "guard removed"])
def test_without_one_guard_a_history_breaks_it(
    machine: type[History], moves: list[Move], patched: Callable[[], Any], guarded: bool
) -> None:
    history = machine()
    removed = contextlib.nullcontext() if guarded else patched()
    outcome = contextlib.nullcontext() if guarded else pytest.raises(AssertionError)
    with removed, outcome:
        for name, *arguments in moves:
            getattr(history, name)(*arguments)
        history.tables_are_those_of_the_oracle()
    history.folder.cleanup()
