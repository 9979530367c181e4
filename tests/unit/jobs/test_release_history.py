"""
The rows that clients see after any history of good and bad days.

Clients see exactly the rows of the slices that passed the check, in their present content: also after corrections,
dropped slices, a publication without a check, repeated dates and kills at any moment. An oracle in plain Python says
which. Waits for: many runs of real jobs, and for processes that are killed while they work.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import signal
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from kill_switch import kill_before_change

from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.errors import CheckFailed, ReleaseError
from airflow_wall.job import Env, Run, Slice
from airflow_wall.jobs.check_integrity import check_integrity
from airflow_wall.jobs.ingest import ingest
from airflow_wall.jobs.stage import stage
from airflow_wall.jobs.start_sender import start_sender
from airflow_wall.jobs.stop_sender import stop_sender
from airflow_wall.storage.backends import open_tables

DAYS = (1, 2, 3)
CONTRACT = {"columns": {"id": "bigint", "v": "bigint"}}
CHECKS = [{"range": {"column": "v", "min": 0, "max": 100}}]

Row = tuple[int, int]
ROWS = st.lists(st.tuples(st.integers(1, 4), st.sampled_from([1, 50, 100, -999])), max_size=3)


def env(root: Path, day: int, task: str) -> Env:
    part = Slice(f"202401{day:02}T000000Z", f"2024-01-{day:02}T00:00:00+00:00")
    run = Run("p", f"run-{day}", task, 1, part, root, root, root)
    return Env(run, lambda conn_id: ConnectionInfo(conn_id, "sqlite", host=str(root / "db.sqlite")))


def load(root: Path, day: int) -> None:
    source = f"landing/{day}"
    ingest(env(root, day, "load"), source=source, target="gold/t", format="csv", contract=CONTRACT)


def check(root: Path, day: int) -> bool:
    try:
        check_integrity(env(root, day, "check"), table="gold/t", checks=CHECKS)
    except CheckFailed:
        return False
    return True


def publish(root: Path, day: int) -> None:
    start_sender(env(root, day, "publish"), release="r")
    try:
        to = "sql://db/t"
        stage(env(root, day, "publish"), release="r", part="a", table="gold/t", to=to, checked_by=["check"])
    except ReleaseError:
        with pytest.raises(ReleaseError):
            stop_sender(env(root, day, "publish"), release="r", expected=["a"])
        raise
    stop_sender(env(root, day, "publish"), release="r", expected=["a"])


def work(root: Path, day: int) -> None:
    load(root, day)
    if check(root, day):
        publish(root, day)


def work_until(root: Path, day: int, last: int, *names: str) -> None:
    """Work, and kill this process before its `last`-th change of a name in the file system."""
    kill_before_change(last, *([names] if names else []))
    work(root, day)


def deliver(root: Path, day: int, rows: list[Row]) -> None:
    """Write the file of a day, which replaces an earlier one."""
    file = root / "landing" / str(day) / "f.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("id,v\n" + "".join(f"{id_},{v}\n" for id_, v in rows))


class History(RuleBasedStateMachine):
    """A lake and its clients, and the rows that they must see."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.root = Path(self.folder.name)
        self.disk: dict[int, list[Row]] = {}
        self.slices: dict[int, list[Row]] = {}
        self.verdicts: dict[int, tuple[list[Row], bool]] = {}
        self.seen: list[Row] = []

    def teardown(self) -> None:
        self.folder.cleanup()

    # --- moves

    @rule(day=st.sampled_from(DAYS), rows=ROWS)
    def deliver(self, day: int, rows: list[Row]) -> None:
        deliver(self.root, day, rows)
        self.disk[day] = rows

    @precondition(lambda self: self.disk)
    @rule(data=st.data())
    def load(self, data: st.DataObject) -> None:
        self.load_day(data.draw(st.sampled_from(sorted(self.disk))))

    @precondition(lambda self: self.slices)
    @rule(data=st.data())
    def check(self, data: st.DataObject) -> None:
        self.check_day(data.draw(st.sampled_from(sorted(self.slices))))

    @precondition(lambda self: self.slices)
    @rule(data=st.data())
    def publish(self, data: st.DataObject) -> None:
        """Publish without a check before it, as a pipeline does that lacks `needs`."""
        self.publish_day(data.draw(st.sampled_from(sorted(self.slices))))

    @precondition(lambda self: self.disk)
    @rule(data=st.data())
    def run(self, data: st.DataObject) -> None:
        self.run_day(data.draw(st.sampled_from(sorted(self.disk))))

    @precondition(lambda self: self.disk)
    @rule(data=st.data(), after=st.integers(0, 50))  # the last ones are in the commit of the release
    def run_killed_and_again(self, data: st.DataObject, after: int) -> None:
        day = data.draw(st.sampled_from(sorted(self.disk)))
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        process = context.Process(target=work_until, args=(self.root, day, after))
        process.start()
        process.join()
        before, after_kill = sorted(self.seen), clients(self.root)
        self.run_day(day)
        assert after_kill in (before, sorted(self.seen))

    @precondition(lambda self: any(self.slices.values()))
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        day = data.draw(st.sampled_from(sorted(day for day, rows in self.slices.items() if rows)))
        open_tables(self.root).drop_slice("gold/t", env(self.root, day, "x").run.slice.id)
        self.slices[day] = []

    def run_day(self, day: int) -> None:
        self.load_day(day)
        if self.has_table() and self.check_day(day):
            self.publish_day(day)

    def load_day(self, day: int) -> None:
        load(self.root, day)
        self.slices[day] = self.disk[day]

    def check_day(self, day: int) -> bool:
        if not self.has_table():
            return False
        rows = self.slices[day]
        passed = bool(rows) and all(0 <= v <= 100 for _, v in rows)
        assert check(self.root, day) is passed
        self.verdicts[day] = (rows, passed)
        return passed

    def publish_day(self, day: int) -> None:
        if not self.has_table():
            return
        passed = [day for day, rows in self.slices.items() if rows and self.verdicts.get(day) == (rows, True)]
        if any(self.slices.values()) and not passed:
            with pytest.raises(ReleaseError, match="no rows of table `gold/t` passed"):
                publish(self.root, day)
        else:
            publish(self.root, day)
            self.seen = [row for day in passed for row in self.slices[day]]

    def has_table(self) -> bool:
        return open_tables(self.root).exists("gold/t")

    # --- what must hold

    @invariant()
    def clients_see_the_slices_that_passed(self) -> None:
        assert clients(self.root) == sorted(self.seen)


