"""A lake with a SQLite database, its clients, and processes that are killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_wall.connections.info import ConnectionInfo
from airflow_wall.errors import ConnectionFault
from airflow_wall.lake.lake import Lake
from airflow_wall.publish.backends import parse_target
from airflow_wall.publish.release import Releases
from airflow_wall.publish.rows import RowStream
from airflow_wall.publish.search import search

SQL, SEARCH, FILES = "sql://platform/scores", "search://platform/scores", "files://scores"
ORDERS = {"r1": "2013-07-01T00:00:00Z", "r2": "2013-07-02T00:00:00Z", "r3": "2013-07-03T00:00:00Z"}
KEY = ("domain", "hour")
ROWS = 400  # of a part that a process of its own stages


def scores(release: str, domain: str = "EWR", rows: int = 50, **more: Any) -> pa.Table:
    """Scores of one domain: every row tells its release."""
    return pa.table(
        {
            "domain": [domain] * rows,
            "hour": list(range(rows)),
            "score": [number / 4 for number in range(rows)],
            "made_by": [release] * rows,
            **{name: [value] * rows for name, value in more.items()},
        }
    )


class Lab:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.storage = folder / "lake"
        self.database = folder / "platform.db"
        self.connections = {"platform": ConnectionInfo("platform", "sqlite", host="platform.db")}

    def connection(self, conn_id: str, /) -> ConnectionInfo:
        if conn_id not in self.connections:
            raise ConnectionFault(f"connection `{conn_id}` is not defined")
        return self.connections[conn_id]

    def releases(self, *, patience: float = 20.0) -> Releases:
        return Releases(
            Lake(self.storage),
            project=self.folder,
            connections=self.connection,
            patience=patience,
        )

    def open(self, release: str, fence: int | str = 1, **more: Any) -> dict[str, Any]:
        return self.releases().open("platform", release, order=ORDERS[release], fence=fence, **more)

    def stage(self, release: str, part: str = "a", to: str = SQL, data: pa.Table | None = None, **more: Any) -> Any:
        rows = scores(release) if data is None else data
        target = parse_target(to)
        return self.releases().stage(
            "platform", release, part=part, to=target, data=RowStream.of(rows), **{"key": KEY, **more}
        )

    def close(self, release: str, *expected: str, **more: Any) -> dict[str, Any]:
        return self.releases().close("platform", release, expected=expected or ("a",), **more)

    def publish(self, release: str, parts: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
        parts = {"a": SQL} if parts is None else parts
        self.open(release, **more)
        for part, to in parts.items():
            self.stage(release, part, to)
        return self.close(release, *parts)

    @contextmanager
    def db(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.database, timeout=30)) as database:
            yield database

    def table(self) -> dict[str, int]:
        """Rows that clients of the SQL table see, by the release that made them."""
        with self.db() as database:
            return dict(database.execute("SELECT made_by, count(*) FROM scores GROUP BY 1"))

    def files(self) -> dict[str, int]:
        """Rows that clients of the folder see, by the release that made them."""
        current = self.storage / "published" / "scores" / "current"
        if not current.exists():
            return {}
        rows: dict[str, int] = {}
        for file in current.resolve().glob("*.parquet"):
            for made_by in pq.read_table(file, partitioning=None).column("made_by").to_pylist():
                rows[made_by] = rows.get(made_by, 0) + 1
        return rows

    def index(self, text: str = "EWR") -> dict[str, int]:
        """Documents that clients of the index find, by the release that made them."""
        rows: dict[str, int] = {}
        for document in search(self.connection("platform"), "scores", text, 100_000, project=self.folder):
            rows[document["made_by"]] = rows.get(document["made_by"], 0) + 1
        return rows


def die_after(steps: int) -> None:
    """Kill this process before its file or database operation number `steps` (counted from 0)."""
    left = iter(range(steps))

    def hook(event: str, _: Any) -> None:
        if event in ("os.rename", "os.remove", "os.rmdir", "sqlite3.connect") and next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def work(lab: Lab, ready: Connection, do: str, release: str, order: dict[str, Any]) -> None:
    """Stage a part, close a release or roll back to it: the body of a process that may be killed."""
    ready.send("ready")
    if (steps := order.pop("die_after", None)) is not None:
        die_after(steps)
    if do == "stage":
        data = scores(release, order.pop("domain", "EWR"), order.pop("rows"))
        lab.stage(release, data=data, **order)
    elif do == "restore":
        lab.releases().restore("platform", release, reason="bad scores")
    else:
        lab.close(release, *order["expected"])


# A server that has imported everything forks each process, so that a kill hits the work and not the imports.
SERVER = multiprocessing.get_context("forkserver")
BACKENDS = [f"airflow_wall.publish.{name}" for name in ("sql", "search_sqlite", "files", "webhook")]
SERVER.set_forkserver_preload(["pandas", "publish_lab", *BACKENDS])


def start(lab: Lab, do: str, release: str, **order: Any) -> ForkServerProcess:
    """Start a process, and return when it begins to work."""
    here, pipe = SERVER.Pipe(duplex=False)
    order = {"rows": ROWS, **order} if do == "stage" else order
    process = SERVER.Process(target=work, args=(lab, pipe, do, release, order))
    path = [str(Path(__file__).parent), str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(path))  # the server reads it when the first process starts
        process.start()
    pipe.close()
    with here:
        assert here.recv() == "ready"
    return process


def end(process: ForkServerProcess) -> int:
    process.join(60)
    code = process.exitcode
    process.close()
    assert code is not None
    return code
