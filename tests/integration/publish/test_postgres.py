"""Releases on a real Postgres of our own, on a free loopback port."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.errors import ConnectionFault, DataError
from airflow_wall.lake.lake import Lake
from airflow_wall.publish.backends import parse_target
from airflow_wall.publish.release import Releases
from airflow_wall.publish.rows import RowStream
from airflow_wall.publish.search import search

psycopg = pytest.importorskip("psycopg", reason="needs the extra `postgres`")
pytestmark = pytest.mark.integration

SQL, SEARCH = "sql://platform/scores", "search://platform/scores"


def client(connection: ConnectionInfo) -> Any:
    return psycopg.connect(
        host=connection.host,
        port=connection.port,
        user=connection.login,
        password=connection.password,
        dbname=connection.schema,
    )


class Lab:
    def __init__(self, connection: ConnectionInfo, folder: Path) -> None:
        self.info = connection
        self.folder = folder

    def connection(self, _: str, /) -> ConnectionInfo:
        return self.info

    @property
    def releases(self) -> Releases:
        return Releases(Lake(self.folder), project=self.folder, connections=self.connection, patience=20)

    def open(self, release: str) -> None:
        self.releases.open("platform", release, order="2013-07-01", fence=1)

    def stage(self, release: str, part: str, to: str, data: pa.Table | None = None) -> None:
        data = scores(release) if data is None else data
        rows, key = RowStream.of(data), data.column_names[:1]
        self.releases.stage("platform", release, part=part, to=parse_target(to), data=rows, key=key)

    def close(self, release: str, *parts: str) -> dict[str, Any]:
        return self.releases.close("platform", release, expected=parts)

    def publish(self, release: str) -> dict[str, Any]:
        self.open(release)
        self.stage(release, "a", SQL)
        self.stage(release, "b", SEARCH)
        return self.close(release, "a", "b")


@pytest.fixture
def lab(postgres: ConnectionInfo, tmp_path: Path) -> Iterator[Lab]:
    yield Lab(postgres, tmp_path)
    with client(postgres) as database:
        database.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")


def scores(release: str, rows: int = 200) -> pa.Table:
    return pa.table({"hour": range(rows), "word": [f"EWR {release}"] * rows, "made_by": [release] * rows})


def seen(database: Any) -> dict[str, int]:
    return dict(database.execute("SELECT made_by, count(*) FROM scores GROUP BY 1").fetchall())


def found(lab: Lab, text: str) -> int:
    return len(search(lab.info, "scores", text, 1000, project=lab.folder))


def test_descriptions_are_comments_of_the_view(lab: Lab) -> None:
    def comments() -> tuple[Any, ...]:
        with client(lab.info) as database:
            query = "SELECT obj_description('scores'::regclass), col_description('scores'::regclass, 1)"
            return tuple(database.execute(query).fetchone())

    data = pa.table({'the "id"': [1], "score": [0.5]})
    for text in ("It's 100 % :sure.\nowner: sales", "Another."):
        lab.open("one")
        described = {None: text, 'the "id"': f"The %(key)s: {text}", "gone": "A column that is not published."}
        lab.releases.stage(
            "platform", "one", part="a", to=parse_target(SQL), data=RowStream.of(data), comments=described
        )
        assert comments() == (text, f"The %(key)s: {text}")


def test_table_and_index_are_published_and_replaced(lab: Lab) -> None:
    lab.publish("r1")
    lab.open("r2")
    lab.stage("r2", "a", SQL, scores("r2", rows=7))
    lab.stage("r2", "a", SQL)
    lab.stage("r2", "b", SEARCH)
    with client(lab.info) as database:
        assert seen(database) == {"r1": 200}
    assert (found(lab, "ewr R1"), found(lab, "ewr r2")) == (200, 0)
    assert lab.close("r2", "a", "b")["targets"] == {SQL: 200, SEARCH: 200}
    with client(lab.info) as database:
        assert seen(database) == {"r2": 200}
        lab.publish("r3")
        kept = database.execute("SELECT DISTINCT _release FROM scores__releases ORDER BY 1").fetchall()
    assert kept == [("r1",), ("r2",), ("r3",)]  # the last 5 are kept
    assert (found(lab, "r2"), found(lab, "r3")) == (0, 200)
    assert search(lab.info, "scores", "r3", 1, project=lab.folder)[0]["made_by"] == "r3"


def test_every_plain_type_and_new_columns_fit(lab: Lab) -> None:
    lab.publish("r1")
    at = datetime(2013, 7, 1, 5, tzinfo=UTC)
    data = pa.table(
        {
            "hour": [1], "made_by": ["r2"], "at": [at], "x": pa.array([0.5], pa.float32()), "price": [Decimal("1.50")],
            "raw": [b"\x00"], "nothing": pa.nulls(1), "word": pa.nulls(1), "yes": [True], 'odd "%(name)s: x': ["y"],
        }
    )  # fmt: skip
    lab.open("r2")
    lab.stage("r2", "a", SQL, data)
    lab.close("r2", "a")
    with client(lab.info) as database:
        query = 'SELECT "hour", made_by, at, x, price, raw, nothing, word, yes, "odd ""%(name)s: x" FROM scores'
        assert database.execute(query).fetchall() == [
            (1, "r2", at, 0.5, Decimal("1.50"), b"\x00", None, None, True, "y")
        ]
    lab.open("r3")
    with pytest.raises(DataError, match="column `hour` of `scores` in connection `platform` holds whole numbers"):
        lab.stage("r3", "a", SQL, pa.table({"hour": [0.5]}))


def test_rows_that_postgres_refuses_leave_the_rows_of_the_last_try(lab: Lab) -> None:
    lab.open("r1")
    lab.stage("r1", "a", SQL, pa.table({"hour": [1, 2], "word": ["a", "b"]}))
    for data, reason in (
        (pa.table({"hour": [1], "word": ["a\0b"]}), "invalid byte sequence"),
        (pa.table({"hour": pa.array([2**64 - 1], pa.uint64()), "word": ["a"]}), "too big"),
        (pa.table({"hour": [1], "at": pa.array([-(2**62)], pa.timestamp("us"))}), "timestamp out of range"),
        (pa.table({"hour": [1], "at": pa.array([-(2**63)], pa.timestamp("us"))}), "overflow"),
    ):
        with pytest.raises(DataError, match=f"refused the rows: .*{reason}"):
            lab.stage("r1", "a", SQL, data)
    with client(lab.info) as database:
        assert database.execute("SELECT hour, word FROM scores__releases").fetchall() == [(1, "a"), (2, "b")]


def test_times_decimals_and_texts_arrive_exactly(lab: Lab) -> None:
    rows = 1000
    at = [None if n % 7 == 0 else datetime(1969, 12, 31, 23, 59, 59, n, UTC) for n in range(rows)]
    text = ['quo"te', "apo'strophe", "new\nline", "tab\t\\N", "", None, "über ☃"]
    data = pa.table(
        {
            "n": range(rows),
            "at": pa.array(at, pa.timestamp("us", "Europe/Lisbon")),
            "local": pa.array([None if moment is None else moment.replace(tzinfo=None) for moment in at]),
            "day": pa.array([None if moment is None else moment.date() for moment in at]),
            "hour": pa.array([None if moment is None else moment.time() for moment in at]),
            "price": pa.array(
                [None if n % 5 == 0 else Decimal(n) / 10_000_000 for n in range(rows)], pa.decimal128(20, 7)
            ),
            "word": [text[n % len(text)] for n in range(rows)],
            "some": [None if n % 3 else n / 3 for n in range(rows)],
        }
    )
    lab.open("r1")
    lab.stage("r1", "a", SQL, data)
    lab.close("r1", "a")
    with client(lab.info) as database:
        database.execute("SET TIME ZONE 'UTC'")
        got = database.execute("SELECT * FROM scores ORDER BY n").fetchall()
    assert got == [tuple(row.values()) for row in data.to_pylist()]


def test_column_that_a_person_narrowed_is_filled_by_its_own_type(lab: Lab) -> None:
    lab.publish("r1")
    with client(lab.info) as database:
        database.execute("DROP VIEW scores; ALTER TABLE scores__releases ALTER COLUMN hour TYPE smallint")
    lab.open("r2")
    with pytest.raises(DataError, match="out of range for type smallint"):
        lab.stage("r2", "a", SQL, pa.table({"hour": [70_000]}))
    lab.stage("r2", "a", SQL)
    lab.close("r2", "a")
    with client(lab.info) as database:
        assert seen(database) == {"r2": 200}


def test_wrong_password_gives_one_clear_message(lab: Lab) -> None:
    right, lab.info = lab.info, replace(lab.info, password="wrong")
    lab.open("r1")
    with pytest.raises(ConnectionFault) as error:
        lab.stage("r1", "a", SQL)
    lab.info = right
    where = f"postgresql+psycopg://127.0.0.1:{right.port}/{right.schema}"
    assert error.value.message.startswith(f"connection `platform` ({where}) was refused: ")
    assert error.value.message.count("password authentication failed") == 1
    assert "wrong" not in error.value.message
    assert error.value.hint == "correct the connection: `airflow connections get platform` shows it"


def _stage(lab: Lab, part: str) -> None:
    lab.stage("r1", part, SQL)


def _close(lab: Lab, release: str) -> None:
    lab.close(release, "a", "b")


def test_three_processes_stage_at_once_into_a_database_without_tables(lab: Lab) -> None:
    lab.open("r1")
    parts = ("p1", "p2", "p3")
    processes = [get_context("fork").Process(target=_stage, args=(lab, part)) for part in parts]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert lab.close("r1", *parts)["rows"] == 600


def test_readers_of_any_isolation_level_see_whole_releases_while_close_is_killed(lab: Lab) -> None:
    lab.publish("r0")
    views: list[dict[str, int]] = []
    stop = threading.Event()

    def watch(level: Any) -> None:
        with client(lab.info) as database:
            database.isolation_level = level
            while not stop.is_set():
                views.append(seen(database))
                database.rollback()
                time.sleep(0.005)

    levels = (psycopg.IsolationLevel.READ_COMMITTED, psycopg.IsolationLevel.REPEATABLE_READ)
    threads = [threading.Thread(target=watch, args=(level,)) for level in levels]
    for thread in threads:
        thread.start()
    pick = random.Random(3)
    for number in range(1, 6):
        release = f"r{number}"
        lab.open(release)
        lab.stage(release, "a", SQL)
        lab.stage(release, "b", SEARCH)
        process = get_context("spawn").Process(target=_close, args=(lab, release))
        process.start()
        time.sleep(pick.uniform(0.6, 1.6))
        process.kill()
        process.join()
        lab.close(release, "a", "b")
        with client(lab.info) as database:
            assert seen(database) == {release: 200}
    stop.set()
    for thread in threads:
        thread.join()
    assert len(views) > 100
    assert all(list(view.values()) == [200] for view in views)


def test_thirteen_thousand_rows_are_staged_in_seconds(lab: Lab) -> None:
    lab.open("r1")
    # The processor's time: a statement for each row takes many times as much, and a busy machine takes no more.
    began = time.process_time()
    lab.stage("r1", "a", SQL, scores("r1", rows=13_000))
    table = time.process_time() - began
    lab.stage("r1", "b", SEARCH, scores("r1", rows=13_000))
    index = time.process_time() - began - table
    assert (table < 5, index < 10) == (True, True), (table, index)
    lab.close("r1", "a", "b")