def clients(root: Path) -> list[Row]:
    """Return the rows that a client of the SQL table sees, sorted."""
    with contextlib.closing(sqlite3.connect(root / "db.sqlite")) as database:
        if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 't'").fetchall():
            return []
        return sorted(database.execute("SELECT id, v FROM t").fetchall())


FEW = settings(
    max_examples=int(os.environ.get("HISTORIES", "6")),
    stateful_step_count=12,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.slow
def test_clients_see_what_passed() -> None:
    run_state_machine_as_test(History, settings=FEW)


@pytest.mark.slow
def test_repair_that_is_killed_shows_the_rows_before_or_after_it(tmp_path: Path) -> None:
    """The run of an older date, whose slice was withheld, is killed before it writes each of its documents, and repeated."""
    root = tmp_path / "lake"
    for day, value in ((1, 50), (2, -999), (3, 100)):
        deliver(root, day, [(day, value)])
        work(root, day)
    withheld, repaired = [(1, 50), (3, 100)], [(1, 50), (2, 60), (3, 100)]
    assert clients(root) == withheld
    deliver(root, 2, [(2, 60)])
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    shown = []
    for last in range(100):
        copy = tmp_path / str(last)
        shutil.copytree(root, copy)
        process = context.Process(target=work_until, args=(copy, 2, last, "replace", "link"))
        process.start()
        process.join()
        shown.append(clients(copy))
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        work(copy, 2)
        assert clients(copy) == repaired
    assert len(shown) > 10
    switch = shown.index(repaired)
    assert shown == [withheld] * switch + [repaired] * (len(shown) - switch)
    assert 0 < switch < len(shown) - 1  # kills before and after the rows became visible


Move = tuple[Any, ...]

REJECTED_ON_MONDAY: list[Move] = [
    ("deliver", 1, [(1, 50)]),
    ("run_day", 1),
    ("deliver", 2, [(2, -999)]),
    ("run_day", 2),
    ("deliver", 3, [(3, 100)]),
    ("run_day", 3),
]
CHANGED_AFTER_THE_CHECK: list[Move] = [
    ("deliver", 1, [(1, 50)]),
    ("run_day", 1),
    ("deliver", 2, [(2, 50)]),
    ("run_day", 2),
    ("deliver", 1, [(1, -999)]),
    ("load_day", 1),
    ("publish_day", 2),
]


@pytest.mark.parametrize(
    ("moves", "name", "value"),
    [
        (REJECTED_ON_MONDAY, "_reason", lambda *_: None),
        (CHANGED_AFTER_THE_CHECK, "_is_current", lambda *_: True),
    ],
    ids=["rejected rows are released", "a verdict outlives its rows"],
)
@pytest.mark.parametrize("guarded", [True, False], ids=["guarded", "guard removed"])
def test_without_one_guard_clients_see_rows_that_did_not_pass(
    moves: list[Move], name: str, value: Callable[..., Any], guarded: bool
) -> None:
    history = History()
    removed = contextlib.nullcontext() if guarded else mock.patch(f"airflow_wall.storage.verdicts.{name}", value)
    outcome = contextlib.nullcontext() if guarded else pytest.raises(AssertionError)
    with removed, outcome:
        for move, *arguments in moves:
            getattr(history, move)(*arguments)
            history.clients_see_the_slices_that_passed()
    history.teardown()
