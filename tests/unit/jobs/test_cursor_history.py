"""
A SQL table that changes while it is read by a cursor: the table of the lake has its rows, each once.

The oracle is the table itself. Rows come in any order, tie, are late by less than `lag`, and dates run again. With a key,
rows also change, and their cursor grows. Waits for: real jobs on a SQLite database.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.pool import NullPool

from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.job import Env, Run, Slice
from airflow_wall.jobs.ingest import ingest
from airflow_wall.storage.backends import open_tables

LAG = 5

INSERTS = st.tuples(st.just("insert"), st.integers(0, LAG))  # how far behind the highest cursor
UPDATES = st.tuples(st.just("update"), st.integers(0, 20))  # which row
READS = st.tuples(st.just("read"), st.none())
AGAIN = st.tuples(st.just("again"), st.integers(0, 10))  # which earlier date


class Shop:
    """A table, and a lake that reads it."""

    def __init__(self, root: Path, **keys: Any) -> None:
        self.root = root
        self.keys = keys
        self.days = 0
        self.next_id = 0
        self.top = 10
        self.database = sqlalchemy.create_engine(f"sqlite:///{root}/w.db", poolclass=NullPool)
        self.run("CREATE TABLE t (id INTEGER, v INTEGER, c INTEGER)")

    def run(self, statement: str) -> list[tuple[Any, ...]]:
        with self.database.begin() as database:
            result = database.execute(sqlalchemy.text(statement))
            return [tuple(row) for row in result] if result.returns_rows else []

    def insert(self, behind: int) -> None:
        self.next_id += 1
        value = self.top - behind if behind else self.top + self.next_id % 2  # half of them tie
        self.top = max(self.top, value)
        self.run(f"INSERT INTO t VALUES ({self.next_id}, 0, {value})")

    def update(self, which: int) -> None:
        if self.next_id:
            self.top += 1
            self.run(f"UPDATE t SET v = v + 1, c = {self.top} WHERE id = {which % self.next_id + 1}")

    def read(self, _: None = None) -> None:
        self.days += 1
        self.ingest(self.days)

    def again(self, which: int) -> None:
        if self.days:
            self.ingest(which % self.days + 1)

    def ingest(self, day: int) -> None:
        part = Slice(f"202401{day:02}T000000Z", f"2024-01-{day:02}T00:00:00+00:00")
        run = Run("p", "r", "load", 1, part, self.root / "lake", self.root, self.root)
        env = Env(run, lambda conn_id: ConnectionInfo(conn_id, "sqlite", host="w.db"))
        ingest(env, source="sql://w/t", target="bronze/t", cursor="c", lag=LAG, **self.keys)

    def check(self) -> None:
        self.insert(0)
        self.read()
        rows = open_tables(self.root / "lake").read("bronze/t").to_pylist()
        assert sorted((row["id"], row["v"], row["c"]) for row in rows) == sorted(self.run("SELECT id, v, c FROM t"))


FEW = settings(
    max_examples=int(os.environ.get("HISTORIES", "10")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)


def _play(steps: list[tuple[str, Any]], **keys: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shop = Shop(Path(folder), **keys)
        for name, value in steps[:20]:
            getattr(shop, name)(value)
        shop.check()


@pytest.mark.slow
@FEW
@given(st.lists(INSERTS | READS | AGAIN, min_size=4, max_size=14))
def test_rows_are_read_once(steps: list[tuple[str, Any]]) -> None:
    _play(steps)


@pytest.mark.slow
@FEW
@given(st.lists(INSERTS | UPDATES | READS | AGAIN, min_size=4, max_size=14))
def test_the_last_version_of_each_key_is_read(steps: list[tuple[str, Any]]) -> None:
    _play(steps, key=["id"], order_by="c")


@pytest.mark.slow
@FEW
@given(st.lists(INSERTS | UPDATES | READS, min_size=4, max_size=14))
def test_without_order_by_the_later_delivery_is_the_last_version(steps: list[tuple[str, Any]]) -> None:
    _play(steps, key=["id"])


HISTORY: list[tuple[str, Any]] = [
    ("insert", 0),
    ("read", None),
    ("insert", 3),
    ("insert", 0),
    ("read", None),
]


def test_one_history_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    _play(HISTORY)


@pytest.mark.parametrize(
    "guard",
    ["airflow_wall.storage.slice_parts.SliceParts._without_held", "airflow_wall.sources.cursors.Cursor._minus_lag"],
)
def test_without_one_guard_it_is_not(monkeypatch: pytest.MonkeyPatch, guard: str) -> None:
    monkeypatch.setattr(guard, (lambda self, part, *_: part) if "without" in guard else (lambda self, value: value))
    with pytest.raises(AssertionError):
        _play(HISTORY)
