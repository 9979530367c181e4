"""
Measure how fast a release is staged in SQL, beside the load of the same rows by the driver: `python benchmarks/publish.py`.

Staging reads a table of the lake, checks its key, and takes its digest. Beside SQLite: its `executemany`. Beside Postgres:
psycopg's binary COPY. These load tuples that are in memory, into a table of the same columns without an index. Reported
are CPU seconds of the process that loads, medians of pairs. The server's time is only in the wall seconds.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS / "integration"), str(TESTS)]
from servers import Postgres, served  # noqa: E402

from airflow_wall.connections.info import ConnectionInfo  # noqa: E402
from airflow_wall.lake.lake import Lake  # noqa: E402
from airflow_wall.publish.backends import parse_target  # noqa: E402
from airflow_wall.publish.release import Releases  # noqa: E402
from airflow_wall.publish.rows import RowStream  # noqa: E402
from airflow_wall.storage.backends import open_tables  # noqa: E402
from airflow_wall.storage.scan import Scan  # noqa: E402

TABLE = "gold/scores"
COLUMNS = {"id": "int8", "score": "float8", "flights": "int8", "at": "timestamptz", "word": "text", "late": "bool"}


def scores(storage: Path, rows: int) -> Scan:
    """Return the rows of a new table."""
    random = np.random.default_rng(1)
    words = np.array(["EWR", "a longer text, with a comma", 'quo"te', "x"], dtype=object)
    moments = 1_372_636_800_000_000 + np.arange(rows) * 1_000_001
    data = pa.table(
        {
            "id": np.arange(rows),
            "score": pa.array(random.normal(size=rows), mask=random.random(rows) < 0.05),
            "flights": random.integers(0, 1000, rows),
            "at": pa.array(moments).cast(pa.timestamp("us", "UTC")),
            "word": pa.array(words[random.integers(0, len(words), rows)], mask=random.random(rows) < 0.05),
            "late": random.random(rows) < 0.5,
        }
    )
    store = open_tables(storage)
    store.replace_slice(TABLE, data, slice_id="20130701T000000Z", number=1)
    return store.scan(TABLE)


Tuples = list[tuple[Any, ...]]


def tuples(rows: Scan) -> Tuples:
    """Return the rows as the drivers take them."""
    return [
        row for batch in rows.batches() for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)
    ]


def by_executemany(rows: Tuples, folder: Path) -> None:
    """Load the rows into SQLite."""
    database = sqlite3.connect(folder / "plain.db")
    with database:
        database.execute("DROP TABLE IF EXISTS plain")
        database.execute(f"CREATE TABLE plain ({', '.join(COLUMNS)})")
        database.executemany(f"INSERT INTO plain VALUES ({', '.join('?' for _ in COLUMNS)})", rows)
    database.close()


def by_copy(rows: Tuples, info: ConnectionInfo) -> None:
    """Load the rows into Postgres."""
    where = {"host": info.host, "port": info.port, "user": info.login, "password": info.password}
    with psycopg.connect(**where, dbname=info.schema) as database, database.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS plain")
        cursor.execute(f"CREATE TABLE plain ({', '.join(f'{name} {kind}' for name, kind in COLUMNS.items())})")
        with cursor.copy("COPY plain FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(list(COLUMNS.values()))
            for row in rows:
                copy.write_row(row)


def stage(rows: Scan, info: ConnectionInfo, folder: Path, turn: int) -> None:
    """Stage the rows in a release."""
    releases = Releases(Lake(folder), project=folder, connections=lambda _: info)
    releases.open("benchmark", f"r{turn}", order="2013-07-01", fence=1)

    def read(columns: Any) -> Iterator[pa.RecordBatch]:
        return (rows if columns is None else replace(rows, columns=tuple(columns))).batches()

    to = parse_target("sql://platform/scores")
    releases.stage("benchmark", f"r{turn}", part="a", to=to, data=RowStream(rows.schema, read), key=("id",))


def took(work: Callable[[], None]) -> tuple[float, float]:
    """Return wall and CPU seconds."""
    wall, cpu = time.monotonic(), time.process_time()
    work()
    return time.monotonic() - wall, time.process_time() - cpu


def main() -> None:
    """Print a line for each database."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--pairs", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, served(Postgres) as server:
        folder = Path(name)
        rows = scores(folder / "lake", options.rows)
        sqlite = ConnectionInfo("platform", "sqlite", host=str(folder / "platform.db"))
        loaded = tuples(rows)
        texts = [(*row[:3], row[3].strftime("%Y-%m-%d %H:%M:%S.%f"), *row[4:]) for row in loaded]
        kinds: dict[str, tuple[ConnectionInfo, Callable[[], None]]] = {
            "sqlite": (sqlite, partial(by_executemany, texts, folder)),
            "postgres": (server.connection, partial(by_copy, loaded, server.connection)),
        }
        for kind, (info, plain) in kinds.items():
            pairs = [
                (took(partial(stage, rows, info, folder / kind, turn)), took(plain)) for turn in range(options.pairs)
            ]
            ours, driver = (statistics.median(side[1] for side in sides) for sides in zip(*pairs, strict=True))
            ratio = statistics.median(ours[1] / driver[1] for ours, driver in pairs)
            wall = statistics.median(ours[0] / driver[0] for ours, driver in pairs)
            print(
                f"{kind:8}  stage {ours:5.2f} CPU s   driver {driver:5.2f} CPU s   ratio {ratio:.2f}   "
                f"of wall seconds {wall:.2f}"
            )


if __name__ == "__main__":
    main()
